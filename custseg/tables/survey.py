"""Answers to a survey with roles, and which of them were given without reading."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any

import narwhals as nw

from custseg._engine import collect, keep_middle, one_if
from custseg.audit import DAY, Audit, Check, Rules, account_for
from custseg.checks import dates, duplicates, missing, plausible_days, repeated_id
from custseg.errors import check_columns
from custseg.tables._roles import choose, cleaned, columns_of, describe, read_roles, roles_of

POLICIES = {
    "duplicates": ("drop", "keep"),
    "missing_id": ("drop", "keep"),
    "future": ("drop", "keep"),
    "impossible_date": ("keep", "drop"),
    "repeated_id": ("first", "latest", "keep"),
    "straight_lining": ("keep", "drop"),
    "speeders": ("keep", "drop"),
}
"""What may be done about each finding; the first is the default."""

SPEEDING = 1 / 3
"""Speeders need less than this share of the median duration."""

FEWEST_ITEMS = 3
"""One answer to fewer items than this is no straight line."""


@dataclass(frozen=True, repr=False, eq=False)
class Survey:
    """Answers to a survey with named roles; one row per response.

    Parameters
    ----------
    data
        Any table that `Transactions` takes.
    customer_id
        The column that says who answered.
    timestamp
        When.
    duration
        How long it took, in seconds.
    items
        The columns of rating items as they were asked, reverse-coded ones among them.
    nps, csat, ces, comment
        Likelihood to recommend (0 to 10), satisfaction, effort, and free text.

    Examples
    --------
    >>> import pandas as pd
    >>> answers = pd.DataFrame({"who": ["ann", "bob"], "q1": [3, 4], "recommend": [9, 7]})
    >>> Survey(answers, customer_id="who", items=["q1"], nps="recommend")
    Survey(customer_id='who', items=('q1',), nps='recommend')
    """

    data: InitVar[Any]
    _: KW_ONLY
    customer_id: str
    timestamp: str | None = None
    duration: str | None = None
    items: Sequence[str] = ()
    nps: str | None = None
    csat: str | None = None
    ces: str | None = None
    comment: str | None = None
    frame: nw.LazyFrame = field(init=False)
    account: Audit | None = field(init=False, default=None)

    def __post_init__(self, data: Any) -> None:
        object.__setattr__(self, "items", tuple(self.items))
        numbers = ("duration", "nps", "csat", "ces")
        frame = read_roles(data, roles_of(self), numbers=numbers, where="the survey")
        check_columns(frame.collect_schema().names(), self.items, where="the survey")
        object.__setattr__(self, "frame", frame)

    def __repr__(self) -> str:
        return describe(self)

    def audit(self, *, as_of: Any = None, **policies: str) -> Audit:
        """Say what is odd in the responses, and which of them `clean` would set aside.

        Parameters
        ----------
        as_of, **policies
            As in `clean`; its defaults where nothing is given.
        """
        return account_for(self._rules(as_of, policies))

    def clean(
        self,
        *,
        duplicates: str = "drop",
        missing_id: str = "drop",
        future: str = "drop",
        impossible_date: str = "keep",
        repeated_id: str = "first",
        straight_lining: str = "keep",
        speeders: str = "keep",
        as_of: Any = None,
    ) -> "Survey":
        """Set responses aside by the audit's rules.

        Policies are ``"drop"`` or ``"keep"`` and what is named below. Where the role `timestamp`
        is named, responses without a time are always set aside.

        Parameters
        ----------
        duplicates
            Further copies of a response.
        missing_id, future, impossible_date, as_of
            As in `Transactions.clean`.
        repeated_id
            Customers who answered more than once: ``"first"`` leaves what they said before they
            knew the questions, ``"latest"`` the last response (by `as_of`).
        straight_lining
            Responses with one answer to all items: at least three, and half of them. A sign of
            carelessness where some items are reverse-coded.
        speeders
            Responses in less than a third of the median duration.

        Returns
        -------
        Survey
            The remaining responses; its ``account`` is the `Audit`.

        Raises
        ------
        ParameterError
            If a policy is not one of the options.
        DataError
            If no response would remain.

        References
        ----------
        Greszki, R., Meyer, M. & Schoen, H. (2015). Exploring the effects of removing "too fast"
        responses and respondents from web surveys. Public Opinion Quarterly 79(2), 471-503.
        """
        policies = {
            "duplicates": duplicates,
            "missing_id": missing_id,
            "future": future,
            "impossible_date": impossible_date,
            "repeated_id": repeated_id,
            "straight_lining": straight_lining,
            "speeders": speeders,
        }
        return cleaned(self, self._rules(as_of, policies))

    def _rules(self, as_of: Any, policies: Mapping[str, str]) -> Rules:
        chosen = choose(policies, POLICIES)
        frame, columns = self.frame, columns_of(self.frame)
        nobody = "answers without a customer join nothing"
        checks = [
            duplicates(columns, chosen["duplicates"]),
            missing(frame, "customer_id", chosen["missing_id"], nobody, role="id"),
        ]
        known = frame
        if self.timestamp:
            span = plausible_days(frame, as_of)
            known = frame.filter(nw.col(DAY) <= span[1])
            checks += dates(span, chosen, role="timestamp", missing="drop")
        if self.items:
            checks += _item_checks(frame, self.items, chosen["straight_lining"])
        if self.duration:
            checks.append(_speeders(known, chosen["speeders"]))
        if self.nps:
            outside = ~nw.col("nps").is_between(0, 10) & ~nw.col("nps").is_nan()
            remedy = "answers lie between 0 and 10; make codes such as 99 missing"
            checks.append(Check("impossible_nps", outside, "keep", remedy))
        time = "timestamp" if self.timestamp else None
        checks.append(repeated_id(columns, chosen["repeated_id"], time=time))
        return Rules(frame, checks, frame.collect_schema().names(), "customer_id")


def _item_checks(frame: nw.LazyFrame, items: Sequence[str], policy: str) -> list[Check]:
    """Mark responses without items, with some items left out, and with one answer to all."""
    schema = frame.collect_schema()
    numeric = all(schema[item].is_numeric() for item in items)
    answers = {}
    for n, item in enumerate(items):
        answer = nw.col(item).cast(nw.Float64 if numeric else nw.String)
        known = answer.is_finite() if numeric else answer.str.strip_chars() != ""
        answers[f"_item{n}"] = nw.when(known).then(answer)

    def prepare(frame: nw.LazyFrame) -> nw.LazyFrame:
        frame = frame.with_columns(**answers)
        given = [one_if(~nw.col(name).is_null()) for name in answers]
        return frame.with_columns(
            nw.sum_horizontal(*given).alias("_given"),
            nw.min_horizontal(*answers).alias("_least"),
            nw.max_horizontal(*answers).alias("_most"),
        )

    blanks = prepare(frame.with_columns(_all=nw.lit(1))).select(
        *(one_if(nw.col(name).is_null()).alias(name) for name in answers), "_all"
    )
    counted = collect(blanks.select(nw.all().sum())).iloc[0]
    worst = max(answers, key=lambda name: (counted[name], name))
    share = counted[worst] / counted["_all"]
    item = items[list(answers).index(worst)]
    enough = max(FEWEST_ITEMS, -(-len(items) // 2))
    straight = (nw.col("_given") >= enough) & (nw.col("_least") == nw.col("_most"))
    return [
        Check(
            "straight_lining",
            straight,
            policy,
            "one answer to every item contradicts itself where items are reverse-coded",
            prepare=prepare,
        ),
        Check(
            "no_answers",
            nw.col("_given") == 0,
            "keep",
            "no item was answered: these rows say nothing of the attitudes",
        ),
        Check(
            "item_nonresponse",
            (nw.col("_given") > 0) & (nw.col("_given") < len(items)),
            "keep",
            f"score scales from the items answered; {item} is missing most often ({share:.1%})",
        ),
    ]


def _speeders(known: nw.LazyFrame, policy: str) -> Check:
    """Mark responses that took less than a share of the median duration."""
    timed = known.filter(nw.col("duration").is_finite()).with_columns(all=nw.lit(1))
    middle = collect(keep_middle(timed, "duration", ["all"]).select(nw.col("duration").mean()))
    median = float(middle["duration"].iloc[0])
    bound = median * SPEEDING if median == median else 0.0
    remedy = f"less than a third of the median duration, {bound:.0f} seconds: read in full by few"
    return Check("speeders", nw.col("duration") < bound, policy, remedy)
