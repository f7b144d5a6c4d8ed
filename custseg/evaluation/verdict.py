"""From a table of candidates to one of the answers of Dolnicar and Leisch."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

SAME_CUT, RECOVERED, LEVEL = 0.8, 0.75, 0.05


@dataclass(frozen=True)
class Verdict:
    """What the evidence says.

    Parameters
    ----------
    kind
        ``"natural"``: every border between a segment and its nearest neighbour is emptier than both
        centres; ``"reproducible"``: there are no such gaps, but the same cut comes back when the
        customers are drawn again; ``"constructive"``: it does not, but segments explain more than
        in shuffled columns; ``"none"``: neither.
    k
        The recommended number of segments; ``None`` where nothing is recommended.
    algorithm
        Its algorithm; ``None`` likewise.
    reason
        The sentence that says why.
    """

    kind: str
    k: int | None
    algorithm: str | None
    reason: str


def decide(
    candidates: pd.DataFrame, n_customers: int, null: str = "tables with shuffled columns"
) -> Verdict:
    """Return the verdict on the candidates that have no reason against them.

    Natural are gaps at every border (see `custseg.evaluation.gaps`); the largest such k is
    recommended. Reproducible is a median adjusted Rand index of .8 or more (Dolnicar & Leisch
    2010). Of such candidates the largest k is recommended whose weakest segment still has a mean
    Jaccard similarity of .75 or more (Hennig 2008); if there is none, the one with the largest
    index.

    Parameters
    ----------
    candidates
        With ``algorithm``, ``k``, ``natural``, ``border_ratio``, ``ari``, ``jaccard_min``,
        ``explained``, ``explained_null``, ``explained_z``, ``p_family`` and ``reason``.
    n_customers
        The number of customers that it rests on.
    null
        What the null tables are, in words.
    """
    usable = candidates[(candidates["reason"] == "") & candidates["ari"].notna()]
    if usable.empty:
        return Verdict("none", None, None, "no candidate could be judged; see the reasons.")
    gaps = usable[usable["natural"].astype(bool)]
    if len(gaps):
        best = gaps.sort_values(["k", "ari"]).iloc[-1]
        return _verdict("natural", best, _natural(gaps, best, n_customers))
    firm = usable[usable["ari"] >= SAME_CUT]
    if len(firm):
        recovered = firm[firm["jaccard_min"] >= RECOVERED].sort_values(["k", "ari"])
        best = (recovered if len(recovered) else firm.sort_values(["ari", "k"])).iloc[-1]
        return _verdict("reproducible", best, _reproducible(firm, best, n_customers))
    firmest = usable["ari"].max()
    soft = (
        "there are no gaps at every border, and no number of segments comes back on resampling "
        f"(largest median ARI {firmest:.2f})"
    )
    beyond = usable[usable["p_family"] <= LEVEL]
    if len(beyond):
        best = beyond.sort_values(["explained_z", "k"]).iloc[-1]
        reason = (
            f"{soft}, but segments explain more of these {n_customers:,} customers than of "
            f"{null}, most clearly at k = {best['k']} "
            f"({best['explained']:.0%} against {best['explained_null']:.0%}, "
            f"p = {best['p_family']:.3f} over all candidates). The segments are made, not found."
        )
        return _verdict("constructive", best, reason)
    least = usable["p_family"].min()
    reason = (
        f"{soft}, and segments do not explain more of these {n_customers:,} customers than of "
        f"{null} (smallest p = {least:.2f} over all candidates)."
    )
    return Verdict("none", None, None, reason)


def _verdict(kind: str, best: Any, reason: str) -> Verdict:
    return Verdict(kind, int(best["k"]), str(best["algorithm"]), reason)


def _natural(gaps: pd.DataFrame, best: Any, n_customers: int) -> str:
    others = sorted(set(gaps["k"]) - {best["k"]})
    also = (
        f" So it is at k = {', '.join(map(str, others))}, of which this is the finest."
        if others
        else ""
    )
    units = ""
    if best["algorithm"] == "adaptive_kmeans":
        units = (
            " Segments were found in units that are learned with them: in those of the encoded "
            "variables, columns without groups hide the groups of others."
        )
    return (
        f"at k = {best['k']} there are gaps: every border between a segment and its nearest "
        f"neighbour is emptier than both centres (the fullest is {best['border_ratio']:.0%} as "
        f"crowded as the emptier centre beside it; {n_customers:,} customers).{also}{units}"
    )


def _reproducible(firm: pd.DataFrame, best: Any, n_customers: int) -> str:
    many = firm["algorithm"].nunique() > 1
    curve = ", ".join(
        f"{row.ari:.2f} at {f'{row.algorithm} ' * many}k = {row.k}" for row in firm.itertuples()
    )
    largest = "the largest of them in which every segment comes back"
    if best["jaccard_min"] < RECOVERED:
        largest = "the firmest of them, though not every segment comes back"
    return (
        f"there are no gaps at every border, but two resamples of these {n_customers:,} customers "
        "lead to the same cut (median ARI "
        f"{curve}; {SAME_CUT} asked for). k = {best['k']} is {largest} (mean Jaccard similarity of "
        f"the weakest {best['jaccard_min']:.2f}, {RECOVERED} asked for). It is a soft choice: "
        "others are as defensible, and more customers would make more of them firm."
    )
