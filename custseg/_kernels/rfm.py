"""First and last purchase, orders and money per customer in one pass over rows in memory."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

TOTALS = np.dtype(
    [
        *(("first", np.int64), ("last", np.int64), ("orders", np.int64)),
        *(("newest", np.int64), ("amount", np.float64)),
    ]
)
LATEST = np.iinfo(np.int64).max
MISSING = np.iinfo(np.int64).min  # how numpy stores a missing time

Integers = NDArray[np.int64]


@njit(cache=True, nogil=True)
def count_orders(
    customers: Integers,
    lowest: int,
    n_customers: int,
    times: Integers,
    orders: Integers,
    amounts: NDArray[np.float64],
    end: int,
) -> tuple[NDArray[np.void], bool]:
    """Return the totals of every customer up to `end`, and whether they can be relied on.

    Orders are counted without a memory of all that were seen: that is exact as long as the order
    numbers of a customer never fall from one row to the next. At the first that does, and at a
    missing time or amount, the pass stops.

    Parameters
    ----------
    customers
        Customer of each row, `lowest` to `lowest` + `n_customers` - 1.
    lowest, n_customers
        The lowest number of a customer, and how many numbers there are.
    times
        Time of each row, in any unit.
    orders
        Order number of each row; empty when every row is an order.
    amounts
        Money of each row.
    end
        Rows with a later time are left out.
    """
    totals = np.empty(n_customers, TOTALS)
    for j in range(n_customers):
        totals[j].first = LATEST
        totals[j].last = MISSING
        totals[j].orders = 0
        totals[j].amount = 0.0
    for i in range(len(customers)):
        time = times[i]
        if time == MISSING or np.isnan(amounts[i]):
            return totals, False
        if time > end:
            continue
        row = totals[customers[i] - lowest]
        row.first = min(row.first, time)
        row.last = max(row.last, time)
        row.amount += amounts[i]
        if len(orders) == 0:
            row.orders += 1
        elif row.orders == 0 or orders[i] > row.newest:
            row.newest = orders[i]
            row.orders += 1
        elif orders[i] < row.newest:
            return totals, False
    return totals, True
