"""What sets a segment apart, and a name that says it in a few words."""

import re
from typing import Any

from custseg.profiling.profiles import MARKED, Profile

TRAITS = 4
YES_NO = {frozenset(("yes", "no")): "yes", frozenset(("true", "false")): "true"}
COUNTS = ("n", "num", "nr", "no of", "number of", "count of")
DIRECTIONS = frozenset(
    (
        *("above", "below", "over", "under", "with", "without", "high", "higher", "highest"),
        *("low", "lower", "lowest", "max", "maximum", "min", "minimum", "top", "bottom"),
        *("most", "more", "many", "much", "least", "less", "few", "fewer", "fewest", "little"),
        *("small", "smaller", "large", "larger", "big", "bigger"),
        *("no", "not", "non", "never", "none"),
    )
)
"""Words that a second word of direction before them would contradict."""


def traits(found: Profile, segment: str, most: int | None = TRAITS) -> list[dict[str, Any]]:
    """Return the rows of a profile that set a segment apart, the most marked first.

    A trait lies at least 0.2 standard deviations from the average and its interval excludes the
    average; one level per variable.
    """
    table = found.to_frame()
    own = table[table["segment"] == segment]
    outside = (own["overall"] < own["ci_low"]) | (own["overall"] > own["ci_high"])
    own = own[outside & (own["std_diff"].abs() >= MARKED)]
    own = own.assign(size=own["std_diff"].abs().round(9))
    own = own.sort_values(["size", "std_diff"], ascending=False, kind="stable")
    own = own.drop_duplicates("variable").head(most if most is not None else len(own))
    is_share = found.overall["is_share"]
    return [
        {**row, "is_share": bool(is_share[(row["variable"], row["level"])])}
        for row in own.to_dict("records")
    ]


def suggest_names(found: Profile) -> dict[str, str]:
    """Return a name per segment from its two or three most marked traits, no two alike."""
    names: dict[str, str] = {}
    levels: dict[Any, list[str]] = {}
    for variable, level in found.overall.index:
        levels.setdefault(variable, []).append(level)
    for segment in found.sizes.index:
        marks = [_mark(row, levels) for row in traits(found, segment)]
        options = [", ".join(marks[:n]) for n in range(min(2, len(marks)), len(marks) + 1) if n]
        free = [option for option in options if option not in names.values()]
        plain = "like the average"
        names[segment] = free[0] if free else f"{options[0] if options else plain} ({segment})"
    return names


def _mark(row: dict[str, Any], levels: dict[Any, list[str]]) -> str:
    level, above = row["level"], row["std_diff"] > 0
    yes = YES_NO.get(frozenset(name.lower() for name in levels[row["variable"]]))
    if yes:
        level, above = "", above == (level.lower() == yes)
    return mark(str(row["variable"]), level, is_share=row["is_share"], above=above)


def mark(variable: str, level: str, *, is_share: bool, above: bool) -> str:
    """Return a trait in words that hold whatever words the name of the column begins with.

    Parameters
    ----------
    variable, level
        The column, and its level, ``""`` for numbers and yes/no columns.
    is_share
        Whether the trait is a share of customers rather than a mean.
    above
        Whether the segment lies above the average.

    Examples
    --------
    >>> [mark(name, "", is_share=False, above=True) for name in ("spend", "n_orders", "low_price")]
    ['high spend', 'many orders', '"low price" above average']
    >>> [mark(name, "", is_share=True, above=False) for name in ("has_card", "low_price")]
    ['fewer with card', 'less often low price']
    >>> mark("region", "North", is_share=True, above=True)
    'more with region North'
    """
    name = " ".join(re.sub(r"[_\s]+", " ", variable).split())
    if level:
        return f"{'more' if above else 'fewer'} with {name} {level}"
    return _share(name, above=above) if is_share else _mean(name, above=above)


def _share(name: str, *, above: bool) -> str:
    """Return in words how many say yes."""
    first, _, rest = name.partition(" ")
    if first.lower() == "has" and rest:
        return f"{'more' if above else 'fewer'} with {rest}"
    if first.lower() in ("is", "was") and rest:
        return f"{'more' if above else 'less'} often {rest}"
    often = " often" if _directed(name) else ""
    return f"{'more' if above else 'less'}{often} {name}"


def _mean(name: str, *, above: bool) -> str:
    """Return in words how high the mean is."""
    for prefix in COUNTS:
        if name.lower().startswith(f"{prefix} "):
            return f"{'many' if above else 'few'} {name[len(prefix) + 1 :]}"
    if _directed(name) or name.lower().startswith(("is ", "has ", "was ")):
        return f'"{name}" {"above" if above else "below"} average'
    return f"{'high' if above else 'low'} {name}"


def _directed(name: str) -> bool:
    return not DIRECTIONS.isdisjoint(name.lower().split())
