"""What each customer gets by a plan of actions, and the count of those who get nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from custseg.results import Result


@dataclass(frozen=True, repr=False, eq=False)
class PlannedActions(Result):
    """What each customer gets, or why nothing.

    Attributes
    ----------
    actions
        The table of `to_frame`.
    account
        Customers by segment (rows; ``"(no segment)"`` and ``"(all)"`` last) and by outcome
        (columns): `customers` = `action` + one column per reason.
    notes
        Caveats.
    """

    actions: pd.DataFrame
    account: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "campaign_design.planned_actions"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per customer.

        Returns
        -------
        pandas.DataFrame
            Index ``customer_id``; `segment`, `offer`, `channel` (both missing where there is no
            action), `reason` (why there is none; missing where there is one).
        """
        return self.actions.copy()

    @property
    def contacts(self) -> pd.DataFrame:
        """Those who get something: `segment`, `offer`, `channel` by customer id."""
        return self.actions.loc[self.actions["reason"].isna(), ["segment", "offer", "channel"]]

    def to_csv(self, path: str | Path) -> None:
        """Write the list of those who get something, a row per customer, for the channel's system.

        Parameters
        ----------
        path
            The file.
        """
        self.contacts.to_csv(path)

    def to_markdown(self) -> str:
        """Return the account as Markdown."""
        return markdown_table(self.account.reset_index())

    def summary(self) -> str:
        """Return how many get something, and the main reasons of the others."""
        whole = self.account.loc["(all)"]
        reasons = whole.drop(["customers", "action"])
        shown = reasons[reasons > 0].sort_values(ascending=False, kind="stable")
        listed = ", ".join(f"{n:,} {reason}" for reason, n in shown.head(4).items())
        more = f", and {shown.iloc[4:].sum():,} for other reasons" if len(shown) > 4 else ""
        head = f"{whole['action']:,} of {whole['customers']:,} customers get an offer"
        return f"{head}; without: {listed}{more}." if len(shown) else f"{head}."

    def _shown(self) -> pd.DataFrame:
        used = self.account.columns[(self.account.loc["(all)"] > 0)]
        return self.account[list(dict.fromkeys(["customers", "action", *used]))].reset_index()


def count_reasons(table: pd.DataFrame, segments: Sequence[str]) -> pd.DataFrame:
    """Return customers by segment and outcome, as `PlannedActions.account` holds them."""
    outcome = table["reason"].fillna("action")
    label = table["segment"].fillna("(no segment)")
    counts = pd.crosstab(label, outcome)
    order = [*segments, *(["(no segment)"] if "(no segment)" in counts.index else [])]
    reasons = sorted(set(counts.columns) - {"action"})
    counts = counts.reindex(index=order, columns=["action", *reasons], fill_value=0)
    counts.loc["(all)"] = counts.sum()
    counts.insert(0, "customers", counts.sum(axis=1))
    return counts.rename_axis(index="segment", columns=None)


def markdown_table(frame: pd.DataFrame) -> str:
    """Return a table in Markdown; bars and line breaks within cells do not break it."""
    cells = frame.astype(object).where(frame.notna(), "")
    lines = [list(frame.columns), ["---"] * frame.shape[1], *cells.to_numpy().tolist()]
    texts = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in texts)
