"""Which variables mark a segment: the numbers behind profile plots, snake plots and heat maps."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage

from custseg.errors import DataError
from custseg.profiling._words import listed
from custseg.profiling.profiles import Profile
from custseg.results import Result, format_number

SHARE, RELATIVE, STANDARD = 0.25, 0.5, 0.5
"""A marker: this far from the average in points of share, relative to it, or in deviations."""

COLUMNS = ["segment", "variable", "level", "value", "overall", "difference", "std_diff", "marker"]


@dataclass(frozen=True, repr=False, eq=False)
class Markers(Result):
    """Means and shares of segments with the ones that mark them; made by `markers`.

    Attributes
    ----------
    table : pandas.DataFrame
        The table of `to_frame`.
    sizes : pandas.DataFrame
        Index ``segment``; ``n`` and ``share``.
    shares : bool
        Whether all variables are shares, so that pictures may show these themselves.
    notes : tuple of str
        What a marker is.
    """

    table: pd.DataFrame
    sizes: pd.DataFrame
    shares: bool
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling_pictures.markers"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment and variable, in the order of the pictures.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``variable``, ``level``, ``value``, ``overall``, ``difference`` (value
            minus overall), ``std_diff`` (in standard deviations of all customers) and ``marker``.
        """
        return self.table.copy()

    def wide(self, values: str = "std_diff") -> pd.DataFrame:
        """Return variables x segments of one column: what the heat map and the snake plot show."""
        keys = self.table[["variable", "level"]].drop_duplicates()
        wide = self.table.pivot(index=["variable", "level"], columns="segment", values=values)
        wide = wide.reindex(pd.MultiIndex.from_frame(keys))
        wide.index = [f"{name}: {level}" if level else str(name) for name, level in wide.index]
        return wide

    def summary(self) -> str:
        """Return the markers of each segment, the strongest first."""
        told = []
        for segment in self.sizes.index:
            own = self.table[(self.table["segment"] == segment) & self.table["marker"]]
            order = np.argsort(-own["std_diff"].abs().to_numpy(), kind="stable")
            names = [
                f"{'+' if row.difference > 0 else '-'} {f'{row.variable} {row.level}'.strip()}"
                for row in own.iloc[order].itertuples()
            ]
            told.append(f"{segment}: {', '.join(names) or 'no marker'}")
        return "; ".join(told) + "."

    def _shown(self) -> pd.DataFrame:
        value, marked = self.wide("value"), self.wide("marker")
        shown = pd.DataFrame(
            {
                f"{name} (n={n:,})": [
                    format_number(number) + (" *" if mark else "")
                    for number, mark in zip(value[name], marked[name], strict=True)
                ]
                for name, n in self.sizes["n"].items()
            },
            index=value.index,
        )
        shown.insert(0, "overall", [format_number(x) for x in self.wide("overall").iloc[:, 0]])
        return shown


def markers(profile: Profile) -> Markers:
    """Mark the variables in which segments differ much from the average, for pictures.

    A share marks a segment that lies 25 points or half of the average from it, a mean one that lies
    half a standard deviation from it; in both cases the interval must exclude the average.

    Parameters
    ----------
    profile
        What `custseg.profiling.profile` returned.

    Returns
    -------
    Markers
        Its ``plot(kind=...)`` draws ``"panels"``, a column of bars per segment with the markers in
        colour (the segment profile plot), ``"snake"``, a line per segment, ``"heat"``, or, because
        it was asked for, ``"radar"``; ``repr`` and ``to_frame`` hold the same numbers. Variables
        are ordered so that those with a like pattern are neighbours (Ward, optimal leaf order).

    Raises
    ------
    DataError
        If no variable differs between customers.

    References
    ----------
    Dolnicar, S., Grün, B. & Leisch, F. (2018), Market Segmentation Analysis, Springer, chapter 8.
    Bar-Joseph, Z., Gifford, D. & Jaakkola, T. (2001), Bioinformatics 17, S22-S29 (leaf order).

    Examples
    --------
    >>> from custseg.profiling import profile
    >>> customers = pd.DataFrame({"cheap": [1, 1, 1, 0] * 10, "tasty": [0, 1, 1, 0] * 10})
    >>> found = markers(profile(customers, ["A", "A", "B", "B"] * 10, variables=["cheap", "tasty"]))
    >>> found.to_frame()[["segment", "variable", "value", "overall", "marker"]]
      segment variable  value  overall  marker
    0       A    cheap    1.0     0.75    True
    1       A    tasty    0.5     0.50   False
    2       B    cheap    0.5     0.75    True
    3       B    tasty    0.5     0.50   False
    """
    table = profile.to_frame()
    table = table.assign(difference=table["value"] - table["overall"])
    keys = pd.MultiIndex.from_frame(table[["variable", "level"]])
    is_share = profile.overall["is_share"].reindex(keys).to_numpy(dtype=bool)
    far = np.where(
        is_share,
        (table["difference"].abs() >= SHARE - 1e-9)
        | (table["difference"].abs() >= RELATIVE * table["overall"].abs() - 1e-9),
        table["std_diff"].abs() >= STANDARD,
    )
    outside = (table["overall"] < table["ci_low"]) | (table["overall"] > table["ci_high"])
    table["marker"] = far & outside.to_numpy() & table["std_diff"].notna().to_numpy()
    flat = table["std_diff"].isna().groupby([table["variable"], table["level"]]).transform("all")
    constant = list(dict.fromkeys(table.loc[flat, "variable"]))
    table = table.loc[~flat, COLUMNS]
    if table.empty:
        raise DataError("no variable differs between customers: there is nothing to draw.")
    marked = (
        "a marker (*) lies 25 points or half of the average from it (shares), or half a standard "
        "deviation (means), and its interval excludes the average."
    )
    left_out = [f"left out, the same for every customer: {listed(constant)}."] if constant else []
    return Markers(
        table=_ordered(table),
        sizes=profile.sizes[["n", "share"]],
        shares=bool(is_share.all()),
        notes=(marked, *left_out),
    )


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with variables of a like pattern beside each other."""
    wide = table.pivot(index=["variable", "level"], columns="segment", values="std_diff")
    keys = pd.MultiIndex.from_frame(table[["variable", "level"]].drop_duplicates())
    matrix = wide.reindex(keys).fillna(0.0).to_numpy()
    order = np.arange(len(matrix))
    if len(matrix) > 2:
        order = leaves_list(linkage(matrix, "ward", optimal_ordering=True))
    if order[0] > order[-1]:
        order = order[::-1]
    rank = pd.Series(np.argsort(order), index=keys)
    place = rank.reindex(pd.MultiIndex.from_frame(table[["variable", "level"]])).to_numpy()
    codes = table["segment"].cat.codes.to_numpy()
    return table.iloc[np.lexsort((place, codes))].reset_index(drop=True)
