"""From people to the companies that they buy for: contacts rolled up into accounts."""

from collections.abc import Mapping
from datetime import date

import pandas as pd

from custseg.errors import DataError, ParameterError, check_columns, check_option
from custseg.features.dictionary import Column, attach, describe_columns
from custseg.tables import plain_ids

RULES = ("sum", "mean", "min", "max", "most_frequent")


def roll_up_accounts(
    contacts: pd.DataFrame, account: str, rules: Mapping[str, str]
) -> pd.DataFrame:
    """Roll contacts up into their accounts: from people to the companies that they buy for.

    Parameters
    ----------
    contacts
        A customer table whose customers are contacts or users.
    account
        The column that says whose account each belongs to.
    rules
        Column to ``"sum"``, ``"mean"``, ``"min"``, ``"max"`` or ``"most_frequent"`` (of equally
        frequent values, the first in their order). Missing values do not count.

    Returns
    -------
    pandas.DataFrame
        One row per account on the unique index `customer_id`, which holds the account:
        `n_contacts` and one column per rule, missing where no contact has a value. ``attrs`` has
        the data dictionary, and the date that the contacts carried.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If contacts have no account or occur twice, or text is to be calculated with.
    ParameterError
        If a rule does not exist.

    Examples
    --------
    >>> import pandas as pd
    >>> contacts = pd.DataFrame({"company": ["Acme", "Acme", "Bolt"], "orders": [3, 4, 1],
    ...                          "channel": ["web", "web", "phone"]},
    ...                         index=pd.Index([1, 2, 3], name="customer_id"))
    >>> roll_up_accounts(contacts, "company", {"orders": "sum", "channel": "most_frequent"})
                 n_contacts  orders channel
    customer_id
    Acme                  2       7     web
    Bolt                  1       1   phone
    """
    if not isinstance(rules, Mapping) or not rules:
        raise ParameterError("rules must say how to roll up, as in {'orders': 'sum'}.")
    check_columns(contacts.columns, [account, *rules], where="the table of contacts")
    for column, rule in rules.items():
        check_option(rule, f"the rule of {column!r}", RULES)
        if rule != "most_frequent" and not pd.api.types.is_numeric_dtype(contacts[column]):
            raise DataError(
                f"column {column!r} holds {contacts[column].dtype}, which has no {rule}. Use "
                "'most_frequent', or make it a number."
            )
    if contacts.index.has_duplicates:
        raise DataError(
            f"{int(contacts.index.duplicated().sum()):,} rows repeat a contact. Keep one each."
        )
    without = int(contacts[account].isna().sum())
    if without:
        raise DataError(
            f"{without:,} contacts have no {account!r}. Give them one, or leave them out."
        )
    people = contacts.sort_index()
    by_account = people.groupby(account, observed=True)
    table = by_account.size().rename("n_contacts").to_frame()
    for column, rule in rules.items():
        table[column] = _rolled(people, account, column, rule)
    table.index = plain_ids(table.index.to_series())
    entries = {"n_contacts": Column("firmographic", "count", "number of contacts", "contacts")}
    known = describe_columns(contacts[list(rules)]).set_index("column")
    for column, rule in rules.items():
        about = known.loc[column]
        family = about["family"] if isinstance(about["family"], str) else "firmographic"
        what = about["definition"] if isinstance(about["definition"], str) else str(column)
        words = f"{rule.replace('_', ' ')} over contacts: {what}"
        entries[column] = Column(family, _rolled_kind(about["kind"], rule), words, "contacts")
    day = contacts.attrs.get("as_of")
    return attach(table, entries, as_of=None if day is None else date.fromisoformat(day))


def _rolled(people: pd.DataFrame, account: str, column: str, rule: str) -> pd.Series:
    if rule != "most_frequent":
        grouped = people.groupby(account, observed=True)[column]
        return grouped.sum(min_count=1) if rule == "sum" else grouped.agg(rule)
    counts = people.groupby([account, column], observed=True).size().rename("n").reset_index()
    counts = counts.sort_values([account, "n", column], ascending=[True, False, True])
    return counts.drop_duplicates(account).set_index(account)[column]


def _rolled_kind(kind: str, rule: str) -> str:
    if rule == "mean":
        return "share" if kind in ("share", "binary") else "numeric"
    if rule == "sum":
        return "count" if kind in ("count", "binary") else "numeric"
    return kind
