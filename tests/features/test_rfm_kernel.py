"""The compiled pass over rows in memory against plain NumPy and against the engine."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import custseg as cs
from custseg._kernels.rfm import LATEST, MISSING, TOTALS, count_orders
from custseg.features import transactions

ROLES = {"customer_id": "who", "timestamp": "when", "order_id": "order", "amount": "paid"}


def plain(
    customers: NDArray[np.int64],
    times: NDArray[np.int64],
    orders: NDArray[np.int64] | None,
    amounts: NDArray[np.float64],
    end: int,
) -> pd.DataFrame:
    """Count the same without a loop over rows, with all orders in memory."""
    known = times <= end
    customers, times, amounts = customers[known], times[known], amounts[known]
    first, last = np.full(customers.max() + 1, LATEST), np.full(customers.max() + 1, MISSING)
    np.minimum.at(first, customers, times)
    np.maximum.at(last, customers, times)
    pairs = np.column_stack(
        [customers, np.arange(len(customers)) if orders is None else orders[known]]
    )
    return pd.DataFrame(
        {
            "first": first,
            "last": last,
            "orders": np.bincount(np.unique(pairs, axis=0)[:, 0]),
            "amount": np.bincount(customers, weights=amounts),
        }
    )


def compiled(
    customers: NDArray[np.int64],
    times: NDArray[np.int64],
    orders: NDArray[np.int64] | None,
    amounts: NDArray[np.float64],
    end: int = LATEST,
) -> tuple[NDArray[np.void], bool]:
    columns = [customers, times, np.empty(0, np.int64) if orders is None else orders, amounts]
    for column in columns:
        column.flags.writeable = False
    return count_orders(
        columns[0], 0, int(customers.max()) + 1, columns[1], columns[2], columns[3], end
    )


def lines(seed: int, n: int = 60) -> tuple[NDArray[np.int64], ...]:
    """Return lines in the order of time, with order numbers that several customers share."""
    rng = np.random.default_rng(seed)
    customers = rng.integers(0, 6, n)
    times = np.sort(rng.integers(-50, 300, n))
    return customers, times, np.cumsum(rng.integers(0, 2, n)), rng.gamma(2, 10, n)


@pytest.mark.parametrize("with_orders", [True, False])
@given(seed=st.integers(0, 2**32 - 1), end=st.sampled_from([40, 150, LATEST]))
def test_equal_to_plain_numpy(seed: int, end: int, with_orders: bool) -> None:  # noqa: FBT001
    customers, times, orders, amounts = lines(seed)
    chosen = orders if with_orders else None
    expected = plain(customers, times, chosen, amounts, end)
    totals, exact = compiled(customers, times, chosen, amounts, end)
    assert exact
    bought = totals[totals["orders"] > 0]
    expected = expected[expected["last"] > MISSING]
    assert np.flatnonzero(totals["orders"]).tolist() == expected.index.tolist()
    for name in ("first", "last", "orders"):
        assert bought[name].tolist() == expected[name].tolist()
    np.testing.assert_allclose(bought["amount"], expected["amount"], rtol=1e-12)


def test_gives_up_where_it_could_miscount() -> None:
    customers, times, orders, amounts = lines(0)
    assert not compiled(customers, times, orders[::-1].copy(), amounts)[1]
    assert not compiled(customers, times, orders, np.append(amounts[:-1], np.nan))[1]
    assert not compiled(customers, np.append(times[:-1], MISSING), orders, amounts)[1]


def test_falling_numbers_of_different_customers_are_fine() -> None:
    customers, orders = np.array([0, 1, 0, 1]), np.array([9, 4, 9, 5])
    totals, exact = compiled(customers, np.arange(4), orders, np.ones(4))
    assert exact
    assert totals["orders"].tolist() == [1, 2]


def test_an_order_may_have_the_lowest_number_there_is() -> None:
    totals, exact = compiled(np.zeros(2, int), np.arange(2), np.array([MISSING, 0]), np.ones(2))
    assert exact
    assert totals["orders"].tolist() == [2]
    assert TOTALS["orders"] == np.int64


def sales(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, 400 * 86_400, n))
    return pd.DataFrame(
        {
            "who": rng.integers(1_000, 1_300, n).astype("int32"),
            "when": pd.Timestamp("1969-06-01") + pd.to_timedelta(seconds, unit="s"),
            "order": seconds // 40_000,
            "paid": rng.gamma(2, 20, n).round(2),
            "pieces": rng.integers(1, 5, n),
            "price": rng.gamma(2, 9, n).round(2),
        }
    )


def both_roads(
    frame: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    as_of: str | None = None,
    roles: dict[str, str] = ROLES,
) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Return the table in memory, the table of the engine, and whether the pass was taken."""
    tx = cs.Transactions(frame, **roles)
    slow = cs.features.rfm(tx, as_of)
    monkeypatch.setattr(transactions, "_LARGE", 0)
    taken = transactions._count_in_memory(tx, as_of) is not None
    return cs.features.rfm(tx, as_of), slow, taken


def same(fast: pd.DataFrame, slow: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(fast, slow, check_exact=False, rtol=1e-9)
    assert fast.attrs == slow.attrs


WITHOUT_ORDERS = {role: column for role, column in ROLES.items() if role != "order_id"}
FRAMES = {
    "whole numbers": (sales(), ROLES),
    "no orders": (sales(), WITHOUT_ORDERS),
    "text": (
        sales().assign(
            who=lambda f: "C" + f["who"].astype(str), order=lambda f: "O" + f["order"].astype(str)
        ),
        ROLES,
    ),
    "floats": (sales().astype({"who": "float64"}), ROLES),
    "numbers far apart": (sales().assign(who=lambda f: f["who"].astype("int64") ** 4), ROLES),
    "nanoseconds": (sales().astype({"when": "datetime64[ns]"}), ROLES),
    "seconds": (sales().astype({"when": "datetime64[s]"}), ROLES),
    "pieces and price": (
        sales().drop(columns="paid"),
        WITHOUT_ORDERS | {"quantity": "pieces", "unit_price": "price"},
    ),
    "every other row": (sales(6000).iloc[::2], ROLES),
}
FRAMES["pieces and price"][1].pop("amount")


@pytest.mark.parametrize("as_of", [None, "1969-12-31", "1970-02-03"])
@pytest.mark.parametrize("kind", FRAMES)
def test_equal_to_the_engine(kind: str, as_of: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, roles = FRAMES[kind]
    fast, slow, taken = both_roads(frame, monkeypatch, as_of, roles)
    assert taken
    same(fast, slow)


@pytest.mark.parametrize(
    "frame",
    [
        sales().sample(frac=1, random_state=1),
        sales().assign(when=lambda f: f["when"].dt.tz_localize("Europe/Rome")),
        sales().assign(when=lambda f: f["when"].astype(str)),
        sales().astype({"order": "float64"}),
        sales().astype({"who": "category"}),
    ],
    ids=["shuffled", "with a zone", "times as text", "orders as floats", "categories"],
)
def test_what_the_pass_cannot_count_goes_to_the_engine(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, slow, taken = both_roads(frame, monkeypatch)
    assert not taken
    same(fast, slow)


@pytest.mark.parametrize(
    ("column", "words"), [("who", "customer_id"), ("when", "timestamp"), ("paid", "amount")]
)
def test_missing_values_are_refused_as_ever(
    column: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "_LARGE", 0)
    frame = sales().astype({"who": "float64"})
    frame.loc[7, column] = None
    with pytest.raises(cs.errors.DataError, match=f"1 rows without {words}"):
        cs.features.rfm(cs.Transactions(frame, **ROLES))


def test_nobody_by_then_is_refused_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_LARGE", 0)
    with pytest.raises(cs.errors.DataError, match="nobody bought by 1960-01-01"):
        cs.features.rfm(cs.Transactions(sales(), **ROLES), as_of="1960-01-01")


def test_rows_set_aside_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_LARGE", 0)
    frame = sales()
    frame.loc[frame.index % 10 == 0, "paid"] *= -1
    tx = cs.Transactions(frame, **ROLES).clean()
    assert transactions._count_in_memory(tx, None) is None
    assert cs.features.rfm(tx)["monetary"].sum() == pytest.approx(frame["paid"].clip(lower=0).sum())
    untouched = cs.Transactions(sales(), **ROLES).clean()
    assert transactions._count_in_memory(untouched, None) is not None
