"""Order lines with roles, what is odd in them, and which returns undo which purchases."""

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, InitVar, dataclass, field
from functools import partial
from typing import Any

import narwhals as nw
import pandas as pd

from custseg.audit import ASIDE, DAY, Audit, Check, Rules, account_for
from custseg.checks import (
    NON_PRODUCTS,
    dates,
    duplicates,
    is_blank,
    is_return,
    labels,
    missing,
    outliers,
    plain,
    plausible_days,
)
from custseg.tables._roles import (
    choose,
    cleaned,
    columns_of,
    describe,
    named_roles,
    read_roles,
    require_roles,
    roles_of,
)

POLICIES = {
    "duplicates": ("keep", "drop"),
    "returns": ("drop", "net", "keep"),
    "nonpositive": ("drop", "keep"),
    "missing_id": ("drop", "keep"),
    "future": ("drop", "keep"),
    "non_products": ("keep", "drop"),
    "impossible_date": ("keep", "drop"),
    "inconsistent_labels": ("keep", "unify"),
}
"""What may be done about each finding; the first is the default."""

_WHOLE = 1e-9
"""A share of a return nearer than this to none or all of it is none or all of it."""


@dataclass(frozen=True, repr=False, eq=False)
class Transactions:
    """Order lines with named roles.

    Parameters
    ----------
    data
        A pandas, Polars or PyArrow table, a DuckDB relation, a PySpark frame, an Ibis table, or
        the path of a CSV or Parquet file; one row per order line. It is not changed.
    customer_id, timestamp
        The columns that say who bought and when: a time, a date, ISO text, or whole numbers such
        as 20110131.
    order_id
        The column that says which lines belong together; without it every row is an order.
    line_id
        The column that makes a line unique: rows that share it are duplicates.
    product, category, channel
        What was bought and where.
    quantity, unit_price, amount, discount
        Pieces, money per piece paid, money of the line, share of the list price (0 to 1) taken
        off. Where money is asked, `amount` counts, or `quantity` times `unit_price`.

    Raises
    ------
    ColumnError
        If a named column does not exist.
    DataError
        If the table is empty, a number is text, or times do not parse.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> lines = pd.DataFrame({
    ...     "who": ["ann", "ann", None, "bob"],
    ...     "when": ["2024-01-05", "2024-02-01", "2024-02-02", "2024-02-03"],
    ...     "paid": [20.0, 35.0, 10.0, -35.0],
    ... })
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when", amount="paid")
    >>> print(tx.audit().summary())
    4 rows in = 2 used + 2 set aside (1 missing_id, 1 returns).
    >>> cs.features.rfm(tx.clean(), as_of="2024-03-01")[["recency", "frequency", "monetary"]]
                 recency  frequency  monetary
    customer_id
    ann               29          2      55.0
    """

    data: InitVar[Any]
    _: KW_ONLY
    customer_id: str
    timestamp: str
    order_id: str | None = None
    line_id: str | None = None
    product: str | None = None
    category: str | None = None
    channel: str | None = None
    quantity: str | None = None
    unit_price: str | None = None
    amount: str | None = None
    discount: str | None = None
    frame: nw.LazyFrame = field(init=False)
    account: Audit | None = field(init=False, default=None)
    rows: pd.DataFrame | None = field(init=False, default=None)
    """The pandas frame that holds exactly these rows, where there is one."""

    def __post_init__(self, data: Any) -> None:
        roles = roles_of(self)
        numbers = ("quantity", "unit_price", "amount", "discount")
        frame = read_roles(data, roles, numbers=numbers, where="the transactions")
        if self.amount is None and self.quantity is not None and self.unit_price is not None:
            frame = frame.with_columns(amount=nw.col("quantity") * nw.col("unit_price"))
        object.__setattr__(self, "frame", frame)
        if isinstance(data, pd.DataFrame) and data.columns.isin(roles.values()).sum() == len(roles):
            object.__setattr__(self, "rows", data)

    def __repr__(self) -> str:
        return describe(self)

    def audit(self, *, as_of: Any = None, **policies: str) -> Audit:
        """Say what is odd in the rows, and which rows `clean` would set aside.

        Parameters
        ----------
        as_of, **policies
            As in `clean`; its defaults where nothing is given.

        Returns
        -------
        Audit
            ``to_frame()`` has one row per check; ``rows_in``, ``rows_used`` and
            ``rows_set_aside`` add up.
        """
        return account_for(self._rules(as_of, policies))

    def clean(
        self,
        *,
        duplicates: str = "keep",
        returns: str = "drop",
        nonpositive: str = "drop",
        missing_id: str = "drop",
        future: str = "drop",
        non_products: str = "keep",
        impossible_date: str = "keep",
        inconsistent_labels: str = "keep",
        as_of: Any = None,
    ) -> "Transactions":
        """Set rows aside by the audit's rules.

        Policies are ``"drop"`` or ``"keep"`` and what is named below. Rows without a time, or
        with a missing or infinite amount, are always set aside. A row is counted under the first
        reason that holds, in the order of the audit. ``docs/raw_tables.md`` has every rule.

        Parameters
        ----------
        duplicates
            Further copies of a line: rows that share `line_id`, or without that role rows that
            are equal in every column of the source. Two equal lines may be two sales.
        returns
            Rows with a negative quantity and a price, or without quantities a negative amount.
            ``"net"`` keeps each on its own date as far as the customer had bought that product
            before, and sets aside the returns that match no purchase; it needs `product`.
            Lines that stay and give money back are no purchases: they count in no order.
        nonpositive
            Other rows whose amount is zero or less.
        missing_id
            Rows without a customer.
        future
            Rows after `as_of`; when it is ``None``, rows after a silence of more than a year in
            the whole table, if they are less than 1% of it.
        non_products
            Rows whose product code stands for postage, fees, adjustments or tests
            (``custseg.checks.NON_PRODUCTS``).
        impossible_date
            Rows before such a silence, and dates that systems write where they know none.
        inconsistent_labels
            ``"unify"`` writes products, categories and channels that differ only by case or outer
            blanks as they are written most often.
        as_of
            The last calendar date that can be true.

        Returns
        -------
        Transactions
            The remaining rows; its ``account`` is the `Audit`.

        Raises
        ------
        ColumnError
            If returns are netted without the role `product`.
        ParameterError
            If a policy is not one of the options.
        DataError
            If no row would remain.
        """
        policies = {
            "duplicates": duplicates,
            "returns": returns,
            "nonpositive": nonpositive,
            "missing_id": missing_id,
            "future": future,
            "non_products": non_products,
            "impossible_date": impossible_date,
            "inconsistent_labels": inconsistent_labels,
        }
        return cleaned(self, self._rules(as_of, policies))

    def _rules(self, as_of: Any, policies: Mapping[str, str]) -> Rules:
        chosen = choose(policies, POLICIES)
        if chosen["returns"] == "net":
            require_roles(self, ["product", "amount"], what='returns="net"')
        frame, columns = self.frame, columns_of(self.frame)
        span = plausible_days(frame, as_of)
        known = frame.filter(nw.col(DAY) <= span[1])
        checks = [
            duplicates(columns, chosen["duplicates"], line="line_id" if self.line_id else None),
            missing(
                frame,
                "customer_id",
                chosen["missing_id"],
                "rows without a customer describe nobody",
                role="id",
            ),
            *dates(span, chosen, role="timestamp", missing="drop"),
        ]
        roles = named_roles(self)
        if "amount" in roles:
            checks += _money_checks(roles, chosen)
        if self.product:
            listed = plain(nw.col("product").cast(nw.String)).is_in(NON_PRODUCTS)
            remedy = "postage, fees and tests are no purchases; drop them where products matter"
            checks.append(Check("non_products", listed, chosen["non_products"], remedy))
        if self.order_id:
            remedy = "lines without an order belong to no basket, and returns match no purchase"
            checks.append(missing(frame, "order_id", "keep", remedy, role="order_id"))
        named = [role for role in ("product", "category", "channel") if getattr(self, role)]
        if named:
            checks.append(labels(known, named, chosen["inconsistent_labels"]))
        if "amount" in roles:
            checks.append(outliers(known, ["amount"]))
        ids = (role for role in ("line_id", "order_id", "customer_id") if getattr(self, role))
        return Rules(frame, checks, frame.collect_schema().names(), next(ids))


def _money_checks(roles: Collection[str], chosen: Mapping[str, str]) -> list[Check]:
    amount, returned = nw.col("amount"), is_return(roles)
    nonpositive = (amount <= 0).fill_null(False) & ~returned
    checks = _return_checks(roles, chosen["returns"]) if "product" in roles else []
    remedy = {
        "drop": "'net' subtracts them from what was bought, on their own date",
        "net": "each counts from its own date, as far as its product was bought before",
        "keep": "they count as order lines of a negative amount, also where nothing was bought",
    }[chosen["returns"]]
    gifts = "gifts, write-offs and corrections; keep them where they are real orders"
    return [
        *checks,
        Check("returns", returned, chosen["returns"], remedy),
        Check("nonpositive", nonpositive, chosen["nonpositive"], gifts),
        Check(
            "missing_amount",
            ~amount.is_finite().fill_null(False),
            "drop",
            "fill in the amount in the source",
        ),
    ]


def _return_checks(roles: Collection[str], policy: str) -> list[Check]:
    """Mark the returns that undo nothing, or more than was bought, of a product before."""
    matched, netted = nw.col("_matched"), policy == "net"
    scaled = {
        name: nw.col(name) * matched.fill_null(1.0)
        for name in ("quantity", "amount")
        if name in roles
    }
    return [
        Check(
            "unmatched_returns",
            matched == 0,
            "drop" if netted else "keep",
            "nothing of the product was bought before by that customer: the purchase lies before "
            "the data or under another code",
            prepare=partial(_match_returns, roles=roles),
        ),
        Check(
            "partial_returns",
            (matched > 0) & (matched < 1),
            "net" if netted else "keep",
            "more comes back than was bought before; netted, the excess is left out",
            repairs=scaled if netted else {},
        ),
    ]


def _match_returns(frame: nw.LazyFrame, *, roles: Collection[str]) -> nw.LazyFrame:
    """Add the share of each return that undoes purchases, `_matched`, from earlier rows alone.

    What a customer owns of a product goes up with each purchase and down with each return, in the
    order of time, and never below nothing: a running sum held at its running minimum. Only the
    products that a customer gave back at all have to be put in order.
    """
    amount, measure = nw.col("amount"), nw.col("quantity" if "quantity" in roles else "amount")
    pool, order = ["customer_id", "_product"], ["timestamp", "_purchases_first", "amount"]
    frame = frame.with_columns(_product=plain(nw.col("product").cast(nw.String)))
    pools = frame.filter(is_return(roles)).select(*pool).unique()
    returned = is_return(roles) & ~nw.col(ASIDE)
    others = frame.join(pools, on=pool, how="anti")
    others = others.with_columns(_matched=nw.when(returned).then(nw.lit(0.0)))

    known = ~nw.col(ASIDE) & measure.is_finite() & amount.is_finite()
    ordered = ~is_blank(frame, "order_id") if "order_id" in roles else nw.lit(True)
    moves = known & (((amount > 0) & (measure > 0)) | (is_return(roles) & ordered))
    change = nw.when(moves.fill_null(False)).then(measure).otherwise(0.0)
    rows = frame.join(pools, on=pool, how="semi")
    rows = rows.with_columns(_change=change, _purchases_first=-change)
    change = nw.col("_change")
    rows = rows.with_columns(_sum=change.cum_sum().over(*pool, order_by=order))
    before = nw.col("_sum") - change
    rows = rows.with_columns(_owned=before - before.cum_min().over(*pool, order_by=order))
    share = nw.col("_owned") / nw.when(change < 0).then(-change).otherwise(1.0)
    matched = (
        nw.when((change >= 0) | (share < _WHOLE))
        .then(0.0)
        .when(share > 1 - _WHOLE)
        .then(1.0)
        .otherwise(share)
    )
    rows = rows.with_columns(_matched=nw.when(returned).then(matched))
    return nw.concat([rows.select(*others.collect_schema().names()), others], how="vertical")
