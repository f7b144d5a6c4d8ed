"""Real public data sets, each by a loader of its own or by its name."""

import pandas as pd

from custseg.datasets._files import (
    cache_folder,
    download,
    from_cache,
    from_folder,
    how_to_get,
)
from custseg.datasets._sources import SOURCES
from custseg.errors import MissingFileError, check_option


def load_dataset(name: str) -> pd.DataFrame:
    """Load a real public data set by the name of its file.

    It is looked for in the folder that the environment variable ``CUSTSEG_DATA`` names (the
    Parquet file ``<name>.parquet``, or the publisher's own file), then in the cache (the folder
    ``CUSTSEG_CACHE``, or the user's cache for custseg), which is filled from the publisher where
    that needs no login.

    Parameters
    ----------
    name
        One of ``"online_retail"``, ``"online_retail_ii_2009_2010"``, ``"cdnow_master"``,
        ``"cdnow_sample"``, ``"cdnow_sample_summary"``, ``"hillstrom"``, ``"mcdonalds"``,
        ``"marketing_campaign"``, ``"wholesale_customers"``, ``"cookie_cats"``,
        ``"mall_customers"``, ``"bank_marketing_full"``, ``"online_shoppers_intention"``.

    Returns
    -------
    pandas.DataFrame
        The source's rows in the source's order, under the source's column names.

    Raises
    ------
    ParameterError
        If there is no such data set.
    MissingFileError
        If it is neither there nor to be fetched; says how to get it.
    DataError
        If a file is not what its publisher documents.

    Examples
    --------
    >>> load_dataset("hillstorm")
    Traceback (most recent call last):
        ...
    custseg.errors.ParameterError: name is 'hillstorm', but must be one of ... \
Did you mean 'hillstrom'?
    """
    check_option(name, "name", tuple(SOURCES))
    source = SOURCES[name]
    frame = from_folder(source)
    if frame is None and source.url:
        folder = cache_folder()
        frame = from_cache(source, folder)
        if frame is None:
            frame = download(source, folder)
    if frame is None:
        raise MissingFileError(f"the data set {name!r} is not here. {how_to_get(source)}")
    return frame


def load_online_retail() -> pd.DataFrame:
    """Load the invoice lines of a UK online gift retailer, 2010-12-01 to 2011-12-09.

    Returns
    -------
    pandas.DataFrame
        541,909 rows: ``InvoiceNo``, ``StockCode``, ``Description``, ``Country`` (text),
        ``Quantity``, ``InvoiceDate``, ``UnitPrice`` (pounds), ``CustomerID`` (float, missing in
        135,080 rows). An ``InvoiceNo`` that begins with "C" is a cancellation.

    References
    ----------
    Chen (2015), Online Retail, UCI Machine Learning Repository, doi:10.24432/C5BW33.
    """
    return load_dataset("online_retail")


def load_online_retail_ii() -> pd.DataFrame:
    """Load the same retailer's invoice lines of the year before, 2009-12-01 to 2010-12-09.

    The first sheet of Online Retail II. Its last nine days, 22,523 lines, are also in
    `load_online_retail`: drop one of the two before stacking.

    Returns
    -------
    pandas.DataFrame
        525,461 rows: ``Invoice``, ``StockCode``, ``Description``, ``Country`` (text),
        ``Quantity``, ``InvoiceDate``, ``Price`` (pounds), ``Customer ID`` (float, missing in
        107,927 rows).

    References
    ----------
    Chen (2019), Online Retail II, UCI Machine Learning Repository, doi:10.24432/C5CG6D.
    """
    return load_dataset("online_retail_ii_2009_2010")


def load_cdnow(*, sample: bool = True) -> pd.DataFrame:
    """Load the purchases at CDNOW, to 1998-06-30, of those who first bought in early 1997.

    Parameters
    ----------
    sample
        Whether the customary 1/10 sample (2,357 customers) or the full cohort (23,570).

    Returns
    -------
    pandas.DataFrame
        The sample has 6,919 rows: ``master_id``, ``sample_id`` (text), ``date``,
        ``number_of_cds``, ``dollar_value``. The full cohort has 69,659 rows: ``customer_id``
        (text) and the same three. Some customers have several rows on one day.

    References
    ----------
    Fader & Hardie (2001), "Forecasting repeat sales at CDNOW", Interfaces 31(3), part 2.
    """
    return load_dataset("cdnow_sample" if sample else "cdnow_master")


def load_hillstrom() -> pd.DataFrame:
    """Load Hillstrom's randomised e-mail test: two e-mails against none, two weeks' outcomes.

    Returns
    -------
    pandas.DataFrame
        64,000 rows, one per customer: ``recency`` (months), ``history_segment``, ``history``
        (dollars in the past year), ``mens``, ``womens``, ``zip_code``, ``newbie``, ``channel``,
        ``segment`` (the arm), ``visit``, ``conversion`` (0 or 1), ``spend`` (dollars).

    References
    ----------
    Hillstrom (2008), The MineThatData e-mail analytics and data mining challenge.
    """
    return load_dataset("hillstrom")


def load_mcdonalds() -> pd.DataFrame:
    """Load the survey of how 1,453 consumers see McDonald's.

    Returns
    -------
    pandas.DataFrame
        1,453 rows: eleven attributes ("Yes" or "No"), ``Like`` (text, "I hate it!-5" to
        "I love it!+5"), ``Age``, ``VisitFrequency``, ``Gender``.

    References
    ----------
    Dolnicar, Grün & Leisch (2018), Market Segmentation Analysis, Springer, appendix C.
    """
    return load_dataset("mcdonalds")


def load_wholesale() -> pd.DataFrame:
    """Load a Portuguese wholesaler's clients and their annual spending in six categories.

    Returns
    -------
    pandas.DataFrame
        440 rows: ``Channel`` (1 = hotels, restaurants, cafés; 2 = retail), ``Region`` (1 =
        Lisbon, 2 = Porto, 3 = other), ``Fresh``, ``Milk``, ``Grocery``, ``Frozen``,
        ``Detergents_Paper``, ``Delicassen`` (monetary units).

    References
    ----------
    Cardoso (2014), Wholesale customers, UCI Machine Learning Repository, doi:10.24432/C5030X.
    """
    return load_dataset("wholesale_customers")


def load_cookie_cats() -> pd.DataFrame:
    """Load the A/B test of a mobile game's first gate, at level 30 or 40.

    Returns
    -------
    pandas.DataFrame
        90,189 rows, one per player: ``userid``, ``version`` ("gate_30", "gate_40"),
        ``sum_gamerounds`` (rounds in 14 days), ``retention_1``, ``retention_7`` (bool).
    """
    return load_dataset("cookie_cats")


def load_marketing_campaign() -> pd.DataFrame:
    """Load the customers of a food retailer: household, spending, channels, past campaigns.

    Returns
    -------
    pandas.DataFrame
        2,240 rows and 29 columns, one row per customer, ``ID`` first and ``Response`` (0 or 1)
        last; ``Dt_Customer`` is a date, ``Income`` is missing for 24.
    """
    return load_dataset("marketing_campaign")
