"""A campaign before it runs: its arms, who is assigned to them, and the test it is planned for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from custseg.campaigns._history import stratum_codes
from custseg.campaigns._planning import Effect, campaign_size
from custseg.campaigns.allocation import (
    by_threshold,
    checked_shares,
    customer_rows,
    hash_uniform,
    within_strata,
)
from custseg.campaigns.assignment import HOLDOUT, Assignment
from custseg.campaigns.balance import Balance, compare_arms
from custseg.campaigns.baselines import Baselines
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.metrics import Metric
from custseg.campaigns.power import (
    PowerAnalysis,
    minimum_detectable_effect,
    power,
    sample_size,
)
from custseg.campaigns.traffic import Duration, duration
from custseg.errors import DataError, ParameterError, check_columns, check_number, check_option

_METHODS = ("hash", "stratified")


@dataclass(frozen=True, kw_only=True, eq=False)
class CampaignDesign:
    """A campaign, declared before anybody is assigned; it holds no customers.

    Parameters
    ----------
    arms
        Arm -> share of the customers in the test; the shares add up to 1.
    control
        The arm that the others are compared with; the first one when ``None``.
    strata
        Columns in whose combinations the arms are balanced.
    holdout
        Share of all customers (0 to below 1) who are kept out of the campaign altogether and are in
        no arm.
    salt
        Names the campaign. The same salt gives a customer the same arm, another salt an
        independent one.
    holdout_salt
        The same for the holdout; `salt` when ``None``. Campaigns that share it hold out the same
        customers.

    Raises
    ------
    ParameterError
        If the arms are no allocation, control is none of them, or another parameter is outside its
        bounds.

    References
    ----------
    Kohavi, R., Tang, D. and Xu, Y. (2020), Trustworthy online controlled experiments, Cambridge
    University Press, chapters 4 and 14.

    Examples
    --------
    >>> import custseg as cs
    >>> design = cs.CampaignDesign(arms={"control": 0.5, "email": 0.5}, holdout=0.05, salt="spring")
    >>> shop = cs.datasets.make_shop(1_000)
    >>> design.assign(shop.customers).counts.to_dict()
    {'control': 473, 'email': 474, 'holdout': 53}
    >>> test = design.test({"spend": cs.Mean("spend")})
    >>> test.allocation
    {'control': 0.5, 'email': 0.5}
    """

    arms: Mapping[Any, float]
    control: Any = None
    strata: Sequence[str] = ()
    holdout: float = 0.0
    salt: str = "custseg"
    holdout_salt: str | None = None

    def __post_init__(self) -> None:
        arms = checked_shares(self.arms, "arms")
        control = next(iter(arms)) if self.control is None else self.control
        check_option(control, "control", list(arms))
        if HOLDOUT in arms:
            raise ParameterError(f"an arm is called {HOLDOUT!r}: give its share as holdout=.")
        check_number(self.holdout, "holdout", ge=0, lt=1)
        strata = _columns(self.strata, "strata")
        salts = {"salt": self.salt, "holdout_salt": self.holdout_salt or self.salt}
        for name, value in salts.items():
            if not isinstance(value, str) or not value:
                raise ParameterError(f"{name} is {value!r}, but must be a text that is not empty.")
        ordered = {control: arms[control]} | arms
        for name, value in {"arms": ordered, "control": control, "strata": strata, **salts}.items():
            object.__setattr__(self, name, value)

    def assign(self, customers: Any, *, method: str | None = None) -> Assignment:
        """Assign customers to arms, or hold them out.

        ``"hash"``: the arm follows from the salt and the customer id alone, so that a customer gets
        the same one today and tomorrow, here and in another system, whoever else is assigned; arm
        sizes vary by chance. ``"stratified"``: arms have their planned sizes, rounded, in every
        stratum; the customers of a stratum are put in order by the same hash. It is the same for
        any row order, but another set of customers is another assignment: assign them all at once,
        keep the result, and assign those who come later on their own.

        Parameters
        ----------
        customers
            A table of any kind with one row per customer, whose index or column is ``customer_id``,
            with the columns of the strata; for a design without strata also a list of ids. What is
            no pandas frame is collected to one, in the order of its engine.
        method
            ``"hash"`` or ``"stratified"``; when ``None``, stratified if the design has strata.

        Returns
        -------
        Assignment
            Arm, holdout and stratum of every customer, in the order given.

        Raises
        ------
        ColumnError
            If a stratum is no column.
        DataError
            If a customer is missing, comes twice, or there are none.

        Notes
        -----
        The number of a customer in [0, 1) is the first 53 bits of
        ``sha256(f"{salt}:arm:{customer_id}")`` over 2 to the 53; by hash, the arm is the one into
        whose part of [0, 1) it falls, in the order of `arms` with control first. The holdout takes
        those below its share of the numbers of ``f"{holdout_salt}:holdout:{customer_id}"``.
        """
        method = method or ("stratified" if self.strata else "hash")
        check_option(method, "method", _METHODS)
        ids, rows = customer_rows(customers)
        check_columns(rows.columns, self.strata, where="the customer table")
        stratum = stratum_codes(rows, self.strata)
        shares = list(self.arms.values())
        u = hash_uniform(ids, f"{self.salt}:arm")
        out = hash_uniform(ids, f"{self.holdout_salt}:holdout")
        if method == "hash":
            held, arm = out < self.holdout, by_threshold(u, shares)
        else:
            starts = hash_uniform(range(len(shares)), f"{self.salt}:start")
            split = within_strata(out, stratum, [self.holdout, 1 - self.holdout], starts[-1:])
            held, arm = split == 0, np.zeros(len(ids), dtype=int)
            arm[~held] = within_strata(u[~held], stratum[~held], shares, starts[:-1])
        frame = pd.DataFrame(
            {
                "arm": pd.Categorical.from_codes(np.where(held, -1, arm), list(self.arms)),
                "holdout": held,
                "stratum": _stratum_names(rows, self.strata),
            },
            index=ids,
        )
        return Assignment(frame, self, method, tuple(self._notes(frame, method)))

    def test(
        self,
        metrics: Mapping[str, Metric],
        *,
        segments: str | pd.Series | None = None,
        customer_id: str | None = None,
        arm: str = "arm",
    ) -> CampaignTest:
        """Return the test of this campaign, with its control and its own allocation.

        Parameters
        ----------
        metrics, segments
            As in `CampaignTest`.
        customer_id
            The column that identifies customers; ``"customer_id"`` where segments are a Series.
        arm
            The column that will hold the arm.

        Returns
        -------
        CampaignTest
            To analyse the assignment, joined with the outcomes.
        """
        if customer_id is None and isinstance(segments, pd.Series):
            customer_id = "customer_id"
        return CampaignTest(
            arm=arm,
            control=self.control,
            metrics=metrics,
            segments=segments,
            customer_id=customer_id,
            allocation=self.arms,
        )

    def balance(
        self,
        assignment: Assignment,
        customers: pd.DataFrame,
        *,
        columns: Sequence[str] | None = None,
    ) -> Balance:
        """Compare what was known of the customers before, between the arms.

        Parameters
        ----------
        assignment
            What `assign` returned, for all or some of the customers.
        customers
            A frame with one row per customer, whose index or column is ``customer_id``.
        columns
            What to compare: numbers, truth values and categories; all of them when ``None``.

        Returns
        -------
        Balance
            Standardised differences from control, and a test of all of them at once.

        Raises
        ------
        ColumnError
            If a column is missing.
        ParameterError
            If `assignment` is none.
        DataError
            If customers are missing, or no column can be compared.
        """
        if not isinstance(assignment, Assignment):
            raise ParameterError(
                f"assignment is a {type(assignment).__name__}, but must be what assign returned."
            )
        ids, rows = customer_rows(customers)
        columns = list(rows.columns) if columns is None else list(_columns(columns, "columns"))
        check_columns(rows.columns, columns, where="the customer table")
        rows = rows.set_axis(ids)
        unknown = assignment.customers.index.difference(rows.index)
        if len(unknown):
            raise DataError(
                f"{len(unknown):,} assigned customers are not in the table, such as "
                f"{unknown[0]!r}. Give the table that was assigned."
            )
        assigned = assignment.customers[~assignment.customers["holdout"]]
        return compare_arms(
            rows.loc[assigned.index, columns],
            assigned["arm"],
            self.control,
            assigned["stratum"] if assignment.method == "stratified" else None,
        )

    def sample_size(
        self,
        effect: Effect = None,
        *,
        relative_effect: Effect = None,
        baseline: float | Baselines | None = None,
        **options: Any,
    ) -> PowerAnalysis:
        """Return how many customers find an effect.

        Parameters
        ----------
        effect, relative_effect, baseline
            As in `custseg.campaigns.sample_size`.
        **options
            Its other parameters; the allocation is that of the design.

        Returns
        -------
        PowerAnalysis
            Customers by arm, and `n` in all arms. `n_campaign` counts those held out as well: it is
            what `power` and `minimum_detectable_effect` take.

        Examples
        --------
        >>> design = CampaignDesign(arms={"control": 0.8, "email": 0.2}, holdout=0.1)
        >>> needed = design.sample_size(0.02, baseline=0.1).to_frame()
        >>> needed[["n_control", "n_treatment", "n", "n_campaign"]]
           n_control  n_treatment      n  n_campaign
        0       9412         2353  11765       13073
        >>> round(design.power(13_073, 0.02, baseline=0.1).power, 3)
        0.8
        """
        found = sample_size(
            effect,
            relative_effect=relative_effect,
            baseline=baseline,
            allocation=self.arms,
            **options,
        )
        return self._with_holdout(found)

    def minimum_detectable_effect(
        self, n: float, *, baseline: float | Baselines | None = None, **options: Any
    ) -> PowerAnalysis:
        """Return the smallest effect that a campaign of `n` customers finds.

        Parameters
        ----------
        n
            Customers of the campaign, those held out included: `n_campaign` of `sample_size`.
        baseline
            As in `custseg.campaigns.minimum_detectable_effect`.
        **options
            Its other parameters; the allocation is that of the design.

        Returns
        -------
        PowerAnalysis
            The effect of each arm.
        """
        found = minimum_detectable_effect(
            self._in_arms(n), baseline=baseline, allocation=self.arms, **options
        )
        return self._with_holdout(found, n)

    def power(
        self,
        n: float,
        effect: Effect = None,
        *,
        relative_effect: Effect = None,
        baseline: float | Baselines | None = None,
        **options: Any,
    ) -> PowerAnalysis:
        """Return the chance that a campaign of `n` customers finds an effect.

        Parameters
        ----------
        n
            Customers of the campaign, those held out included: `n_campaign` of `sample_size`.
        effect, relative_effect, baseline
            As in `custseg.campaigns.power`.
        **options
            Its other parameters; the allocation is that of the design.

        Returns
        -------
        PowerAnalysis
            The power of each arm.
        """
        found = power(
            self._in_arms(n),
            effect,
            relative_effect=relative_effect,
            baseline=baseline,
            allocation=self.arms,
            **options,
        )
        return self._with_holdout(found, n)

    def duration(self, n: float, traffic: float | pd.Series, *, follow_up: int = 0) -> Duration:
        """Return how many days it takes until the arms have `n` customers and their outcomes.

        Parameters
        ----------
        n
            Customers in the arms, such as ``design.sample_size(...).n``.
        traffic, follow_up
            As in `custseg.campaigns.duration`; the holdout is taken out of the traffic.

        Returns
        -------
        Duration
            Days to enrol and in all.

        Examples
        --------
        >>> design = CampaignDesign(arms={"control": 0.5, "email": 0.5}, holdout=0.2)
        >>> design.duration(8_000, 500, follow_up=28).days
        48
        """
        return duration(n, traffic, share=1 - self.holdout, follow_up=follow_up)

    def _in_arms(self, n: float) -> float:
        check_number(n, "n", gt=0)
        return n * (1 - self.holdout)

    def _with_holdout(self, found: PowerAnalysis, n: float | None = None) -> PowerAnalysis:
        """Count those held out in `n_campaign`, which is `n` where it was given."""
        if not self.holdout:
            return found
        table, k = found.to_frame(), len(self.arms) - 1
        questions = [replace(q, share=q.share * (1 - self.holdout)) for q in found.questions]
        if n is None:
            control, arms = table["n_control"].to_numpy(), table["n_treatment"].to_numpy()
            sizes = [
                campaign_size(question, np.append(control[k * i], arms[k * i : k * (i + 1)]))
                for i, question in enumerate(questions)
            ]
            table["n_campaign"] = np.repeat(sizes, k)
        else:
            table["n_campaign"] = int(np.ceil(n))
        note = (
            f"{100 * self.holdout:g}% of the campaign are held out: n counts the customers in the "
            "arms, n_campaign all of them."
        )
        notes = (*found.notes, note)
        return replace(found, table=table, questions=tuple(questions), notes=notes)

    def _notes(self, frame: pd.DataFrame, method: str) -> Iterator[str]:
        if method == "hash" and self.strata:
            yield "By hash the arms are balanced in the strata on average only."
        if method == "stratified":
            small = frame[~frame["holdout"]]["stratum"].value_counts() < len(self.arms)
            if small.any():
                yield (
                    f"{small.sum():,} of {len(small):,} strata have fewer customers than there are "
                    "arms: there an arm may be empty."
                )
        if self.holdout and self.holdout_salt == self.salt:
            yield (
                "The holdout is drawn for this campaign alone: give campaigns the same "
                "holdout_salt to keep the same customers out of all of them."
            )


def _columns(names: Any, what: str) -> tuple[Any, ...]:
    if not isinstance(names, Iterable):
        raise ParameterError(f"{what} is {names!r}, but must be a list of columns.")
    return (names,) if isinstance(names, str) else tuple(names)


def _stratum_names(rows: pd.DataFrame, strata: Sequence[str]) -> pd.Series:
    if not strata:
        return pd.Series("(all)", index=rows.index, dtype=str)
    texts = [
        rows[column].astype(object).where(rows[column].notna(), "(missing)") for column in strata
    ]
    joined = texts[0].astype(str)
    for text in texts[1:]:
        joined = joined + ", " + text.astype(str)
    return joined
