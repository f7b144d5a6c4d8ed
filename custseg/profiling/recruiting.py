"""Whom to interview: typical and borderline customers of every segment, by quota."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import DataError, ParameterError, check_columns, check_number, check_option
from custseg.profiling._material import Material, gather
from custseg.profiling._words import counted
from custseg.profiling.profiles import _check_table
from custseg.results import Result

KINDS = ("typical", "borderline")
CORE = 1 / 3
"""Typical customers are drawn from this share of a segment, the least unlike its others."""


@dataclass(frozen=True, repr=False, eq=False)
class RecruitingList(Result):
    """Whom to invite; made by `recruiting_list`.

    Attributes
    ----------
    people : pandas.DataFrame
        The table of `to_frame`.
    account : pandas.DataFrame
        By ``segment`` and ``kind``: ``asked`` places, customers ``eligible`` for them, and places
        ``filled``, without reserves.
    notes : tuple of str
        What to know before inviting.
    """

    people: pd.DataFrame
    account: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling_cards.places"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per customer to invite.

        Returns
        -------
        pandas.DataFrame
            ``code``, such as "A-typical-1"; ``segment``; ``kind``, "typical" or "borderline";
            ``towards``, the next segment of a borderline customer; the column that quotas are
            spread over, where there is one; ``status``, "invite" or "reserve"; ``order``, in which
            reserves take the place of those who decline; and ``customer_id`` if asked for.
        """
        return self.people.copy()

    def summary(self) -> str:
        """Return how many places are filled, and the number of reserves."""
        reserves = int((self.people["status"] == "reserve").sum())
        return (
            f"{int(self.account['filled'].sum())} of {int(self.account['asked'].sum())} places in "
            f"{self.account['segment'].nunique()} segments are filled, with "
            f"{counted(reserves, 'reserve')}."
        )


def recruiting_list(
    customers: pd.DataFrame,
    segments: Any,
    *,
    variables: Sequence[str] | None = None,
    descriptors: Sequence[str] | None = None,
    typical: "int | Mapping[str, int]" = 4,
    borderline: "int | Mapping[str, int]" = 2,
    reserves: int = 2,
    spread_over: str | None = None,
    exclude: Iterable[Any] = (),
    include_ids: bool = False,
    random_state: int = 0,
) -> RecruitingList:
    """Draw whom to interview: typical and borderline customers of every segment.

    Typical customers are drawn at random from the third of a segment that is least unlike its
    other customers, borderline ones from those in between (as in `segment_cards`): always taking
    the extreme ones would give interviews that are all alike.

    Parameters
    ----------
    customers, segments, variables, descriptors
        As in `profile`; they tell who is like whom.
    typical, borderline
        The number of places in every segment, or segment to its number (0 for those left out).
    reserves
        How many more are drawn for each place, for those who decline.
    spread_over
        A column over whose values the places of a segment are spread, in proportion to the eligible
        customers (largest remainders).
    exclude
        The ids of customers who must not be asked, such as those without consent.
    include_ids
        Whether ``customer_id`` is in the list. By default it is not, so that it can be shown; the
        same call with ``True`` gives the same people with their ids.
    random_state
        The seed; the same seed draws the same people, whatever the order of the rows.

    Returns
    -------
    RecruitingList
        With ``people`` and an ``account`` of places asked for and filled.

    Raises
    ------
    ColumnError
        If a named column is missing.
    DataError
        If labels do not fit the customers, an id in `exclude` is unknown, or there is one segment
        only and borderline customers are asked for.
    ParameterError
        If a number of places or of reserves is negative, or a segment does not exist.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> customers = pd.DataFrame({"orders": rng.integers(1, 13, 200)})
    >>> segments = np.where(customers["orders"] + rng.normal(size=200) > 6, "often", "rarely")
    >>> found = recruiting_list(customers, segments, typical=2, borderline=1, reserves=0)
    >>> found.to_frame()[["code", "kind", "status"]]
                      code        kind  status
    0      often-typical-1     typical  invite
    1      often-typical-2     typical  invite
    2   often-borderline-1  borderline  invite
    3     rarely-typical-1     typical  invite
    4     rarely-typical-2     typical  invite
    5  rarely-borderline-1  borderline  invite
    """
    check_number(reserves, "reserves", ge=0, integer=True)
    check_number(random_state, "random_state", ge=0, integer=True)
    _check_table(customers)
    if spread_over is not None:
        check_columns(list(customers.columns), [spread_over], where="the customer table")
    material = gather(
        customers,
        segments,
        variables=variables,
        descriptors=descriptors,
        level=0.95,
        random_state=random_state,
    )
    names = material.read.names
    places: dict[str, dict[str, int]] = {
        kind: _places(asked, kind, names)
        for kind, asked in zip(KINDS, (typical, borderline), strict=True)
    }
    if material.placed is None and any(places["borderline"].values()):
        raise DataError("there is one segment only, so that nobody is borderline: borderline=0.")
    free = _free(customers.index, material.read.frame.index, list(exclude))
    strata = _strata(material, spread_over)
    people, account, drawn = [], [], np.zeros(len(free), dtype=bool)
    for code, segment in enumerate(names):
        for number, kind in enumerate(KINDS):
            rng = np.random.default_rng([random_state, code, number])
            pool = _pool(material, segment, kind)
            pool = pool[free[pool] & ~drawn[pool]]
            asked = places[kind][segment]
            wanted = asked * (1 + reserves)
            chosen = _spread(pool, strata, wanted, rng)
            drawn[chosen] = True
            account.append((segment, kind, asked, len(pool), min(asked, len(chosen))))
            people += [
                (
                    f"{segment}-{kind}-{order}",
                    segment,
                    kind,
                    _towards(material, position, kind),
                    strata.iloc[position],
                    "invite" if order <= asked else "reserve",
                    order,
                    material.read.frame.index[position],
                )
                for order, position in enumerate(chosen.tolist(), start=1)
            ]
    heads = ["code", "segment", "kind", "towards", "stratum", "status", "order", "customer_id"]
    table = pd.DataFrame(people, columns=heads)
    left_out = ["stratum"] * (spread_over is None) + ["customer_id"] * (not include_ids)
    accounts = pd.DataFrame(account, columns=["segment", "kind", "asked", "eligible", "filled"])
    return RecruitingList(
        people=table.drop(columns=left_out).rename(columns={"stratum": spread_over}),
        account=accounts,
        notes=tuple(_notes(accounts, int((~free).sum()), include_ids=include_ids)),
    )


def _places(asked: Any, kind: str, names: Sequence[str]) -> dict[str, int]:
    """Return the number of places of a kind in every segment."""
    if not isinstance(asked, Mapping):
        check_number(asked, kind, ge=0, integer=True)
        return dict.fromkeys(names, int(asked))
    for segment, n in asked.items():
        check_option(segment, f"a segment of {kind}", list(names))
        check_number(n, f"{kind}[{segment!r}]", ge=0, integer=True)
    return {name: int(asked.get(name, 0)) for name in names}


def _free(everybody: pd.Index, ids: pd.Index, exclude: list[Any]) -> NDArray[np.bool_]:
    """Return who may be asked; an id to exclude that nobody has is a mistake that costs trust."""
    strangers = [name for name in exclude if name not in everybody]
    if strangers:
        raise DataError(
            f"{len(strangers):,} of {len(exclude):,} ids in exclude are not in the customer table, "
            f"whose ids are of type {everybody.dtype}; nobody is drawn before they are. Select "
            "those that are: customers.index.intersection(exclude)."
        )
    return ~ids.isin(exclude)


def _strata(material: Material, spread_over: str | None) -> pd.Series:
    """Return what the places are spread over."""
    frame = material.read.frame
    if spread_over is None:
        return pd.Series("", index=frame.index)
    values = frame[spread_over]
    if values.nunique() > 50:
        raise ParameterError(
            f"{spread_over!r} has {values.nunique():,} different values, too many to spread places "
            "over: make bands of it first, for example with pandas.cut."
        )
    return values.astype(object).where(values.notna(), "(missing)")


def _pool(material: Material, segment: str, kind: str) -> NDArray[np.int64]:
    """Return the customers whom places of a kind may be filled with."""
    between = material.in_between(segment)
    if kind == "borderline":
        return between
    rows = np.setdiff1d(material.rows(segment), between)
    order = rows[np.argsort(material.centrality[rows], kind="stable")]
    return np.sort(order[: int(np.ceil(CORE * len(material.rows(segment))))])


def _spread(
    pool: NDArray[np.int64], strata: pd.Series, wanted: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw customers at random, their strata in proportion at every length (Sainte-Laguë)."""
    drawn = rng.permutation(pool)
    own = strata.iloc[drawn].reset_index(drop=True)
    rank = own.groupby(own, sort=False).cumcount().to_numpy()
    size = own.map(own.value_counts()).to_numpy(dtype=float)
    return drawn[np.argsort((rank + 0.5) / size, kind="stable")][:wanted]


def _towards(material: Material, position: int, kind: str) -> str:
    if kind == "typical" or material.placed is None:
        return ""
    return str(material.placed["second"].iloc[position])


def _notes(account: pd.DataFrame, excluded: int, *, include_ids: bool) -> list[str]:
    notes = []
    short = account[account["filled"] < account["asked"]]
    if len(short):
        shown = ", ".join(
            f"{row.kind} customers of {row.segment!r} ({row.filled} of {row.asked})"
            for row in short.itertuples()
        )
        notes.append(f"there are not enough {shown}.")
    if excluded:
        notes.append(f"{counted(excluded, 'customer')} excluded, as asked.")
    else:
        notes.append("nobody was excluded: name those without consent in exclude.")
    if not include_ids:
        notes.append(
            "ids are left out; the same call with include_ids=True gives the same people with them."
        )
    return notes
