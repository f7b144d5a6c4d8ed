"""Where the real data sets come from, and the facts that a copy must show to be believed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS = ("text", "float", "date", "flag")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public data set: its publisher, its file, and what must be true of it.

    Parameters
    ----------
    name
        The name, and the stem of the Parquet file.
    sha256
        The checksum of the Parquet file that ``CUSTSEG_DATA`` may hold.
    publisher, page, licence
        Who publishes it, where, on what terms.
    rows, columns
        The shape; `columns` in order.
    kinds
        The columns by kind ("text", "float", "date", "flag"); the others are whole numbers.
    sums, distinct, missing
        Facts by column: totals, numbers of distinct values, numbers of missing values (0 where
        not named).
    file, member
        The name of the publisher's file, and of the file in it if it is a zip archive.
    url
        The open address of that file; empty where a login is needed.
    reading
        Options for the reader of that file.
    date_formats
        Formats that dates may have in text or whole numbers.
    """

    name: str
    sha256: str
    publisher: str
    page: str
    licence: str
    rows: int
    columns: tuple[str, ...]
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sums: Mapping[str, float] = field(default_factory=dict)
    distinct: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    file: str = ""
    member: str = ""
    url: str = ""
    reading: Mapping[str, object] = field(default_factory=dict)
    date_formats: tuple[str, ...] = ()

    @property
    def is_workbook(self) -> bool:
        """Whether the publisher's file is an Excel workbook."""
        return self.member.endswith(".xlsx")


_HARDIE = "Bruce Hardie (Fader & Hardie 2001)"
_HARDIE_PAGE = "http://www.brucehardie.com/datasets/"
_HARDIE_LICENCE = "not stated; distributed for research and teaching"
_MARKETING = (
    "ID Year_Birth Education Marital_Status Income Kidhome Teenhome Dt_Customer Recency MntWines "
    "MntFruits MntMeatProducts MntFishProducts MntSweetProducts MntGoldProds NumDealsPurchases "
    "NumWebPurchases NumCatalogPurchases NumStorePurchases NumWebVisitsMonth AcceptedCmp3 "
    "AcceptedCmp4 AcceptedCmp5 AcceptedCmp1 AcceptedCmp2 Complain Z_CostContact Z_Revenue Response"
)
_MCDONALDS = (
    "yummy convenient spicy fattening greasy fast cheap tasty expensive healthy disgusting Like "
    "Age VisitFrequency Gender"
)
_BANK = (
    "age job marital education default balance housing loan contact day month duration campaign "
    "pdays previous poutcome y"
)
_SHOPPERS = (
    "Administrative Administrative_Duration Informational Informational_Duration ProductRelated "
    "ProductRelated_Duration BounceRates ExitRates PageValues SpecialDay Month OperatingSystems "
    "Browser Region TrafficType VisitorType Weekend Revenue"
)

_ALL = (
    Source(
        name="online_retail",
        sha256="c688492ac061a25bd031394e234f348d8317300e6637e14b11127839944fd591",
        publisher="UCI Machine Learning Repository (Chen 2015)",
        page="https://archive.ics.uci.edu/dataset/352/online+retail",
        licence="CC BY 4.0",
        rows=541_909,
        columns=(
            "InvoiceNo",
            "StockCode",
            "Description",
            "Quantity",
            "InvoiceDate",
            "UnitPrice",
            "CustomerID",
            "Country",
        ),
        kinds={
            "text": ("InvoiceNo", "StockCode", "Description", "Country"),
            "float": ("UnitPrice", "CustomerID"),
            "date": ("InvoiceDate",),
        },
        sums={"Quantity": 5_176_450, "UnitPrice": 2_498_803.974, "CustomerID": 6_219_475_867},
        distinct={"InvoiceNo": 25_900, "StockCode": 4_070, "CustomerID": 4_372, "Country": 38},
        missing={"Description": 1_454, "CustomerID": 135_080},
        file="online+retail.zip",
        member="Online Retail.xlsx",
        url="https://archive.ics.uci.edu/static/public/352/online+retail.zip",
    ),
    Source(
        name="online_retail_ii_2009_2010",
        sha256="935ae2bad01d888fa6552dfe03804088005f1f75fbfa62d0ec54d0c72e32edf0",
        publisher="UCI Machine Learning Repository (Chen 2019)",
        page="https://archive.ics.uci.edu/dataset/502/online+retail+ii",
        licence="CC BY 4.0",
        rows=525_461,
        columns=(
            "Invoice",
            "StockCode",
            "Description",
            "Quantity",
            "InvoiceDate",
            "Price",
            "Customer ID",
            "Country",
        ),
        kinds={
            "text": ("Invoice", "StockCode", "Description", "Country"),
            "float": ("Price", "Customer ID"),
            "date": ("InvoiceDate",),
        },
        sums={"Quantity": 5_432_041, "Price": 2_463_799.654, "Customer ID": 6_413_591_749},
        distinct={"Invoice": 28_816, "StockCode": 4_632, "Customer ID": 4_383, "Country": 40},
        missing={"Description": 2_928, "Customer ID": 107_927},
        file="online+retail+ii.zip",
        member="online_retail_II.xlsx",
        url="https://archive.ics.uci.edu/static/public/502/online+retail+ii.zip",
        reading={"sheet_name": "Year 2009-2010"},
    ),
    Source(
        name="cdnow_master",
        sha256="567648cb3642b6333fe095c90fde169b1bb97e6e8d1813ef4993d5002c28ed42",
        rows=69_659,
        columns=("customer_id", "date", "number_of_cds", "dollar_value"),
        kinds={"text": ("customer_id",), "float": ("dollar_value",), "date": ("date",)},
        sums={"number_of_cds": 167_881, "dollar_value": 2_500_315.63},
        distinct={"customer_id": 23_570},
        file="CDNOW_full.zip",
        member="CDNOW_master.txt",
        url="http://www.brucehardie.com/datasets/CDNOW_full.zip",
        reading={"sep": r"\s+", "header": None},
        date_formats=("%Y%m%d",),
        publisher=_HARDIE,
        page=_HARDIE_PAGE,
        licence=_HARDIE_LICENCE,
    ),
    Source(
        name="cdnow_sample",
        sha256="958c2ce80b292c67c473e357a37df71bc3c744b1a45ba113d8020f403fac9a7d",
        rows=6_919,
        columns=("master_id", "sample_id", "date", "number_of_cds", "dollar_value"),
        kinds={
            "text": ("master_id", "sample_id"),
            "float": ("dollar_value",),
            "date": ("date",),
        },
        sums={"number_of_cds": 16_479, "dollar_value": 244_091.94},
        distinct={"master_id": 2_357, "sample_id": 2_357},
        file="CDNOW_sample.zip",
        member="CDNOW_sample.txt",
        url="http://www.brucehardie.com/datasets/CDNOW_sample.zip",
        reading={"sep": r"\s+", "header": None},
        date_formats=("%Y%m%d",),
        publisher=_HARDIE,
        page=_HARDIE_PAGE,
        licence=_HARDIE_LICENCE,
    ),
    Source(
        name="cdnow_sample_summary",
        sha256="326c6051999d9d0d0d2bbafbe88bfa4d58c8f7ea991973aaa19b37602bb97c4e",
        rows=2_357,
        columns=("ID", "frequency", "recency", "T"),
        kinds={"float": ("recency", "T")},
        sums={"frequency": 2_457, "recency": 16_135.52, "T": 77_111.21},
        distinct={"ID": 2_357},
        publisher=_HARDIE,
        page="http://www.brucehardie.com/notes/004/",
        licence=_HARDIE_LICENCE,
    ),
    Source(
        name="hillstrom",
        sha256="5404c208319ad7ae2bbc2853e93cd2bee41b09d0d5d4aee566146b07ab4a3e49",
        publisher="Kevin Hillstrom, MineThatData (2008)",
        page="https://blog.minethatdata.com/2008/03/minethatdata-e-mail-analytics-and-data.html",
        licence="not stated",
        rows=64_000,
        columns=(
            "recency",
            "history_segment",
            "history",
            "mens",
            "womens",
            "zip_code",
            "newbie",
            "channel",
            "segment",
            "visit",
            "conversion",
            "spend",
        ),
        kinds={
            "text": ("history_segment", "zip_code", "channel", "segment"),
            "float": ("history", "spend"),
        },
        sums={"history": 15_493_481.97, "visit": 9_394, "conversion": 578, "spend": 67_258.13},
        distinct={"segment": 3, "history_segment": 7, "zip_code": 3, "channel": 3},
        file="Kevin_Hillstrom_MineThatData_E-MailAnalytics_DataMiningChallenge_2008.03.20.csv",
        url="http://www.minethatdata.com/"
        "Kevin_Hillstrom_MineThatData_E-MailAnalytics_DataMiningChallenge_2008.03.20.csv",
    ),
    Source(
        name="mcdonalds",
        sha256="9e892419e814f51ec245e3be995fff6025490267a3290a8b41da1eb5e5c0fed2",
        publisher="Dolnicar, Grün & Leisch, Market Segmentation Analysis (Springer 2018)",
        page="https://doi.org/10.1007/978-981-10-8818-6",
        licence="book CC BY 4.0; not stated for the file",
        rows=1_453,
        columns=tuple(_MCDONALDS.split()),
        kinds={"text": tuple(name for name in _MCDONALDS.split() if name != "Age")},
        sums={"Age": 64_811},
        distinct={"Like": 11, "VisitFrequency": 6, "Gender": 2, "yummy": 2},
        file="mcdonalds.csv",
        url="https://homepage.boku.ac.at/leisch/MSA/datasets/mcdonalds.csv",
    ),
    Source(
        name="marketing_campaign",
        sha256="02af0d6e71a0365c86472af818cf1a9f24c3ec5b6643d71ef774830ec5bc67ee",
        publisher="Kaggle, imakash3011 (a free login is needed)",
        page="https://www.kaggle.com/datasets/imakash3011/customer-personality-analysis",
        licence="CC0, as listed there",
        rows=2_240,
        columns=tuple(_MARKETING.split()),
        kinds={
            "text": ("Education", "Marital_Status"),
            "float": ("Income",),
            "date": ("Dt_Customer",),
        },
        sums={"Income": 115_779_909, "MntWines": 680_816, "Recency": 110_005, "Response": 334},
        distinct={"ID": 2_240, "Dt_Customer": 663, "Marital_Status": 8},
        missing={"Income": 24},
        file="marketing_campaign.csv",
        reading={"sep": None, "engine": "python"},
        date_formats=("%Y-%m-%d", "%d-%m-%Y"),
    ),
    Source(
        name="wholesale_customers",
        sha256="ab5398ca28b4d02d2fd72f5055ed1631782a5637ec5901e77345f46eb274f3a4",
        publisher="UCI Machine Learning Repository (Cardoso 2014)",
        page="https://archive.ics.uci.edu/dataset/292/wholesale+customers",
        licence="CC BY 4.0",
        rows=440,
        columns=(
            "Channel",
            "Region",
            "Fresh",
            "Milk",
            "Grocery",
            "Frozen",
            "Detergents_Paper",
            "Delicassen",
        ),
        sums={
            "Channel": 582,
            "Region": 1_119,
            "Fresh": 5_280_131,
            "Milk": 2_550_357,
            "Grocery": 3_498_562,
            "Frozen": 1_351_650,
            "Detergents_Paper": 1_267_857,
            "Delicassen": 670_943,
        },
        file="wholesale+customers.zip",
        member="Wholesale customers data.csv",
        url="https://archive.ics.uci.edu/static/public/292/wholesale+customers.zip",
    ),
    Source(
        name="cookie_cats",
        sha256="7799c0be2436830908039d97e6d2977afc336bfff1965f28bb106a935495e5ae",
        publisher="Kaggle, yufengsui, from DataCamp and Tactile (a free login is needed)",
        page="https://www.kaggle.com/datasets/yufengsui/mobile-games-ab-testing",
        licence="not stated",
        rows=90_189,
        columns=("userid", "version", "sum_gamerounds", "retention_1", "retention_7"),
        kinds={"text": ("version",), "flag": ("retention_1", "retention_7")},
        sums={"sum_gamerounds": 4_678_325, "retention_1": 40_153, "retention_7": 16_781},
        distinct={"userid": 90_189, "version": 2},
        file="cookie_cats.csv",
    ),
    Source(
        name="mall_customers",
        sha256="7f2c25771c866171a34395f5fe62800f955c027bc0fbe1af98cfc1957950467c",
        publisher="Kaggle, vjchoudhary7 (a free login is needed)",
        page="https://www.kaggle.com/datasets/vjchoudhary7/customer-segmentation-tutorial-in-python",
        licence="not stated",
        rows=200,
        columns=("CustomerID", "Genre", "Age", "Annual Income (k$)", "Spending Score (1-100)"),
        kinds={"text": ("CustomerID", "Genre")},
        sums={"Age": 7_770, "Annual Income (k$)": 12_112, "Spending Score (1-100)": 10_040},
        distinct={"CustomerID": 200, "Genre": 2},
    ),
    Source(
        name="bank_marketing_full",
        sha256="00fe5b3097f0fa6c14ae8cf3316dbfe5fa9f8837627ba1db4668ec516ca22fd8",
        publisher="UCI Machine Learning Repository (Moro, Rita & Cortez 2014)",
        page="https://archive.ics.uci.edu/dataset/222/bank+marketing",
        licence="CC BY 4.0",
        rows=45_211,
        columns=tuple(_BANK.split()),
        kinds={
            "text": (
                "job",
                "marital",
                "education",
                "default",
                "housing",
                "loan",
                "contact",
                "month",
                "poutcome",
                "y",
            )
        },
        sums={"balance": 61_589_682, "duration": 11_671_811},
        distinct={"job": 12, "month": 12, "y": 2},
    ),
    Source(
        name="online_shoppers_intention",
        sha256="089801fc518549b928df2f425bba9ccb734a64a0b0d3bc895c6f65299d9d0ae5",
        publisher="UCI Machine Learning Repository (Sakar & Kastro 2018)",
        page="https://archive.ics.uci.edu/dataset/468/online+shoppers+purchasing+intention+dataset",
        licence="CC BY 4.0",
        rows=12_330,
        columns=tuple(_SHOPPERS.split()),
        kinds={
            "text": ("Month", "VisitorType"),
            "float": tuple(_SHOPPERS.split()[:10]),
            "flag": ("Weekend", "Revenue"),
        },
        sums={"PageValues": 72_614.549447012, "Revenue": 1_908, "Weekend": 2_868},
        distinct={"Month": 10, "VisitorType": 3},
        missing=dict.fromkeys(_SHOPPERS.split()[:8], 14),
    ),
)

SOURCES = {source.name: source for source in _ALL}
