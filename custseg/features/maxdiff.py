"""What customers value most and least: best-worst choices, counted and modelled per customer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import stats

from custseg._engine import collect, to_lazy
from custseg.errors import DataError, check_columns, check_number
from custseg.features._best_worst import Choices, Matrix, contrasts, estimate, softmax
from custseg.features.dictionary import Column, attach
from custseg.results import Result
from custseg.tables import plain_ids


@dataclass(frozen=True, repr=False, eq=False)
class MaxDiff(Result):
    """Best-worst scores of items, on average and for each customer.

    Parameters
    ----------
    items
        One row per item, best first: `item`, `shown`, `best`, `worst` (counts), `score` (best
        minus worst over shown), `utility` (mean over customers; 0 is the average item) with `se`,
        `ci_low` and `ci_high`, `sd` (standard deviation between customers) and `share` (mean
        probability of being picked among all items).
    utilities
        Customers x items, columns ``maxdiff_<item>``: individual utilities, each row with mean 0.
        ``attrs`` has the data dictionary.
    standard_errors
        Their posterior standard deviations, in the same shape.
    counts
        Customers x items, columns ``maxdiff_count_<item>``: best minus worst over times shown, -1
        to 1; missing where a customer never saw the item.
    notes
        What to know and what to do.
    """

    items: pd.DataFrame
    utilities: pd.DataFrame
    standard_errors: pd.DataFrame
    counts: pd.DataFrame
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "survey.maxdiff"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per item, best first."""
        return self.items.copy()

    def summary(self) -> str:
        """Return the best and the worst item and how far customers differ."""
        first, last = self.items.iloc[0], self.items.iloc[-1]
        widest = self.items.loc[self.items["sd"].idxmax()]
        return (
            f"{len(self.utilities):,} customers value {first['item']} most "
            f"({first['utility']:.2f}) and {last['item']} least ({last['utility']:.2f}); they "
            f"differ most in {widest['item']} (sd {widest['sd']:.2f})."
        )

    def _shown(self) -> pd.DataFrame:
        return self.items.set_index("item")


def maxdiff(
    tasks: Any,
    *,
    customer_id: str = "customer_id",
    task: str = "task",
    item: str = "item",
    choice: str = "choice",
    level: float = 0.95,
    max_iter: int = 1_000,
    tol: float = 1e-4,
) -> MaxDiff:
    """Score the items of a best-worst (MaxDiff) exercise, on average and for each customer.

    Each task is a pick of the best item and then of the worst of the rest, with logit
    probabilities in the customer's own utilities; utilities are normal across customers. Mean and
    covariance of that normal are estimated from all customers (empirical Bayes), and each
    customer's utilities are the posterior mean: many tasks let a customer speak, few draw them to
    the average.

    Parameters
    ----------
    tasks
        Any table that `Transactions` takes; one row per customer, task and item shown.
    customer_id, task, item
        The columns that say who, in which task, and which item.
    choice
        The column that says 1 for the best, -1 for the worst, 0 for the others.
    level
        Confidence level of the intervals, between 0 and 1.
    max_iter
        The largest number of rounds of the estimation.
    tol
        The largest change of a mean or covariance in a round that counts as settled.

    Returns
    -------
    MaxDiff
        Item table, individual utilities with standard errors, and individual counts.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If values are missing, a task has no best or worst item or two of them, shows an item
        twice, or there are fewer than two customers or items.
    ConvergenceError
        If the estimation does not settle.

    References
    ----------
    Louviere, J. J., Flynn, T. N. & Marley, A. A. J. (2015). Best-Worst Scaling. Cambridge
    University Press. Train, K. (2009). Discrete Choice Methods with Simulation, chapters 11-12.
    Tierney, L., Kass, R. E. & Kadane, J. B. (1989), JASA 84, 710-716 (posterior means from modes
    and skewness).

    Examples
    --------
    >>> import pandas as pd
    >>> tasks = pd.DataFrame({
    ...     "customer_id": ["ann"] * 6 + ["bob"] * 6,
    ...     "task": [1, 1, 1, 2, 2, 2] * 2,
    ...     "item": ["price", "staff", "range"] * 4,
    ...     "choice": [1, 0, -1, 1, 0, -1, 0, 1, -1, 1, 0, -1],
    ... })
    >>> found = maxdiff(tasks)
    >>> found.to_frame()[["item", "shown", "best", "worst", "score"]]
        item  shown  best  worst  score
    0  price      4     3      0   0.75
    1  staff      4     1      0   0.25
    2  range      4     0      4  -1.00
    >>> found.counts
                 maxdiff_count_price  maxdiff_count_range  maxdiff_count_staff
    customer_id
    ann                          1.0                 -1.0                  0.0
    bob                          0.5                 -1.0                  0.5
    """
    check_number(level, "level", gt=0, lt=1)
    check_number(max_iter, "max_iter", ge=1, integer=True)
    check_number(tol, "tol", gt=0)
    names = {"customer_id": customer_id, "task": task, "item": item, "choice": choice}
    rows = _read(tasks, names)
    choices, ids, labels = _choice_sets(rows)
    basis = contrasts(len(labels))
    mean, spread, found = estimate(choices, basis, max_iter=max_iter, tol=tol)
    utilities = found.means @ basis.T
    errors = np.sqrt(np.einsum("ij,njk,ik->ni", basis, found.covariances, basis))
    precision = found.information - found.information @ found.covariances @ found.information
    mean_covariance = basis @ np.linalg.inv(precision.sum(axis=0)) @ basis.T
    se = np.sqrt(np.diag(mean_covariance))
    z = stats.norm.isf((1 - level) / 2)
    counted = _count(rows)
    total = counted.groupby("item").sum()
    table = pd.DataFrame(
        {
            "item": labels,
            **{name: total[name].to_numpy() for name in ("shown", "best", "worst")},
            "score": ((total["best"] - total["worst"]) / total["shown"]).to_numpy(),
            "utility": basis @ mean,
            "se": se,
            "ci_low": basis @ mean - z * se,
            "ci_high": basis @ mean + z * se,
            "sd": np.sqrt(np.diag(basis @ spread @ basis.T)),
            "share": softmax(utilities).mean(axis=0),
        }
    ).sort_values(["utility", "item"], ascending=[False, True], ignore_index=True)
    counts = ((counted["best"] - counted["worst"]) / counted["shown"]).unstack("item")
    return MaxDiff(
        table,
        _frame(utilities, ids, labels, "maxdiff_", "individual utility of {}, 0 = average item"),
        _frame(errors, ids, labels, "maxdiff_", "standard error of the utility of {}"),
        _frame(counts.to_numpy(), ids, labels, "maxdiff_count_", "(best - worst) / shown of {}"),
        _notes(rows, errors, spread, basis),
    )


def _read(tasks: Any, names: Mapping[str, str]) -> pd.DataFrame:
    frame = to_lazy(tasks)
    schema = frame.collect_schema()
    check_columns(schema.names(), names.values(), where="the table of tasks")
    if not schema[names["choice"]].is_numeric():
        raise DataError(
            f"column {names['choice']!r} holds {schema[names['choice']]}, not numbers. Write 1 for "
            "the best item, -1 for the worst and 0 for the others."
        )
    rows = collect(frame.select(**{role: nw.col(column) for role, column in names.items()}))
    missing = rows.isna().sum()
    if missing.any():
        shown = ", ".join(f"{n:,} without {names[role]}" for role, n in missing.items() if n)
        raise DataError(f"rows of the tasks are incomplete: {shown}. Complete or remove the tasks.")
    if rows.empty:
        raise DataError("the table of tasks has no rows.")
    odd = ~rows["choice"].isin([-1, 0, 1])
    if odd.any():
        raise DataError(
            f"{names['choice']!r} is {rows['choice'][odd].iloc[0]:g} in {int(odd.sum()):,} rows, "
            "but must be 1 for the best item, -1 for the worst and 0 for the others."
        )
    rows["customer_id"] = plain_ids(rows["customer_id"]).to_numpy()
    return rows.sort_values(["customer_id", "task", "item"], ignore_index=True)


def _choice_sets(rows: pd.DataFrame) -> tuple[Choices, pd.Index, list[Any]]:
    """Return the picks of a best item from each task and of a worst one from its rest."""
    if rows.duplicated(["customer_id", "task", "item"]).any():
        n = int(rows.duplicated(["customer_id", "task", "item"]).sum())
        raise DataError(f"{n:,} rows show an item twice in one task. Remove the copies.")
    by_task = rows.groupby(["customer_id", "task"], sort=False)
    number = by_task.ngroup().to_numpy()
    best = np.bincount(number, rows["choice"] == 1)
    worst = np.bincount(number, rows["choice"] == -1)
    wrong = (best != 1) | (worst != 1)
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum()):,} of {len(wrong):,} tasks do not have exactly one best and one "
            "worst item. Complete or remove them."
        )
    customer, ids = pd.factorize(rows["customer_id"], sort=True)
    code, labels = pd.factorize(rows["item"], sort=True)
    if len(ids) < 2 or len(labels) < 2:
        raise DataError(
            f"there are {len(ids)} customers and {len(labels)} items, but it takes two of each."
        )
    place = by_task.cumcount().to_numpy()
    shape = (len(best), int(place.max()) + 1)
    items, chosen = np.zeros(shape, dtype=np.intp), np.zeros(shape)
    there = np.zeros(shape, dtype=bool)
    items[number, place], chosen[number, place] = code, rows["choice"]
    there[number, place] = True
    whose = np.zeros(len(best), dtype=np.intp)
    whose[number] = customer
    sets = Choices(
        items=np.concatenate([items, items]),
        there=np.concatenate([there, there & (chosen != 1)]),
        sign=np.repeat([1.0, -1.0], len(best))[:, None],
        chosen=np.concatenate([chosen.argmax(axis=1), chosen.argmin(axis=1)]),
        customer=np.concatenate([whose, whose]),
        n_customers=len(ids),
        n_items=len(labels),
    )
    return sets, pd.Index(ids, name="customer_id"), list(labels)


def _count(rows: pd.DataFrame) -> pd.DataFrame:
    marked = rows.assign(shown=1, best=rows["choice"] == 1, worst=rows["choice"] == -1)
    return marked.groupby(["customer_id", "item"])[["shown", "best", "worst"]].sum()


def _frame(
    values: Matrix, ids: pd.Index, labels: Sequence[Any], prefix: str, definition: str
) -> pd.DataFrame:
    columns = [f"{prefix}{label}" for label in labels]
    entries = {
        column: Column("benefits", "numeric", definition.format(label), "best-worst tasks")
        for column, label in zip(columns, labels, strict=True)
    }
    return attach(pd.DataFrame(values, ids, columns), entries, as_of=None)


def _notes(rows: pd.DataFrame, errors: Matrix, spread: Matrix, basis: Matrix) -> tuple[str, ...]:
    tasks = rows.groupby("customer_id")["task"].nunique()
    few, many = tasks.min(), tasks.max()
    number = f"{few}" if few == many else f"{few} to {many}"
    own = 1 - (errors**2).mean() / np.diag(basis @ spread @ basis.T).mean()
    first = (
        f"customers answered {number} tasks each; {own:.0%} of what sets them "
        "apart shows in their own answers, the rest of each score is drawn to the mean."
    )
    seen = rows.groupby("item")["customer_id"].nunique()
    if (seen == len(tasks)).all():
        return (first,)
    return first, "some customers never saw some items: those scores rest on the others alone."
