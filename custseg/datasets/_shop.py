"""The shop: an omnichannel retailer with planted truth, generated or read from the copy shipped."""

from dataclasses import dataclass, fields
from html import escape
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from custseg.datasets._behaviour import draw_orders, make_touchpoints, make_transactions
from custseg.datasets._campaign import make_campaign, potential_outcomes
from custseg.datasets._defects import EMPTY, plant_defects
from custseg.datasets._people import draw_traits, make_customers, text
from custseg.datasets._planted import ARMS, ATTITUDES, FIRST_DAY, INCOME_BANDS, N_DAYS, SEGMENTS
from custseg.datasets._survey import make_survey
from custseg.errors import MissingFileError, ParameterError, check_number

# A table's stream is known by its place here: append, never reorder.
STREAMS = (
    "truth",
    "customers",
    "orders",
    "transactions",
    "touchpoints",
    "survey",
    "campaign",
    "defects",
)
DECIMALS = 10  # processors differ in the last digits of a logarithm; the truth does not


@dataclass(frozen=True, repr=False, eq=False)
class Shop:
    """A retailer's raw tables and the truth behind them.

    Parameters
    ----------
    customers
        One row per customer: ``customer_id``, ``age`` (years), ``gender``, ``income_band``
        (ordered, euros a year), ``household``, ``region``, ``sign_up`` (date),
        ``acquisition_channel``.
    transactions
        One row per order line of 2023 and 2024: ``customer_id``, ``timestamp``, ``order_id``,
        ``line_id``, ``product``, ``category``, ``channel``, ``quantity``, ``unit_price`` (euros),
        ``discount`` (share), ``amount`` (euros, net of discount). A return is a later line with a
        negative quantity and amount, and the ``order_id`` and ``product`` of its purchase.
    touchpoints
        One row per event: ``customer_id``, ``timestamp``, ``channel``, ``touchpoint``, ``stage``.
    survey
        One row per respondent: ``customer_id``, ``responded`` (date), ``duration_seconds``,
        twelve attitude items and six ``benefit_`` importances (1 to 7; the fourth item of an
        attitude is reverse-coded), ``nps`` (0 to 10), ``csat`` (1 to 5), ``ces`` (1 to 7, 7 =
        easy), ``comment``.
    campaign
        One row per customer: ``customer_id``, ``stratum``, ``arm`` (control, discount,
        early_access), ``exposed`` (date), ``pre_spend`` (euros in the 365 days before), and in
        the 28 days after ``visit``, ``conversion`` (0 or 1), ``spend`` (euros).
    truth
        One row per customer: ``segment``, ``purchase_rate`` (orders a year while active),
        ``dropout_rate`` (a year), ``dropout`` (date, missing while active), the three attitudes,
        ``acquiescence`` and ``extremity`` (response style), ``visit_control``,
        ``conversion_control`` (probabilities), ``spend_control`` (expected, euros), and for each
        offer ``visit_effect_``, ``conversion_effect_`` and, on expected spend, ``effect_``.
    planted_defects
        One row per kind of fault that was planted: ``table``, ``defect``, ``column``, ``rows``,
        ``key`` (the column that identifies them) and ``keys`` (a tuple of its values).
    """

    customers: pd.DataFrame
    transactions: pd.DataFrame
    touchpoints: pd.DataFrame
    survey: pd.DataFrame
    campaign: pd.DataFrame
    truth: pd.DataFrame
    planted_defects: pd.DataFrame

    def _sizes(self) -> list[tuple[str, int, int]]:
        tables = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, *table.shape) for name, table in tables]

    def __repr__(self) -> str:
        lines = [f"  {name:<16}{rows:>11,} x {width}" for name, rows, width in self._sizes()]
        return "\n".join(["Shop (rows x columns)", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{rows:,}</td><td>{width}</td></tr>"
            for name, rows, width in self._sizes()
        )
        head = "<tr><th>Shop</th><th>rows</th><th>columns</th></tr>"
        return f"<table>{head}{rows}</table>"


def _make_truth(
    ids: pd.Index, traits: pd.DataFrame, outcomes: dict[str, pd.DataFrame]
) -> pd.DataFrame:
    stop = traits["stop"].to_numpy()
    day = FIRST_DAY + np.minimum(stop, N_DAYS)
    truth = {
        "customer_id": ids,
        "segment": text(SEGMENTS, traits["segment"].to_numpy()),
        "purchase_rate": traits["orders_per_year"],
        "dropout_rate": traits["dropout_per_year"],
        "dropout": np.where(stop < N_DAYS, day, np.datetime64("NaT")).astype("datetime64[us]"),
    }
    truth |= {name: traits[name] for name in (*ATTITUDES, "acquiescence", "extremity")}
    control = outcomes["control"]
    truth |= {f"{name}_control": control[name] for name in ("visit", "conversion", "spend")}
    for arm in ARMS[1:]:
        for name, prefix in (
            ("visit", "visit_effect"),
            ("conversion", "conversion_effect"),
            ("spend", "effect"),
        ):
            truth[f"{prefix}_{arm}"] = outcomes[arm][name] - control[name]
    frame = pd.DataFrame(truth)
    return frame.round(dict.fromkeys(frame.select_dtypes("number"), DECIMALS))


def make_shop(n_customers: int = 5_000, *, defects: bool = False, random_state: int = 0) -> Shop:
    """Generate the records of an omnichannel retailer with six planted segments.

    Customers buy by a Poisson process at their own (Gamma distributed) rate until they drop out
    after an exponential time, the model known as Pareto/NBD. Segments differ in channel, in price
    against quality and in how often they buy, so that no single column tells any of them apart.

    Parameters
    ----------
    n_customers
        The number of customers, 10 to 1,000,000.
    defects
        Whether known faults are planted on top of the same clean tables.
    random_state
        The seed. Each table has its own stream of random numbers.

    Returns
    -------
    Shop
        The raw tables, the truth and the list of planted faults (empty without `defects`).

    Raises
    ------
    ParameterError
        If a parameter is outside its bounds.

    References
    ----------
    Schmittlein, Morrison & Colombo (1987), "Counting your customers", Management Science 33(1).

    Examples
    --------
    >>> shop = make_shop(100, random_state=1)
    >>> shop.customers.columns.tolist()[:3]
    ['customer_id', 'age', 'gender']
    >>> shop.truth["segment"].nunique()
    6
    """
    check_number(n_customers, "n_customers", ge=10, le=1_000_000, integer=True)
    check_number(random_state, "random_state", ge=0, integer=True)
    if not isinstance(defects, bool | np.bool_):
        raise ParameterError(f"defects is {defects!r}, but must be True or False.")
    seeds = np.random.SeedSequence(random_state).spawn(len(STREAMS))
    rng = {name: np.random.default_rng(seed) for name, seed in zip(STREAMS, seeds, strict=True)}

    ids = pd.Index([f"C{number:07d}" for number in range(1, n_customers + 1)])
    traits = draw_traits(n_customers, rng["truth"])
    orders = draw_orders(traits, rng["orders"])
    outcomes = potential_outcomes(traits, N_DAYS - 1)
    customers = make_customers(ids, traits, rng["customers"])
    transactions = make_transactions(ids, traits, orders, rng["transactions"])
    touchpoints = make_touchpoints(ids, traits, orders, transactions, rng["touchpoints"])
    frames = {
        "customers": customers,
        "transactions": transactions,
        "touchpoints": touchpoints,
        "survey": make_survey(ids, traits, touchpoints, rng["survey"]),
        "campaign": make_campaign(customers, transactions, outcomes, rng["campaign"]),
        "truth": _make_truth(ids, traits, outcomes),
    }
    planted = EMPTY.copy()
    if defects:
        frames, planted = plant_defects(frames, rng["defects"])
    return Shop(**frames, planted_defects=planted)


def load_shop() -> Shop:
    """Read the shop of 5,000 customers that ships with the package.

    Returns
    -------
    Shop
        Equal to ``make_shop(5_000, random_state=0)``.

    Raises
    ------
    MissingFileError
        If the installation lacks the files.

    Examples
    --------
    >>> len(load_shop().customers)
    5000
    """
    here = Path(__file__).resolve().parent
    places = (here / "shop", here.parents[1] / "data" / "shop")
    folder = next((place for place in places if (place / "truth.parquet").is_file()), None)
    if folder is None:
        raise MissingFileError(
            "the shop's Parquet files are not in this installation: install custseg again, "
            "or generate the same tables with make_shop(5_000)."
        )
    frames = {}
    with duckdb.connect() as connection:
        for name in (field.name for field in fields(Shop) if field.name != "planted_defects"):
            frames[name] = connection.read_parquet(str(folder / f"{name}.parquet")).df()
    bands = pd.CategoricalDtype(list(INCOME_BANDS), ordered=True)
    frames["customers"]["income_band"] = frames["customers"]["income_band"].astype(bands)
    return Shop(**frames, planted_defects=EMPTY.copy())
