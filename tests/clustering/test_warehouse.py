"""Segments where the customers live: on every engine those of `predict`, ties and gaps included."""

import functools
from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans, MiniBatchKMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

import custseg as cs
from custseg._engine import collect, to_lazy
from custseg.clustering import KMedoids, RFMRules, TreeRules
from custseg.clustering._naming import as_codes
from custseg.clustering._sql_rules import EXPRESSIBLE
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.features import Encoder

pa = pytest.importorskip("pyarrow")

pytestmark = [  # what Ibis asks of DuckDB and pandas, and PySpark of pandas, is deprecated there
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

KINDS = {
    "recency": "numeric",
    "monetary": "numeric",
    "discount": "share",
    "region": "nominal",
    "member": "binary",
    "band": "ordinal",
    "nps": "ordinal",
}
BANDS = ["low", "middle", "high"]

# ----------------------------------------------------------------------------------- the customers


def people(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Return customers with variables of every kind, in three groups."""
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=n)
    regions = np.array(["North", "o'Süd", "East", 'a "b"'])
    table = pd.DataFrame(
        {
            "recency": rng.integers(0, 400, n),
            "monetary": rng.lognormal(2 + group, 1.0),
            "discount": rng.beta(1 + group, 2, n).round(3),
            "region": regions[(group + rng.choice(4, n, p=[0.7, 0.15, 0.1, 0.05])) % 4],
            "member": rng.random(n) < 0.2 + 0.3 * group,
            "band": pd.Categorical.from_codes(rng.integers(0, 3, n), BANDS, ordered=True),
            "nps": rng.integers(0, 11, n),
        },
        index=pd.RangeIndex(10_000, 10_000 + n, name="customer_id"),
    )
    table.loc[table.index[:4], "region"] = "Rare"
    return table


def with_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Return the customers with values missing in every variable, together and alone."""
    gaps = table.astype({"recency": float, "nps": float, "member": "boolean"})
    for step, columns in ((7, ["monetary"]), (11, ["nps", "discount"]), (13, ["region"])):
        gaps.loc[gaps.index[step % 5 :: step], columns] = None
    for step, columns in ((17, ["member"]), (19, ["band"]), (23, ["recency", "band"])):
        gaps.loc[gaps.index[step % 5 :: step], columns] = None
    return gaps


def at_the_borders() -> pd.DataFrame:
    """Return customers who are refused, or nearly."""
    usual = people(1)
    odd: list[dict[str, Any]] = [
        {"monetary": np.inf},
        {"monetary": -np.inf},
        {"monetary": -1e-300},
        {"monetary": -0.0},
        {"monetary": 5e-324},
        {"monetary": 1e-9},
        {"monetary": 1e300},
        {"recency": -5},
        {"recency": 10**9},
        {"discount": 1 + 1e-9},
        {"discount": 1 + 2e-9},
        {"discount": -1e-9},
        {"discount": -2e-9},
        {"discount": 0.5},
        {"region": "north"},
        {"region": "North "},
        {"region": ""},
        {"band": None},
        {"nps": 3.7},
        {"nps": -1},
        {"nps": 99},
        {"region": None, "monetary": None, "member": None},
        {"region": None, "member": None, "band": None},
        dict.fromkeys(KINDS),
    ]
    rows = [{**usual.iloc[0].to_dict(), **values} for values in odd]
    table = pd.DataFrame(rows, index=pd.RangeIndex(len(odd), name="customer_id"))
    band = pd.Categorical(table["band"], BANDS, ordered=True)
    return table.assign(band=band, member=table["member"].astype("boolean"))


# ------------------------------------------------------------------------------------- the engines


def without_dictionaries(table: Any) -> Any:
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table[i].cast(pa.string()))
    return table


def in_spark(table: Any, session: Any) -> Any:
    return session.createDataFrame(without_dictionaries(table))


def in_ibis(table: Any, _: Any) -> Any:
    return pytest.importorskip("ibis").duckdb.connect().create_table("customers", table)


def in_postgres(table: Any, backend: Any) -> Any:
    name = f"customers_{len(backend.list_tables())}"
    return backend.create_table(name, without_dictionaries(table), temp=True)


ENGINES: dict[str, Callable[[Any, Any], Any]] = {
    "pandas": lambda table, _: table.to_pandas(),
    "polars": lambda table, _: pytest.importorskip("polars").from_arrow(table),
    "polars lazy": lambda table, _: pytest.importorskip("polars").from_arrow(table).lazy(),
    "pyarrow": lambda table, _: table,
    "duckdb": lambda table, _: duckdb.from_arrow(table),
    "narwhals": lambda table, _: nw.from_native(duckdb.from_arrow(table)),
    "ibis": in_ibis,
    "postgres": in_postgres,
    "spark": in_spark,
}


@pytest.fixture(params=ENGINES)
def put(request: pytest.FixtureRequest) -> Callable[[pd.DataFrame], Any]:
    """Return what puts a customer table into an engine, its rows in another order."""
    served = request.param in ("postgres", "spark")
    session = request.getfixturevalue(request.param) if served else None

    def put(table: pd.DataFrame) -> Any:
        rows = pa.Table.from_pandas(table.sample(frac=1, random_state=5).reset_index())
        return ENGINES[request.param](rows, session)

    return put


def fetched(found: Any) -> pd.DataFrame:
    """Return what an engine found by customer."""
    return collect(to_lazy(found)).set_index("customer_id").sort_index()


def predicted(model: cs.SegmentationModel, table: pd.DataFrame, odd: pd.DataFrame) -> pd.Series:
    """Return the segments that `predict` gives; the odd are asked about alone, or "refused"."""
    found = model.predict(table).astype(object)
    for name in odd.index:
        try:
            found[name] = model.predict(odd.loc[[name]]).iloc[0]
        except DataError:
            found[name] = "refused"
    return found.sort_index()


def assert_equal(found: pd.DataFrame, want: pd.Series) -> None:
    """Compare what an engine found with what `predict` says."""
    assert found.index.tolist() == want.index.tolist()
    assert found["problem"].notna().tolist() == want.eq("refused").tolist()
    segments = found["segment"].astype(object).fillna("none")
    assert segments.tolist() == want.replace("refused", "none").fillna("none").tolist()


# -------------------------------------------------------------------------------------- the models


def fitted(algorithm: Any = "kmeans", table: Any = None, **options: Any) -> cs.SegmentationModel:
    given = {"n_segments": 5, "variables": list(KINDS), "encoder": Encoder(dictionary=KINDS)}
    model = cs.SegmentationModel(algorithm, random_state=0, **(given | options))
    return model.fit(people() if table is None else table)


MIXED = {
    "kprototypes": list(KINDS),
    "kmedoids": list(KINDS),
    "latent_class": list(KINDS),
    "kmodes": ["region", "member", "band"],
}


@functools.cache
def example(name: str) -> tuple[cs.SegmentationModel, pd.DataFrame, pd.Series]:
    """Return a model, customers with gaps and oddities, and what `predict` says of them."""
    gaps, options = with_gaps(people()), {}
    algorithm: Any = name
    if name in MIXED:
        options = {"encoder": "auto", "dictionary": KINDS, "variables": MIXED[name]}
        gaps["nps"] = people()["nps"]  # medoids need a variable that everybody has
    elif name == "rfm_rules":
        algorithm, gaps = RFMRules(columns=["recency", "nps", "monetary"]), people()
        options = {"encoder": None, "variables": None, "n_segments": None}
    elif name == "tree_rules":
        algorithm = TreeRules(target="worth", min_share=0.05, random_state=1)
        options = {"encoder": None, "n_segments": 12}
        worth = 8 * gaps["band"].eq("high") + 5 * gaps["member"].fillna(value=False)
        gaps["worth"] = worth + 30 * gaps["region"].eq("East") + gaps["recency"].fillna(900) / 20
    else:
        encoder = Encoder(dictionary=KINDS, missing="impute", winsorize=0.02, min_frequency=0.02)
        options = {"encoder": encoder, "n_segments": None if name == "hdbscan" else 5}
    model = fitted(algorithm, gaps, **options)
    odd = at_the_borders()
    return model, pd.concat([gaps, odd]), predicted(model, gaps, odd)


def test_every_engine_gives_the_segments_of_predict(put):
    model, table, want = example("kmeans")
    assert set(model.encoder_.marked_) == {(0,), (1,), (2, 6), (3,), (4,), (5,)}
    found = fetched(model.assign_in(put(table)))
    assert_equal(found, want)
    assert found["segment"].nunique() == 5


@pytest.mark.parametrize("algorithm", EXPRESSIBLE)
def test_every_algorithm_gives_the_segments_of_predict(algorithm):
    model, table, want = example(algorithm)
    assert_equal(fetched(model.assign_in(in_duckdb(table))), want)
    assert want.nunique() > 2
    if algorithm == "hdbscan":
        assert want.isna().any()


@pytest.mark.parametrize(
    "algorithm", ["hdbscan", "kprototypes", "kmedoids", "latent_class", "rfm_rules", "tree_rules"]
)
def test_the_query_can_be_written_in_the_sql_of_warehouses(algorithm):
    ibis = pytest.importorskip("ibis")
    model, table, _ = example(algorithm)
    there = in_ibis(without_dictionaries(pa.Table.from_pandas(table.reset_index())), None)
    found = model.assign_in(there)
    assert isinstance(found, ibis.Table)
    for dialect in ("bigquery", "snowflake", "trino", "postgres"):
        assert "SELECT" in ibis.to_sql(found, dialect=dialect, pretty=False)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", EXPRESSIBLE)
def test_every_algorithm_gives_the_segments_of_predict_on_spark(algorithm, spark):
    model, table, want = example(algorithm)
    rows = pa.Table.from_pandas(table.reset_index())
    assert_equal(fetched(model.assign_in(in_spark(rows, spark))), want)


NUMBERS = ["recency", "monetary", "discount"]


@functools.cache
def torn() -> tuple[cs.SegmentationModel, pd.DataFrame]:
    """Return a model, and customers between two of its centres but for the last digit."""
    model = fitted(variables=NUMBERS, n_segments=4, encoder=Encoder(dictionary=KINDS))
    rng = np.random.default_rng(1)
    places = np.array([rng.choice(4, 2, replace=False) for _ in range(4_000)])
    left, right = (model.estimator_.cluster_centers_[side] for side in places.T)
    gap = right - left
    aside = rng.normal(0, 0.2, gap.shape)
    aside -= gap * ((aside * gap).sum(axis=1) / (gap**2).sum(axis=1))[:, None]
    table = model.encoder_.inverse_transform((left + right) / 2 + aside)
    inside = table["discount"].between(0.01, 0.99) & (table[["recency", "monetary"]] > 0).all(
        axis=1
    )
    return model, table[inside].rename_axis("customer_id")


def test_a_tie_goes_to_the_first_segment_on_every_engine(put):
    model, table = torn()
    distances = cdist(model.encoder_.transform(table), model.estimator_.cluster_centers_)
    nearest = distances.min(axis=1, keepdims=True)
    tied = (distances - nearest < 1e-12).sum(axis=1) == 2
    last_digit = (distances != nearest).sum(axis=1) == 3
    assert tied.sum() > 1_000
    assert (tied & last_digit).sum() > 300, "as numbers, most ties are none"
    assert len(np.unique(distances[tied].argmin(axis=1))) == 4
    want = model.predict(table)
    first = (distances <= nearest + 1e-12).argmax(axis=1)
    assert (want.cat.codes.to_numpy() == as_codes(first, model._order)).all()
    assert_equal(fetched(model.assign_in(put(table))), want.astype(object).sort_index())


def in_duckdb(table: pd.DataFrame) -> duckdb.DuckDBPyRelation:
    return duckdb.from_arrow(pa.Table.from_pandas(table.reset_index()))


def test_a_tie_in_a_pipeline_goes_to_the_first_segment():
    pipeline = make_pipeline(StandardScaler(), KMeans(3, n_init=2, random_state=0))
    model = fitted(pipeline, variables=NUMBERS[:2], encoder=None, n_segments=3)
    centers = model.estimator_[-1].cluster_centers_
    middles = model.estimator_[0].inverse_transform([(centers[0] + centers[1]) / 2] * 2_000)
    table = pd.DataFrame(middles, columns=NUMBERS[:2]).rename_axis("customer_id")
    table += np.random.default_rng(0).uniform(-1e-11, 1e-11, table.shape)
    want = model.predict(table)
    assert want.nunique() == 1
    assert_equal(fetched(model.assign_in(in_duckdb(table))), want.astype(object))


def test_without_the_rule_for_ties_engines_would_part(monkeypatch):
    model, table = torn()
    want = model.predict(table).astype(object).sort_index()
    monkeypatch.setattr("custseg.clustering._ties.TIE", 0.0)
    found = fetched(model.assign_in(in_duckdb(table)))
    assert (found["segment"] != want).sum() > 100


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_tie_between_components_of_a_mixture_goes_to_the_first(kind):
    mixture = GaussianMixture(covariance_type=kind, random_state=0)
    model = fitted(mixture, variables=NUMBERS, encoder=StandardScaler(), n_segments=3)
    found, scale = model.estimator_, model.encoder_
    rng = np.random.default_rng(2)
    pairs = np.array([rng.choice(3, 2, replace=False) for _ in range(600)])
    low, high = (found.means_[side] + rng.normal(0, 0.3, (600, 3)) for side in pairs.T)
    rows = np.arange(600)
    for _ in range(60):  # to where the two are equally likely, as nearly as numbers are dense
        middle = scale.inverse_transform((low + high) / 2)
        odds = found.predict_proba(scale.transform(pd.DataFrame(middle, columns=NUMBERS)))
        nearer_left = odds[rows, pairs[:, 0]] > odds[rows, pairs[:, 1]]
        low = np.where(nearer_left[:, None], (low + high) / 2, low)
        high = np.where(nearer_left[:, None], high, (low + high) / 2)
    table = pd.DataFrame(middle, columns=NUMBERS).rename_axis("customer_id")
    odds = found.predict_proba(scale.transform(table))
    tied = np.abs(odds[rows, pairs[:, 0]] - odds[rows, pairs[:, 1]]) < 1e-12
    assert tied.sum() > 300
    want = model.predict(table).astype(object)
    assert_equal(fetched(model.assign_in(in_duckdb(table))), want)


@pytest.mark.parametrize(
    "algorithm",
    [
        MiniBatchKMeans(random_state=0),
        GaussianMixture(covariance_type="tied", random_state=0),
        GaussianMixture(covariance_type="diag", random_state=0),
        GaussianMixture(covariance_type="spherical", random_state=0),
        make_pipeline(StandardScaler(), RobustScaler(), KMeans(n_init=2)),
        make_pipeline("passthrough", MaxAbsScaler(), AgglomerativeClustering()),
        AgglomerativeClustering(metric="manhattan", linkage="average"),
        AgglomerativeClustering(metric="chebyshev", linkage="complete"),
        KMedoids(metric="cityblock", random_state=0),
        KMedoids(metric="sqeuclidean", random_state=0),
        DBSCAN(eps=1.8, min_samples=5),
    ],
    ids=lambda estimator: repr(estimator)[:40],
)
def test_other_algorithms(algorithm):
    model = fitted(algorithm, n_segments=None if isinstance(algorithm, DBSCAN) else 5)
    far = people(1).assign(monetary=1e12).set_axis([0]).rename_axis("customer_id")
    table = pd.concat([far, people()])
    want = model.predict(table)
    assert want.isna()[0] == isinstance(algorithm, DBSCAN)
    assert_equal(fetched(model.assign_in(in_duckdb(table))), want.astype(object))


@pytest.mark.parametrize(
    "encoder",
    [
        None,
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler((1, 3)),
        MaxAbsScaler(),
        RobustScaler(),
        RobustScaler(with_centering=False, with_scaling=False),
        Encoder(),
        Encoder(max_skewness=float("inf"), winsorize=0.05),
        Encoder(
            dictionary={name: {"kind": "numeric", "family": "value"} for name in NUMBERS[:2]}
            | {"discount": {"kind": "share", "family": "journey"}},
            family_weights={"value": 3.0},
        ),
    ],
    ids=lambda encoder: repr(encoder)[:40],
)
def test_other_encoders(encoder):
    table = people()
    model = fitted(
        table=table, encoder=encoder, variables=[*NUMBERS, "member"][: 4 if encoder is None else 3]
    )
    assert_equal(fetched(model.assign_in(in_duckdb(table))), model.predict(table).astype(object))


def test_columns_of_other_types_than_pandas_has():
    table = people().assign(
        band=lambda t: t["band"].astype(str), nps=lambda t: t["nps"].astype(str)
    )
    kinds = KINDS | {"band": "nominal", "nps": "nominal"}
    model = fitted(table=table, encoder=Encoder(dictionary=kinds), n_segments=4)
    rows = duckdb.from_arrow(pa.Table.from_pandas(table.reset_index()))
    there = rows.project(
        "customer_id::VARCHAR AS customer_id, recency::USMALLINT AS recency, "
        "monetary::DECIMAL(18, 6) AS monetary, discount::FLOAT AS discount, "
        "region::VARCHAR AS region, member::INTEGER AS member, band, nps"
    ).filter("monetary < 1e9")
    seen = there.df().set_index("customer_id")
    found = fetched(model.assign_in(there))
    want = model.predict(seen.astype({"monetary": float, "discount": float}))
    assert_equal(found, want.astype(object).sort_index())
    levels = "', '".join(sorted(table["region"].str.replace("'", "''").unique()))
    enum = there.project(f"* REPLACE (region::ENUM('{levels}') AS region)")
    pd.testing.assert_frame_equal(fetched(model.assign_in(enum)), found)


def test_levels_that_are_numbers_or_marks():
    table = people().assign(
        nps=lambda t: t["nps"] % 3,
        member=lambda t: t["member"].astype(object),
        region=lambda t: t["nps"] * 1.5,
    )
    kinds = KINDS | {"nps": "nominal", "region": "nominal"}
    model = fitted(table=table, encoder=Encoder(dictionary=kinds))
    there = duckdb.from_arrow(pa.Table.from_pandas(table.astype({"member": bool}).reset_index()))
    assert_equal(fetched(model.assign_in(there)), model.predict(table).astype(object))
    odd = fetched(model.assign_in(there.project("* REPLACE (7 AS nps)")))
    assert odd["segment"].isna().all()
    assert odd["problem"].unique().tolist() == ["nps has an unknown level"]


def test_why_a_customer_has_no_segment():
    model = fitted(encoder=Encoder(dictionary=KINDS, min_frequency=0))
    odd = in_duckdb(at_the_borders()).project("* REPLACE (nullif(customer_id, 21) AS customer_id)")
    found = model.assign_in(odd).df()
    words = found.set_index("customer_id")["problem"].fillna("").to_dict()
    assert found.columns.tolist() == ["customer_id", "segment", "problem"]
    assert {key: words[key] for key in (0, 2, 3, 7, 10, 12, 14, 17)} == {
        0: "monetary is infinite",
        2: "monetary is negative",
        3: "",
        7: "",
        10: "discount is outside 0 to 1",
        12: "discount is outside 0 to 1",
        14: "region has an unknown level",
        17: "band is missing",
    }
    (nobody,) = found.loc[found["customer_id"].isna(), "problem"]
    assert nobody == "customer_id is missing"


def test_what_comes_back_is_of_the_kind_that_was_given(tmp_path):
    polars = pytest.importorskip("polars")
    model = fitted()
    rows = pa.Table.from_pandas(people(20).reset_index())
    duckdb.from_arrow(rows).write_parquet(str(tmp_path / "customers.parquet"))
    assert isinstance(model.assign_in(people(20)), pd.DataFrame)
    assert isinstance(model.assign_in(polars.from_arrow(rows)), polars.DataFrame)
    assert isinstance(model.assign_in(polars.from_arrow(rows).lazy()), polars.LazyFrame)
    assert isinstance(model.assign_in(rows), pa.Table)
    assert isinstance(model.assign_in(duckdb.from_arrow(rows)), duckdb.DuckDBPyRelation)
    assert isinstance(model.assign_in(tmp_path / "customers.parquet"), duckdb.DuckDBPyRelation)
    assert isinstance(model.assign_in(str(tmp_path / "customers.parquet")), duckdb.DuckDBPyRelation)
    assert isinstance(model.assign_in(nw.from_native(rows)), nw.DataFrame)
    assert isinstance(model.assign_in(nw.from_native(duckdb.from_arrow(rows))), nw.LazyFrame)


def test_ids_of_another_name_and_ids_that_repeat():
    table = people(40)
    model = fitted(table=people())
    twice = pd.concat([table, table.iloc[:5]]).rename_axis("client")
    found = model.assign_in(twice.reset_index(), customer_id="client")
    want = model.predict(table).astype(object)
    assert found["segment"].tolist() == [*want, *want.iloc[:5]]


def test_nothing_runs_before_it_is_asked_for():
    model = fitted()
    there = in_duckdb(people(20)).project("* REPLACE (error('read')::DOUBLE AS monetary)")
    lazy = model.assign_in(there)
    with pytest.raises(duckdb.Error, match="read"):
        lazy.fetchall()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ("* EXCLUDE (monetary)", ColumnError, "the table has no column 'monetary'"),
        ("* RENAME (customer_id AS customer)", ColumnError, "Did you mean 'customer'"),
        ("* REPLACE ('12' AS monetary)", DataError, "'monetary' holds String where numbers were"),
        ("* REPLACE (3 AS region)", DataError, "'region' holds Int32 where text such as"),
        ("* REPLACE ('9' AS nps)", DataError, "'nps' holds String where numbers were"),
        ("* REPLACE (now() AS recency)", DataError, "'recency' holds Datetime"),
    ],
)
def test_a_table_of_other_columns_is_refused_before_work_starts(change, error, words):
    model = fitted()
    with pytest.raises(error, match=words):
        model.assign_in(in_duckdb(people(20)).project(change))


def test_what_cannot_be_expressed_says_what_can():
    table = people()
    with pytest.raises(ParameterError, match=r"rule of Birch .* 'kmeans', 'adaptive_kmeans'"):
        fitted("birch", table).assign_in(table)
    with pytest.raises(ParameterError, match=r"PCA cannot be expressed.*MinMaxScaler"):
        fitted(make_pipeline(PCA(2), KMeans()), table).assign_in(table)
    far = AgglomerativeClustering(metric="canberra", linkage="average")
    with pytest.raises(ParameterError, match=r"metric 'canberra' cannot be .* 'euclidean'"):
        fitted(far, table).assign_in(table)
    square = pd.DataFrame(cdist(*[table[["recency"]]] * 2), table.index, table.index)
    apart = cs.SegmentationModel(KMedoids(3, metric="precomputed")).fit(square)
    with pytest.raises(ParameterError, match="fitted on dissimilarities"):
        apart.assign_in(table)
    encoder = make_column_transformer((StandardScaler(), NUMBERS))
    with pytest.raises(ParameterError, match="ColumnTransformer cannot be expressed"):
        fitted(table=table, encoder=encoder).assign_in(table)
    with pytest.raises(DataError, match="which is no table"):
        fitted().assign_in([1, 2])
    levels = Encoder(dictionary={"recency": "numeric", "region": "nominal"})
    days = table.assign(region=[date(2024, 1, day % 4 + 1) for day in range(len(table))])
    dated = fitted(table=days, encoder=levels, variables=["recency", "region"])
    with pytest.raises(DataError, match="levels of column 'region' are of type date"):
        dated.assign_in(days)
