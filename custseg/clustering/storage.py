"""Segmentations in files: without pickle, with a manifest, and checked before anything is built.

The file is a zip archive of two members, uncompressed: ``manifest.json`` says what the model is and
what it rests on, ``model.skops`` holds it. The comment of the archive is the SHA-256 of the archive
without a comment: a byte that changed on the way is found whatever it meant.
"""

import hashlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from sklearn.exceptions import InconsistentVersionWarning

from custseg import __version__
from custseg._engine import from_day, to_day
from custseg.clustering._frames import pack, parts_of, unpack
from custseg.clustering._spaces import GowerSpace
from custseg.clustering.kmedoids import KMedoids
from custseg.clustering.kmodes import KModes
from custseg.clustering.kprototypes import KPrototypes
from custseg.clustering.latent_class import LatentClass
from custseg.clustering.model import SegmentationModel
from custseg.errors import MissingFileError, ModelFileError, ParameterError, nearest

FORMAT = 1
"""The layout of the file; a file of a higher one is not read."""

MAX_BYTES = 2**30
"""What a file may have: a model without its customers comes nowhere near."""

TRUSTED = (
    "custseg.clustering._frames.StoredBirch",
    "custseg.clustering._frames.StoredColumn",
    "custseg.clustering._frames.StoredTable",
    "custseg.clustering._questions.Question",
    "custseg.clustering._runs.Run",
    "custseg.clustering._spaces.GowerSpace",
    "custseg.clustering._spaces.MetricSpace",
    "custseg.clustering._trees.Tree",
    "custseg.clustering.adaptive.AdaptiveKMeans",
    "custseg.clustering.assignment.Assignment",
    "custseg.clustering.assignment.Ranges",
    "custseg.clustering.consensus.Consensus",
    "custseg.clustering.kmeans.KMeans",
    "custseg.clustering.kmedoids.KMedoids",
    "custseg.clustering.kmodes.KModes",
    "custseg.clustering.kprototypes.KPrototypes",
    "custseg.clustering.latent_class.LatentClass",
    "custseg.clustering.rules.RFMRules",
    "custseg.clustering.tree_rules.TreeRules",
    "custseg.features._treatments.Binary",
    "custseg.features._treatments.Levels",
    "custseg.features._treatments.Nominal",
    "custseg.features._treatments.Number",
    "custseg.features._treatments.Ordinal",
    "custseg.features._treatments.Positions",
    "custseg.features._treatments.Share",
    "custseg.features.dictionary.Known",
    "custseg.features.encoder.Encoder",
    "custseg.features.gower.Comparison",
    "custseg.features.gower.Placed",
    "custseg.features.mixed_encoder.MixedEncoder",
    "sklearn.cluster._bisect_k_means._BisectingTree",
)
"""The types that a file may hold besides scikit-learn's estimators, arrays and plain values."""

LEFT_OUT = frozenset(
    {
        *("labels_", "segments_", "probabilities_", "children_", "distances_", "embedding_"),
        *("affinity_matrix_", "core_sample_indices_", "ordering_", "reachability_", "indices"),
        *("_single_linkage_tree_", "_raw_data", "root_", "dummy_leaf_", "held_out_", "agreement_"),
        "_kmeans_single",
    }
)
"""The attributes of models and of what they hold that say something of each customer of the fit, or
are functions; none is needed to assign others."""

_MEMBERS = ("manifest.json", "model.skops")
_WRONG = (
    *(BadZipFile, LookupError, ValueError, TypeError, AttributeError, ImportError),
    *(EOFError, RecursionError, NotImplementedError, OSError, MemoryError),
)
"""What comes of reading a file that is not what it says."""


def save_model(
    model: SegmentationModel,
    path: str | Path,
    *,
    as_of: Any,
    evidence: Any,
    include_segments: bool,
) -> None:
    """Write a fitted model into a file; see `SegmentationModel.save`."""
    import skops.io

    state = {name: value for name, value in vars(model).items() if name != "provenance_"}
    kept = {name: state.pop(name) for name in ("segments_", "labels_") if name in state}
    packed = {name: pack(value, without=LEFT_OUT) for name, value in state.items()}
    if include_segments:
        packed |= {name: pack(value) for name, value in kept.items()}
    try:
        content = skops.io.dumps(packed)
    except TypeError as error:
        raise ParameterError(
            f"the model cannot be stored without pickle: {error}. Name the algorithm in plain "
            "parameters, or choose one of the catalogue."
        ) from None
    given = {
        "as_of": None if as_of is None else from_day(to_day(as_of, "as_of")).isoformat(),
        "evidence": None if evidence is None else _as_evidence(evidence),
    }
    manifest = {
        "format": FORMAT,
        "versions": _versions(),
        "summary": model.summary(),
        "roles": {"variables": model.variables_, "order_by": model.order_by},
        "segments": model.sizes_.reset_index().to_dict(orient="records"),
        **model.provenance_,
        **{name: value for name, value in given.items() if value is not None},
        "includes_segments": include_segments,
        "model": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    _write(Path(path), _archive(text.encode(), content))


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Return what a stored model says of itself, without building anything from the file.

    Parameters
    ----------
    path
        A file that `SegmentationModel.save` wrote.

    Returns
    -------
    dict
        ``format`` and ``versions``; a ``summary``; the ``roles`` of columns; the ``segments`` and
        their sizes; the number of ``customers`` and the ``fingerprint`` of their values, by which
        the same table is known again; ``as_of``; ``features``, as `describe_columns` has them;
        ``evidence``, if any was given; whether it ``includes_segments`` of single customers; size
        and checksum of the ``model``.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ModelFileError
        If it is damaged, was changed, or is no stored model.
    """
    return _read(Path(path))[0]


def load_model(path: str | Path, *, trusted: Sequence[str] = ()) -> SegmentationModel:
    """Return a stored segmentation.

    Nothing is built before the file was checked: its checksum, its version, and that it holds only
    types of custseg, estimators of scikit-learn, arrays and plain values. A checksum finds what
    changed by accident or by hand; somebody who wants to deceive can compute a new one, so what
    keeps a foreign file from running code is the list of types.

    Parameters
    ----------
    path
        A file that `SegmentationModel.save` wrote.
    trusted
        The full names of further types to build, such as a clusterer of your own. Their code runs:
        name only what you know.

    Returns
    -------
    SegmentationModel
        With everything that `predict`, `assign_in`, `sizes_` and `centers_` need. The segments of
        the customers of the fit are there only if the file includes them.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ModelFileError
        If it is damaged, was changed, is no stored model, holds a type that is not trusted, or was
        written by a newer custseg or with another scikit-learn.

    Examples
    --------
    >>> import pandas as pd
    >>> from tempfile import TemporaryDirectory
    >>> customers = pd.DataFrame({"monetary": [90.0, 5.0, 80.0, 6.0]}, index=[1, 2, 3, 4])
    >>> model = SegmentationModel(n_segments=2, order_by="monetary", random_state=0).fit(customers)
    >>> with TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/spring.model")
    ...     again = load_model(f"{folder}/spring.model")
    >>> again.predict(customers).to_dict()
    {1: 'A', 2: 'B', 3: 'A', 4: 'B'}
    """
    import skops.io

    path = Path(path)
    manifest, content = _read(path)
    _check_versions(manifest, path)
    try:
        strange = set(skops.io.get_untrusted_types(data=content)) - {*TRUSTED, *trusted}
        if not strange:
            with catch_warnings():  # the version of scikit-learn was checked
                simplefilter("ignore", InconsistentVersionWarning)
                state = skops.io.loads(content, trusted=[*TRUSTED, *trusted])
            return _rebuilt(unpack(state), manifest)
    except _WRONG as error:
        raise ModelFileError(
            f"{path.name!r} does not hold a model that can be rebuilt ({error}). Store it again "
            "from where it was fitted."
        ) from error
    names = ", ".join(repr(name) for name in sorted(strange))
    raise ModelFileError(
        f"{path.name!r} holds what is not trusted: {names}. If you know these types, and who "
        f"stored the file, name them: load_model(path, trusted=[{names}])."
    )


def _rebuilt(state: Mapping[str, Any], manifest: Mapping[str, Any]) -> SegmentationModel:
    model = SegmentationModel()
    needed = {*model.get_params(), "encoder_", "estimator_", "variables_", "sizes_", "centers_"}
    lacking = sorted(needed - set(state))
    strange = sorted(name for name in state if hasattr(SegmentationModel, name))
    if lacking or strange:
        raise ValueError(f"{', '.join(lacking or strange)} {'lack' if lacking else 'are methods'}")
    known = ("customers", "fingerprint", "as_of", "features", "evidence")
    for part in parts_of(state):
        _check_shapes(part)
    model.__dict__.update(state)
    model.provenance_ = {name: manifest[name] for name in known if name in manifest}
    return model


def _check_shapes(part: Any) -> None:
    """Raise an error where arrays do not fit together: compiled loops read them unchecked."""
    if isinstance(part, KModes | KPrototypes) and hasattr(part, "modes_"):
        k, n_levels = len(part.means_), len(part.categorical_)
        n_numbers = part.n_features_in_ - n_levels
        if part.means_.shape != (k, n_numbers) or part.modes_.shape != (k, n_levels):
            raise ValueError("means and modes are not of one shape")
    space = getattr(part, "space_", None)
    if isinstance(part, KMedoids) and isinstance(space, GowerSpace):
        numbers, codes, weights = part.medoids_
        n_numbers = sum(one.is_number for one in space.comparisons)
        shapes = numbers.shape, codes.shape, weights.shape
        n_levels, k = len(space.comparisons) - n_numbers, part.n_clusters
        if shapes != ((n_numbers, k), (n_levels, k), (n_numbers + n_levels,)):
            raise ValueError("medoids are not of one shape")
    if isinstance(part, LatentClass) and hasattr(part, "class_weights_"):
        _ = part.item_probabilities_, part.item_means_


def _versions() -> dict[str, str]:
    libraries = ("scikit-learn", "numpy", "pandas", "skops")
    found = {name: version(name) for name in libraries}
    return {"custseg": __version__, "python": platform.python_version(), **found}


def _check_versions(manifest: Mapping[str, Any], path: Path) -> None:
    if manifest["format"] != FORMAT:
        raise ModelFileError(
            f"{path.name!r} was stored by custseg {manifest['versions']['custseg']} in format "
            f"{manifest['format']}; custseg {__version__} reads format {FORMAT}. Install that "
            "version, or store the model again with this one."
        )
    stored, here = manifest["versions"]["scikit-learn"], version("scikit-learn")
    if stored.split(".")[:2] != here.split(".")[:2]:
        minor = ".".join(stored.split(".")[:2])
        raise ModelFileError(
            f"{path.name!r} was stored with scikit-learn {stored}, and here is {here}, which does "
            f"not promise to read it. Install it, pip install 'scikit-learn=={minor}.*', or fit "
            "the model again."
        )


def _as_evidence(evidence: Any) -> dict[str, Any]:
    """Return a result as plain values."""
    if not (hasattr(evidence, "to_frame") and hasattr(evidence, "summary")):
        raise ParameterError(
            f"evidence is a {type(evidence).__name__}, but must be a result, such as what "
            "compare_segmentations returns."
        )
    table = evidence.to_frame().reset_index(drop=True).astype(object)
    return {
        "kind": type(evidence).__name__,
        "summary": evidence.summary(),
        "notes": list(evidence.notes),
        "table": table.where(table.notna(), None).to_dict(orient="records"),
    }


def _plain(value: Any) -> Any:
    """Return a scalar of numpy as Python's own, and anything else as text."""
    return value.item() if hasattr(value, "item") else str(value)


# -------------------------------------------------------------------------------------- the file


def _archive(manifest: bytes, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name, member in zip(_MEMBERS, (manifest, content), strict=True):
            archive.writestr(ZipInfo(name), member)  # without a clock
    return _sealed(buffer.getvalue())


def _sealed(archive: bytes) -> bytes:
    """Return an archive with the checksum of what is there as its comment."""
    comment = hashlib.sha256(archive).hexdigest().encode()
    return archive[:-2] + len(comment).to_bytes(2, "little") + comment


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or as it was before."""
    if not path.parent.is_dir():
        raise MissingFileError(
            f"there is no folder {path.parent.name!r} to store {path.name!r} in. Make it first."
        )
    if path.is_dir():
        raise ParameterError(f"path is the folder {path.name!r}, but must name a file in it.")
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the manifest and the content of a file that is as it was stored."""
    if not path.is_file():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingFileError(f"there is no file {path.name!r} there.{nearest(path.name, beside)}")
    if path.stat().st_size > MAX_BYTES:
        raise ModelFileError(
            f"{path.name!r} has {path.stat().st_size:,} bytes, more than the {MAX_BYTES:,} that a "
            "model may have: it is none, or holds more than one."
        )
    data = path.read_bytes()
    try:
        return _members(data)
    except _WRONG as error:
        raise ModelFileError(
            f"{path.name!r} is no model as custseg stored it ({error}): it is another kind of "
            "file, came over incomplete, or was changed afterwards. Fetch it again from where it "
            "came, or store the model again."
        ) from error


def _members(data: bytes) -> tuple[dict[str, Any], bytes]:
    with ZipFile(io.BytesIO(data)) as archive:
        if data != _sealed(data[: -2 - len(archive.comment)] + b"\0\0"):
            raise ValueError("the checksum is not that of the content")
        members = archive.infolist()
        if tuple(member.filename for member in members) != _MEMBERS:
            raise ValueError(f"it holds other members than {' and '.join(_MEMBERS)}")
        if any(member.compress_type != ZIP_STORED for member in members):
            raise ValueError("a member is compressed")
        text, content = (archive.read(member) for member in members)
    manifest = json.loads(text)
    lacking = {"format", "versions", "customers", "model"} - set(manifest)
    if lacking or {"custseg", "scikit-learn"} - set(manifest["versions"]):
        raise ValueError("the manifest is incomplete")
    if hashlib.sha256(content).hexdigest() != manifest["model"]["sha256"]:
        raise ValueError("the checksum in the manifest is not that of the model")
    with ZipFile(io.BytesIO(content)) as inner:
        if any(member.compress_type != ZIP_STORED for member in inner.infolist()):
            raise ValueError("the model is compressed")
    return manifest, content
