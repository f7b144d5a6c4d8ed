"""Who was assigned to which arm, kept with the plan that it can be made from again."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from custseg.errors import ParameterError
from custseg.results import Result

if TYPE_CHECKING:
    from custseg.campaigns.design import CampaignDesign

HOLDOUT = "holdout"


@dataclass(frozen=True, repr=False, eq=False)
class Assignment(Result):
    """Which customer is in which arm, and what it takes to make it again.

    Attributes
    ----------
    customers
        One row per customer, index ``customer_id``: `arm` (missing for those held out), `holdout`
        (true or false), `stratum` (text).
    design
        What was assigned.
    method
        ``"hash"`` or ``"stratified"``.
    notes
        Caveats.
    """

    customers: pd.DataFrame
    design: "CampaignDesign"
    method: str
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "campaign_design.assignment"

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of who is in which arm: equal for equal assignments, in any row order."""
        arm = self.customers["arm"].astype(object).where(~self.customers["holdout"], "")
        pairs = zip(self.customers.index.tolist(), arm.tolist(), strict=True)
        lines = sorted(f"{customer}:{name}" for customer, name in pairs)
        return sha256("\n".join(lines).encode()).hexdigest()

    @property
    def counts(self) -> pd.Series:
        """Customers by arm, and those held out."""
        groups = self.customers["arm"].astype(object).where(~self.customers["holdout"], HOLDOUT)
        order = [*self.design.arms, *([HOLDOUT] if self.design.holdout else [])]
        return groups.value_counts().reindex(order, fill_value=0).rename("customers")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per customer.

        Returns
        -------
        pandas.DataFrame
            Index ``customer_id``; `arm`, `holdout`, `stratum`. Joined with the outcomes it is what
            the test of the design analyses: customers held out have no arm.
        """
        return self.customers.copy()

    def record(self) -> dict[str, Any]:
        """Return the plan and its outcome as values that JSON can hold, to be kept with the plan.

        Returns
        -------
        dict
            `arms`, `control`, `holdout`, `salt`, `holdout_salt`, `strata`, `method`, `customers`
            (by arm) and `fingerprint` (of who is in which arm).
        """
        design = self.design
        return {
            "arms": {str(arm): float(share) for arm, share in design.arms.items()},
            "control": str(design.control),
            "holdout": float(design.holdout),
            "salt": design.salt,
            "holdout_salt": design.holdout_salt,
            "strata": list(design.strata),
            "method": self.method,
            "customers": {str(arm): int(n) for arm, n in self.counts.items()},
            "fingerprint": self.fingerprint,
        }

    def save(self, folder: str | Path) -> None:
        """Write ``assignment.csv`` and ``plan.json`` (the record) into a folder that exists.

        Parameters
        ----------
        folder
            Where to.

        Raises
        ------
        ParameterError
            If there is no such folder.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ParameterError(f"there is no folder {folder.name!r} to write to. Make it first.")
        self.customers.to_csv(folder / "assignment.csv")
        text = json.dumps(self.record(), indent=2, ensure_ascii=False)
        (folder / "plan.json").write_text(text + "\n", encoding="utf-8")

    def summary(self) -> str:
        """Return how many customers each arm has, and how they got there."""
        parts = ", ".join(f"{arm} {n:,}" for arm, n in self.counts.items())
        how = {
            "hash": f"by the hash of salt {self.design.salt!r} and customer id",
            "stratified": f"within {self.customers['stratum'].nunique():,} strata, seeded by salt "
            f"{self.design.salt!r}",
        }
        return f"{len(self.customers):,} customers: {parts}; {how[self.method]}."

    def _shown(self) -> pd.DataFrame:
        n = self.counts
        part = n.drop(HOLDOUT, errors="ignore")
        planned = pd.Series(self.design.arms) * part.sum()
        if HOLDOUT in n:
            planned[HOLDOUT] = self.design.holdout * n.sum()
        frame = pd.DataFrame({"customers": n, "planned": planned[n.index]})
        return frame.rename_axis("arm").reset_index()
