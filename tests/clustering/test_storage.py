"""Stored segmentations: they answer as before, tell on nobody, and foreign files run nothing."""

import hashlib
import io
import json
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import custseg as cs
from custseg.clustering import (
    ALGORITHMS,
    Consensus,
    KMedoids,
    KModes,
    KPrototypes,
    LatentClass,
    RFMRules,
    TreeRules,
    read_manifest,
    storage,
)
from custseg.clustering._frames import pack
from custseg.errors import (
    ColumnError,
    CustsegError,
    MissingFileError,
    ModelFileError,
    ParameterError,
)
from custseg.features import Encoder, describe_columns

KINDS = {
    "recency": "numeric",
    "frequency": "count",
    "monetary": "numeric",
    "discount": "share",
    "region": "nominal",
    "member": "binary",
    "band": "ordinal",
}
STORED = list(ALGORITHMS)
NUMBERS = ["recency", "frequency", "monetary", "discount"]
LEVELS = ["region", "member", "band"]
TAKES = {"numbers": NUMBERS, "levels": LEVELS}


def people(n: int = 211, seed: int = 0) -> pd.DataFrame:
    """Return customers in three groups, whose ids are found again wherever they are written."""
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=n)
    bands = pd.Categorical.from_codes((group + (rng.random(n) < 0.2)) % 3, ["lo", "mid", "hi"])
    return pd.DataFrame(
        {
            "recency": rng.poisson(200 - 60 * group),
            "frequency": rng.poisson(2 + 6 * group),
            "monetary": rng.lognormal(1 + 2 * group, 0.4),
            "discount": rng.beta(1 + 4 * group, 6).round(3),
            "region": np.array(["North", "<b>South</b>", "East"])[
                (group + (rng.random(n) < 0.2)) % 3
            ],
            "member": rng.random(n) < 0.1 + 0.4 * group,
            "band": bands.set_categories(["lo", "mid", "hi"], ordered=True),
        },
        index=pd.Index([f"secret-{i:05}" for i in rng.permutation(n)], name="customer_id"),
    )


def fitted(algorithm: Any = "kmeans", table: pd.DataFrame | None = None, **options: Any) -> Any:
    takes = ALGORITHMS[algorithm].takes if isinstance(algorithm, str) else "numbers"
    given: dict[str, Any] = {"n_segments": 3, "dictionary": KINDS, "random_state": 0}
    given["variables"] = TAKES.get(takes, list(KINDS))
    if algorithm in ("hdbscan", "rfm_rules"):
        del given["n_segments"]
    model = cs.SegmentationModel(algorithm, **(given | options))
    return model.fit(people() if table is None else table)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    fitted().save(tmp_path / "spring.model")
    return tmp_path / "spring.model"


def members(path: Path) -> dict[str, bytes]:
    """Return the members of a stored model, and those of the model inside."""
    with ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile(io.BytesIO(found["model.skops"])) as archive:
        return found | {f"inside/{name}": archive.read(name) for name in archive.namelist()}


def forge(path: Path, *, content: bytes | None = None, **changes: Any) -> Path:
    """Write a stored model with another content or manifest, and checksums that fit."""
    found = members(path)
    content = found["model.skops"] if content is None else content
    manifest = json.loads(found["manifest.json"]) | changes
    manifest["model"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path.write_bytes(storage._archive(json.dumps(manifest).encode(), content))
    return path


def state_of(model: Any, **changes: Any) -> bytes:
    state = {name: pack(value) for name, value in vars(model).items() if name != "provenance_"}
    return skops.io.dumps(state | changes)


# ------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("algorithm", STORED)
def test_every_algorithm_answers_as_before(algorithm, tmp_path):
    model = fitted(algorithm)
    model.save(tmp_path / "spring.model")
    again = cs.load_model(tmp_path / "spring.model")
    new = pd.concat([people(), people(150, seed=1).set_index(pd.RangeIndex(150).astype(str))])
    pd.testing.assert_series_equal(again.predict(new), model.predict(new))
    pd.testing.assert_frame_equal(again.sizes_, model.sizes_)
    pd.testing.assert_frame_equal(again.centers_, model.centers_, check_exact=True)
    pd.testing.assert_frame_equal(again.assign(new), model.assign(new))
    assert type(again.estimator_) is type(model.estimator_)
    assert repr(again.estimator_)
    assert repr(again) == repr(model)
    assert again._repr_mimebundle_() == model._repr_mimebundle_()
    assert again.provenance_ == model.provenance_
    again.save(tmp_path / "again.model")
    pd.testing.assert_series_equal(
        cs.load_model(tmp_path / "again.model").predict(new), model.predict(new)
    )


@pytest.mark.parametrize("algorithm", STORED)
def test_nothing_in_the_file_is_about_a_customer_of_the_fit(algorithm, tmp_path):
    table = people()
    model = fitted(algorithm, table)
    model.save(tmp_path / "spring.model")
    found = members(tmp_path / "spring.model")
    text = b"".join(found.values())
    assert b"secret-" not in text
    assert str(tmp_path).encode() not in text
    assert str(Path.cwd()).encode() not in text
    shapes = [
        np.load(io.BytesIO(data)).shape for name, data in found.items() if name.endswith(".npy")
    ]
    assert shapes
    near = range(len(table) - 1, len(table) + 2)
    if algorithm != "birch":  # its rule is its clumps, and among few customers each is one
        assert not any(length in near for shape in shapes for length in shape)
    with pytest.raises(AttributeError, match="stored without the segments_ of its customers"):
        _ = cs.load_model(tmp_path / "spring.model").segments_


def test_segments_of_customers_are_stored_on_request(tmp_path):
    model = fitted()
    model.save(tmp_path / "spring.model", include_segments=True)
    again = cs.load_model(tmp_path / "spring.model")
    pd.testing.assert_series_equal(again.segments_, model.segments_)
    np.testing.assert_array_equal(again.labels_, model.labels_)
    assert read_manifest(tmp_path / "spring.model")["includes_segments"] is True


def test_what_was_given_to_the_model_comes_back(tmp_path):
    table = people()
    encoder = Encoder(dictionary=describe_columns(table, dictionary=KINDS), winsorize=0.01)
    algorithm = make_pipeline(StandardScaler(), KMeans(n_init=3, random_state=4))
    model = fitted(algorithm, table, encoder=encoder, order_by="monetary", variables=list(KINDS))
    model.save(str(tmp_path / "spring.model"))
    again = cs.load_model(str(tmp_path / "spring.model"))
    assert again.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert repr(again.algorithm) == repr(algorithm)
    pd.testing.assert_frame_equal(again.encoder.dictionary, encoder.dictionary)
    refitted = again.fit(table)
    pd.testing.assert_series_equal(refitted.segments_, model.segments_)


@pytest.mark.parametrize(
    "algorithm",
    [
        KModes(3),
        KPrototypes(3),
        KMedoids(3, metric="gower"),
        KMedoids(3, metric="manhattan"),
        LatentClass(3),
        RFMRules(),
        TreeRules(3, target="monetary"),
        Consensus(3, members=["kmeans", GaussianMixture(random_state=0)]),
    ],
    ids=lambda algorithm: repr(algorithm)[:30],
)
def test_an_algorithm_that_was_given_comes_back_unfitted(algorithm, tmp_path):
    takes = LEVELS if isinstance(algorithm, KModes) else list(KINDS)
    if isinstance(algorithm, Consensus) or getattr(algorithm, "metric", "") == "manhattan":
        takes = NUMBERS
    given = {"variables": takes, "n_segments": None}
    model = fitted(algorithm, **given)
    model.save(tmp_path / "spring.model")
    again = cs.load_model(tmp_path / "spring.model")
    pd.testing.assert_series_equal(again.predict(people()), model.predict(people()))
    assert not hasattr(again.algorithm, "n_features_in_")
    assert repr(again.algorithm) == repr(model.algorithm)


def test_a_model_of_dissimilarities_comes_back(tmp_path):
    table = people()
    square = cs.features.gower(table, dictionary=KINDS)
    square = pd.DataFrame(square, index=table.index, columns=table.index)
    model = cs.SegmentationModel(KMedoids(3, metric="precomputed"), random_state=0).fit(square)
    model.save(tmp_path / "spring.model")
    again = cs.load_model(tmp_path / "spring.model")
    pd.testing.assert_series_equal(again.medoids_, model.medoids_)
    pd.testing.assert_series_equal(again.predict(square), model.predict(square))
    ids = {
        name
        for name in table.index
        if name.encode() in b"".join(members(tmp_path / "spring.model").values())
    }
    assert ids <= set(model.medoids_)


def test_names_that_look_like_markup_stay_text(tmp_path):
    model = fitted().rename({"A": "<script>alert(1)</script>"})
    model.save(tmp_path / "spring.model")
    again = cs.load_model(tmp_path / "spring.model")
    assert again.predict(people()).tolist() == model.predict(people()).tolist()
    html = again._repr_mimebundle_()["text/html"]
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_a_stored_model_assigns_in_a_warehouse(stored):
    table = people()
    found = cs.load_model(stored).assign_in(table.reset_index())
    want = fitted().predict(table)
    assert found.set_index("customer_id")["segment"].tolist() == want.tolist()


# ------------------------------------------------------------------------------ the manifest


def test_the_manifest_says_what_the_model_is_and_rests_on(tmp_path):
    table = people()
    table.attrs["as_of"] = "2024-06-30"
    words = {"family": "value", "kind": "numeric", "definition": "paid, in €", "source": "orders"}
    model = fitted(table=table, dictionary=KINDS | {"monetary": words}, order_by="monetary")
    evidence = cs.evaluation.compare_segmentations(table[NUMBERS], NUMBERS, k=[2, 3], n_resamples=4)
    model.save(tmp_path / "spring.model", evidence=evidence)
    manifest = read_manifest(tmp_path / "spring.model")
    assert manifest["format"] == storage.FORMAT
    assert {"custseg", "python", "scikit-learn", "numpy", "skops"} <= set(manifest["versions"])
    assert manifest["summary"] == model.summary()
    assert manifest["roles"] == {"variables": NUMBERS, "order_by": "monetary"}
    assert manifest["customers"] == len(table)
    assert manifest["as_of"] == "2024-06-30"
    assert {"column": "monetary", **words} in manifest["features"]
    assert [row["segment"] for row in manifest["segments"]] == ["A", "B", "C"]
    assert sum(row["n"] for row in manifest["segments"]) == len(table)
    assert manifest["evidence"]["summary"] == evidence.summary()
    assert manifest["evidence"]["notes"] == list(evidence.notes)
    seen = pd.DataFrame(manifest["evidence"]["table"])
    pd.testing.assert_frame_equal(seen, evidence.to_frame(), check_dtype=False, check_exact=True)
    assert manifest["includes_segments"] is False
    again = cs.load_model(tmp_path / "spring.model")
    assert again.provenance_["evidence"] == manifest["evidence"]
    again.save(tmp_path / "summer.model", as_of="2024-09-30")
    later = read_manifest(tmp_path / "summer.model")
    assert (later["as_of"], later["evidence"]) == ("2024-09-30", manifest["evidence"])


def test_the_fingerprint_knows_the_same_table_again(tmp_path):
    table = people()
    known = fitted(table=table).provenance_["fingerprint"]
    shuffled = table.sample(frac=1, random_state=1).assign(other=1)
    assert fitted(table=shuffled.astype({"frequency": float})).provenance_["fingerprint"] == known
    table.to_csv(tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv", index_col="customer_id")
    assert fitted(table=read).provenance_["fingerprint"] == known
    changed = table.assign(frequency=lambda t: t["frequency"] + (t.index == "secret-00007"))
    assert fitted(table=changed).provenance_["fingerprint"] != known
    swapped = table.rename(columns={"frequency": "monetary", "monetary": "frequency"})
    assert fitted(table=swapped).provenance_["fingerprint"] != known


@pytest.mark.parametrize(
    ("day", "kept"),
    [
        (date(2024, 6, 30), "2024-06-30"),
        (pd.Timestamp("2024-06-30 17:00"), "2024-06-30"),
        ("2024-06-30", "2024-06-30"),
    ],
)
def test_the_day_is_a_date(day, kept, tmp_path):
    fitted().save(tmp_path / "spring.model", as_of=day)
    assert read_manifest(tmp_path / "spring.model")["as_of"] == kept
    for wrong in ("yesterday", 3, pd.NaT):
        with pytest.raises(ParameterError, match="as_of must be a date"):
            fitted().save(tmp_path / "spring.model", as_of=wrong)


@pytest.mark.parametrize("evidence", ["words", 3, pd.DataFrame()])
def test_evidence_is_a_result(evidence, tmp_path):
    with pytest.raises(ParameterError, match=r"evidence is a .*, but must be a result"):
        fitted().save(tmp_path / "spring.model", evidence=evidence)
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------- damage and deceit


def test_a_byte_that_changed_anywhere_is_found(stored):
    whole = stored.read_bytes()
    places = {*range(0, len(whole), 997), *range(40), *range(len(whole) - 150, len(whole))}
    for place in sorted(places):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1
        stored.write_bytes(spoilt)
        with pytest.raises(ModelFileError, match="is no model as custseg stored it"):
            cs.load_model(stored)
        with pytest.raises(ModelFileError):
            read_manifest(stored)


@pytest.mark.parametrize("keep", [0, 1, 21, 22, 100, 0.3, 0.999, -1])
def test_a_file_that_came_over_incomplete_is_found(stored, keep):
    whole = stored.read_bytes()
    stored.write_bytes(whole[: int(keep * len(whole))] if 0 < keep < 1 else whole[:keep])
    with pytest.raises(ModelFileError, match="came over incomplete"):
        cs.load_model(stored)


def test_a_manifest_edited_by_hand_is_found(stored):
    found = members(stored)
    with ZipFile(stored, "w") as archive:
        archive.writestr("manifest.json", found["manifest.json"].replace(b"kmeans", b"k-means"))
        archive.writestr("model.skops", found["model.skops"])
    with pytest.raises(ModelFileError, match="checksum"):
        cs.load_model(stored)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"\x80\x04K\x01.", b"{}", bytes(1000), "custseg".encode("utf-16")]
)
def test_other_files_are_no_models(content, tmp_path):
    path = tmp_path / "other.model"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"'other.model' is no model"):
        cs.load_model(path)


def test_members_of_other_names_or_compressed_ones_are_refused(stored):
    found = members(stored)

    def write(names: dict[str, bytes], compression: int = 0) -> None:
        buffer = io.BytesIO()
        with ZipFile(buffer, "w", compression) as archive:
            for name, data in names.items():
                archive.writestr(name, data)
        plain = buffer.getvalue()
        with ZipFile(buffer, "a") as archive:
            archive.comment = hashlib.sha256(plain).hexdigest().encode()
        stored.write_bytes(buffer.getvalue())

    pair = {name: found[name] for name in ("manifest.json", "model.skops")}
    write(pair)
    assert cs.load_model(stored).summary() == fitted().summary()
    for others in (pair | {"../../evil.py": b""}, {"model.skops": pair["model.skops"]}, {}):
        write(others)
        with pytest.raises(ModelFileError, match="other members than"):
            cs.load_model(stored)
    write(pair, ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match="a member is compressed"):
        cs.load_model(stored)
    bomb = skops.io.dumps(np.zeros(10**7), compression=ZIP_DEFLATED)
    assert len(bomb) < 10**5
    with pytest.raises(ModelFileError, match="the model is compressed"):
        cs.load_model(forge(stored, content=bomb))


def test_a_huge_file_is_not_read(stored):
    with stored.open("r+b") as file:
        file.truncate(storage.MAX_BYTES + 1)
    with pytest.raises(ModelFileError, match=r"has 1,073,741,825 bytes, more than"):
        cs.load_model(stored)


def test_a_manifest_as_deep_as_a_well_is_refused(stored):
    found = members(stored)
    stored.write_bytes(storage._archive(b'{"a":' * 100_000, found["model.skops"]))
    with pytest.raises(ModelFileError, match="is no model"):
        cs.load_model(stored)


class Trap(BaseEstimator, ClusterMixin):
    """A clusterer of somebody's own, whose code runs when it is built."""

    built = 0

    def __init__(self, n_clusters: int = 3) -> None:
        self.n_clusters = n_clusters

    def fit(self, X: Any, y: Any = None) -> "Trap":
        self.cuts_ = np.quantile(X[:, 0], [1 / 3, 2 / 3])
        self.labels_ = self.predict(X)
        return self

    def predict(self, X: Any) -> Any:
        return np.searchsorted(self.cuts_, X[:, 0])

    def __setstate__(self, state: Any) -> None:
        Trap.built += 1
        super().__setstate__(state)


def test_a_type_of_ones_own_is_built_only_if_it_is_named(tmp_path):
    model = fitted(Trap())
    model.save(tmp_path / "spring.model")
    name = f"{Trap.__module__}.Trap"
    before = Trap.built
    with pytest.raises(ModelFileError, match=f"not trusted: '{name}'.* trusted="):
        cs.load_model(tmp_path / "spring.model")
    assert Trap.built == before
    again = cs.load_model(tmp_path / "spring.model", trusted=[name])
    assert Trap.built > before
    pd.testing.assert_series_equal(again.predict(people()), model.predict(people()))


@pytest.mark.parametrize(
    "evil",
    [
        print,
        Path.unlink,
        Path("/"),
        FunctionTransformer(print),
        np.random.seed,
        type(print),
        io.BytesIO,
    ],
    ids=["print", "unlink", "path", "transformer", "seed", "type", "bytes"],
)
def test_code_in_a_forged_file_is_refused(evil, stored):
    content = state_of(fitted(), estimator_=evil)
    with pytest.raises(ModelFileError, match=r"holds what is not trusted|that can be rebuilt"):
        cs.load_model(forge(stored, content=content))


def test_a_forged_state_is_no_model(stored):
    model = fitted()
    forged = {
        "no mapping": skops.io.dumps([1, 2]),
        "nothing": skops.io.dumps({}),
        "a method": state_of(model, predict=3),
        "no skops": state_of(model).replace(b"schema.json", b"scheme.json"),
        "an array": skops.io.dumps(np.ones(3)),
    }
    for name, content in forged.items():
        with pytest.raises(ModelFileError, match="does not hold a model that can be rebuilt"):
            pytest.fail(f"{name}: {cs.load_model(forge(stored, content=content))}")


@pytest.mark.parametrize(
    ("algorithm", "attribute"),
    [
        ("kmodes", "modes_"),
        ("kprototypes", "means_"),
        ("kprototypes", "modes_"),
        ("latent_class", "_theta"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(algorithm, attribute, stored):
    model = fitted(algorithm)
    for cut in (np.s_[:2], np.s_[:2, :1], np.s_[:0]):
        forged = pack(model.estimator_)
        vars(forged)[attribute] = vars(forged)[attribute][cut]
        with pytest.raises(ModelFileError, match="that can be rebuilt"):
            cs.load_model(forge(stored, content=state_of(model, estimator_=forged)))


@pytest.mark.parametrize("part", ["numbers", "codes", "weights"])
def test_medoids_that_do_not_fit_each_other_are_refused(part, stored):
    model = fitted("kmedoids")
    forged = pack(model.estimator_)
    forged.medoids_ = forged.medoids_._replace(**{part: getattr(forged.medoids_, part)[:1]})
    with pytest.raises(ModelFileError, match="medoids are not of one shape"):
        cs.load_model(forge(stored, content=state_of(model, estimator_=forged)))


@pytest.mark.parametrize("lacking", ["format", "versions", "customers", "model"])
def test_a_manifest_without_its_parts_is_refused(lacking, stored):
    found = members(stored)
    manifest = json.loads(found["manifest.json"])
    del manifest[lacking]
    text = json.dumps(manifest).encode()
    stored.write_bytes(storage._archive(text, found["model.skops"]))
    with pytest.raises(ModelFileError, match="the manifest is incomplete"):
        cs.load_model(stored)


def test_a_patch_of_scikit_learn_makes_no_difference(tmp_path, monkeypatch):
    minor = version("scikit-learn").rpartition(".")[0]
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", f"{minor}.99")
        fitted("gaussian_mixture").save(tmp_path / "spring.model")
    assert f"{minor}.99".encode() in members(tmp_path / "spring.model")["inside/schema.json"]
    again = cs.load_model(tmp_path / "spring.model")
    assert again.summary() == fitted("gaussian_mixture").summary()


@pytest.mark.parametrize(
    ("versions", "number", "words"),
    [
        ({"custseg": "9.0.0"}, 2, r"stored by custseg 9.0.0 in format 2; .* reads format 1"),
        (
            {"scikit-learn": "0.24.2"},
            1,
            r"scikit-learn 0.24.2.*pip install 'scikit-learn==0.24.\*'",
        ),
    ],
)
def test_files_of_other_versions_say_what_to_install(versions, number, words, stored):
    known = read_manifest(stored)["versions"]
    with pytest.raises(ModelFileError, match=words):
        cs.load_model(forge(stored, format=number, versions=known | versions))


# ----------------------------------------------------------------------------- paths and customers


def test_paths_that_lead_nowhere(stored):
    with pytest.raises(MissingFileError, match=r"Did you mean 'spring.model'"):
        cs.load_model(stored.with_name("sprng.model"))
    with pytest.raises(MissingFileError, match="no folder 'nowhere'"):
        fitted().save(stored.parent / "nowhere" / "spring.model")
    with pytest.raises(ParameterError, match="must name a file"):
        fitted().save(stored.parent)
    with pytest.raises(MissingFileError):
        cs.load_model(stored.parent)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(stored, monkeypatch):
    before = stored.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        fitted(n_segments=2).save(stored)
    assert stored.read_bytes() == before
    assert list(stored.parent.iterdir()) == [stored]


def test_a_model_is_fitted_before_it_is_stored(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        cs.SegmentationModel().save(tmp_path / "spring.model")


def test_what_needs_pickle_is_refused(tmp_path):
    model = fitted()
    model.estimator_.callback = (value for value in [1])
    with pytest.raises(ParameterError, match="cannot be stored without pickle"):
        model.save(tmp_path / "spring.model")
    assert list(tmp_path.iterdir()) == []


def test_customers_that_lack_a_variable_are_refused(stored):
    with pytest.raises(ColumnError, match="no column 'monetary'"):
        cs.load_model(stored).predict(people().drop(columns="monetary"))


def test_every_trusted_type_exists():
    from importlib import import_module

    for name in storage.TRUSTED:
        module, _, kind = name.rpartition(".")
        assert module.split(".")[0] in ("custseg", "sklearn")
        assert isinstance(getattr(import_module(module), kind), type)


def test_errors_are_custsegs():
    assert issubclass(ModelFileError, CustsegError)
