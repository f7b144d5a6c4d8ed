"""Segments of more customers than memory likes: in batches, or from a sample that is tested."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.cluster import KMeans as PlainKMeans
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from custseg.clustering._inputs import apply_encoder
from custseg.clustering._naming import as_codes, segment_names
from custseg.clustering._passes import Encoded, Trace, encode_all, lloyd, mini_batches
from custseg.clustering._staging import Staged, stage
from custseg.clustering._totals import Totals
from custseg.clustering.algorithms import (
    ENCODERS,
    algorithm_name,
    as_seed,
    make_estimator,
    own_variables,
    predicted,
    takes,
)
from custseg.clustering.assignment import learn_assignment
from custseg.clustering.kmeans import KMeans
from custseg.clustering.model import SegmentationModel
from custseg.errors import ParameterError, check_number
from custseg.features.encoder import Encoder
from custseg.results import Result, format_number

COMMON = 20_000
"""How many customers the models of several samples are compared on."""

TOLERANCE = 1e-4
"""The squared shift of all centres, over the mean variance, at which mini-batches end."""

FIRM = (
    "how alike the models of samples are says how far the sample matters, not whether there are "
    "gaps between segments: a cut through a continuum can be firm."
)
ALIKE = 0.8
"""The adjusted Rand index below which two models divide customers differently."""


@dataclass(frozen=True, repr=False, eq=False)
class BatchFit(Result):
    """A model fitted in batches; made by `fit_in_batches`.

    Parameters
    ----------
    model
        The fitted model. It has no ``segments_``: ``model.assign_in(table)`` gives them where the
        customers are.
    passes
        One row per pass: ``step``, ``loss`` (the mean squared distance from the centres that it
        began with, in encoded units), ``shift`` (how far they moved, in standard deviations).
    account
        ``rows`` read, used and set aside, by ``reason``, with ``examples`` of ids.
    notes
        What was learned from how many customers.
    """

    model: SegmentationModel
    passes: pd.DataFrame
    account: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "large.passes"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pass: ``step``, ``loss`` and ``shift``."""
        return self.passes

    def summary(self) -> str:
        """Return how many customers were divided, in how many passes."""
        passes = f"{len(self.passes)} pass{'es' * (len(self.passes) != 1)}"
        return f"{self.model.summary()}; {passes} over {self.account['rows'][0]:,} rows"

    def _shown(self) -> pd.DataFrame:
        return pd.concat([self.model.sizes_, self.model.centers_], axis=1)


@dataclass(frozen=True, repr=False, eq=False)
class SampleFit(Result):
    """A model fitted on a sample, and what other samples say; made by `fit_on_sample`.

    Parameters
    ----------
    model
        The model, of all samples, that loses least on all customers.
    samples
        One row per sample, see `fit_on_sample`.
    pair_ari
        The adjusted Rand index of every pair of samples, on customers common to all.
    segments
        ``segment``, and ``n`` and ``share`` of all customers in it.
    account
        ``rows`` read, used and set aside, by ``reason``, with ``examples`` of ids.
    notes
        Caveats.
    """

    model: SegmentationModel
    samples: pd.DataFrame
    pair_ari: pd.DataFrame
    segments: pd.DataFrame
    account: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "large.samples"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per sample: ``n``, ``loss``, ``above_best``, ``ari`` and ``kept``."""
        return self.samples

    def summary(self) -> str:
        """Return how alike the models of the samples are, and what the choice costs."""
        n = int(self.account["rows"][1])
        size, count = int(self.samples["n"].max()), len(self.samples)
        worst = self.samples["above_best"].max()
        return (
            f"models of {count} samples of {size:,} out of {n:,} customers agree with a mean "
            f"adjusted Rand index of {format_number(self.pair_ari['ari'].mean())} (least "
            f"{format_number(self.pair_ari['ari'].min())}); the worst loses {worst:.2%} more than "
            "the best"
        )


def fit_in_batches(
    model: SegmentationModel,
    table: Any,
    *,
    customer_id: str = "customer_id",
    batch_size: int = 100_000,
    sample_size: int = 200_000,
    max_passes: int = 20,
) -> BatchFit:
    """Fit k-means on a table that need not fit into memory.

    The customers that can be used are written into a temporary file, in an order that depends on
    their ids alone; neither the order of the rows nor the number of threads changes the answer.
    The encoder and the starting centres are learned from a sample. Then all customers are read
    again and again, one batch in memory at a time: with ``"kmeans"``, each pass is one iteration of
    Lloyd, as it would be in memory; with ``"minibatch_kmeans"``, every batch moves the centres. The
    last pass counts the segments and takes their means.

    Parameters
    ----------
    model
        An unfitted model with the algorithm ``"kmeans"`` or ``"minibatch_kmeans"``, or a clusterer
        of these classes; it is cloned.
    table
        The path of a Parquet or CSV file, a DuckDB relation, or a frame in memory: one row per
        customer.
    customer_id
        The column that names customers.
    batch_size
        How many customers are held in memory at a time, 2,048 at least.
    sample_size
        How many the encoder and the starting centres are learned from. The sample also has the
        customer with the least value of each number, and one for each level, so that the encoder
        knows what there is.
    max_passes
        The most passes; they end earlier when the centres stand still, by the tolerance of the
        clusterer.

    Returns
    -------
    BatchFit
        ``.model`` is the fitted model: `predict`, `assign`, `assign_in` and `save` work;
        ``.account`` has the rows read, used and set aside: customers without an id or with one that
        is repeated, with a missing value (unless the encoder imputes) or an infinite one.

    Raises
    ------
    ColumnError
        If the table lacks a column.
    DataError
        If the table does not run in DuckDB, no customer is left, or values do not suit the encoder.
    ParameterError
        If the algorithm cannot be fitted in batches, or a parameter is out of bounds.

    References
    ----------
    Lloyd (1982), IEEE Trans. Information Theory 28(2). Sculley (2010). Web-scale k-means
    clustering. WWW.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> customers = pd.DataFrame({"customer_id": range(3_000), "orders": rng.poisson(5, 3_000)})
    >>> customers.loc[::2, "orders"] += 40
    >>> model = SegmentationModel("kmeans", n_segments=2, order_by="orders", random_state=0)
    >>> fit_in_batches(model, customers, sample_size=500)
    BatchFit: kmeans found 2 segments of 3,000 customers by 1 variables, ordered by orders; 1 pass
    over 3,000 rows
    <BLANKLINE>
                 n  share orders
    segment
    A        1,500  0.500   45.1
    B        1,500  0.500   5.03
    <BLANKLINE>
    note: the encoder and the starting centres were learned from 501 of 3,000 customers.
    """
    _check_sizes(batch_size=batch_size, sample_size=sample_size, max_passes=max_passes)
    seed = as_seed(model.random_state)
    unfitted = make_estimator(model.algorithm, model.n_segments, seed)
    if not isinstance(unfitted, (KMeans, PlainKMeans, MiniBatchKMeans)):
        raise ParameterError(
            f"{algorithm_name(model.algorithm)} cannot be fitted in batches: 'kmeans' and "
            "'minibatch_kmeans' can. fit_on_sample takes every algorithm."
        )
    with TemporaryDirectory() as folder, threadpool_limits(limits=1):
        staged = _stage(model, table, Path(folder), customer_id, seed)
        sample = _draw(staged, sample_size, seed + 1)
        fitted = _fit(model, staged, sample, seed)
        encoded = encode_all(staged, fitted.encoder_, Path(folder), batch_size)
        tol = TOLERANCE if isinstance(unfitted, MiniBatchKMeans) else float(unfitted.tol)
        trace = _move(fitted.estimator_, encoded, batch_size, max_passes, tol)
        totals = Totals(len(fitted.sizes_), dict.fromkeys([*staged.variables, *staged.others]))
        for batch, rows in encoded.beside(staged.batches(batch_size)):
            totals.add(predicted(fitted.estimator_, rows), batch)
    steps = pd.DataFrame(trace, columns=["loss", "shift"])
    steps["loss"] /= staged.n
    steps["shift"] = np.sqrt(steps["shift"] / encoded.variance)
    steps.insert(0, "step", np.arange(1, len(steps) + 1))
    learned = f"learned from {len(sample):,} of {staged.n:,} customers."
    notes = [f"the encoder and the starting centres were {learned}"]
    if steps["shift"].iloc[-1] ** 2 > tol:
        notes.append(f"the centres still moved in pass {max_passes}, the last: allow more.")
    _describe(fitted, sample, totals, notes)
    return BatchFit(fitted, steps, staged.account, tuple(notes + _set_aside(staged)))


def fit_on_sample(
    model: SegmentationModel,
    table: Any,
    *,
    customer_id: str = "customer_id",
    sample_size: int = 50_000,
    n_samples: int = 5,
    batch_size: int = 100_000,
) -> SampleFit:
    """Fit any algorithm on a sample, and say how far the choice of the sample matters.

    Several samples are drawn by chance, whatever the order of the rows, and the model is fitted on
    each with the same seed. The fits are compared by the adjusted Rand index of their assignments
    of 20,000 customers drawn anew, and by what each loses on all customers: the sum of squares
    within its segments, in the columns of `custseg.features.Encoder` (a column per level of text),
    read batch by batch. The fit that loses least is kept.

    Parameters
    ----------
    model
        An unfitted model of any algorithm that has a rule for new customers; it is cloned.
    table, customer_id
        As in `fit_in_batches`.
    sample_size
        How many customers are in each sample, which also has the customer with the least value of
        each number, and one for each level.
    n_samples
        The number of samples.
    batch_size
        How many customers are held in memory at a time.

    Returns
    -------
    SampleFit
        ``to_frame()`` has one row per sample: ``sample``, its ``n``, its ``loss`` per customer of
        the whole table, by how much it is ``above_best``, the mean ``ari`` with the other samples,
        and whether it was ``kept``; ``.model`` is that one, ``.segments`` its sizes in the whole
        table, ``.pair_ari`` every pair, ``.account`` the rows.

    Raises
    ------
    ColumnError, DataError
        As `fit_in_batches` does.
    ParameterError
        If a parameter is out of bounds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> customers = pd.DataFrame({"customer_id": range(3_000), "orders": rng.poisson(5, 3_000)})
    >>> customers.loc[::2, "orders"] += 40
    >>> model = SegmentationModel("ward", n_segments=2, random_state=0)
    >>> fit_on_sample(model, customers, sample_size=300, n_samples=3).to_frame().round(4)
       sample    n    loss  above_best  ari   kept
    0       1  301  0.0118         0.0  1.0   True
    1       2  301  0.0118         0.0  1.0  False
    2       3  301  0.0118         0.0  1.0  False
    """
    _check_sizes(batch_size=batch_size, sample_size=sample_size)
    check_number(n_samples, "n_samples", ge=2, integer=True)
    seed = as_seed(model.random_state)
    with TemporaryDirectory() as folder:
        staged = _stage(model, table, Path(folder), customer_id, seed)
        drawn = [_draw(staged, sample_size, seed + 1 + place) for place in range(n_samples)]
        fits = [_fit(model, staged, sample, seed) for sample in drawn]
        common = _draw(staged, COMMON, seed + 1 + n_samples)
        labels = [fit.predict(common).cat.codes for fit in fits]
        losses, counts = _losses(fits, staged, common, batch_size)
    pairs = list(combinations(range(n_samples), 2))
    pair_ari = pd.DataFrame([(a + 1, b + 1) for a, b in pairs], columns=["sample", "other"])
    pair_ari["ari"] = [adjusted_rand_score(labels[a], labels[b]) for a, b in pairs]
    above = np.round(losses / losses.min() - 1, 12) if losses.min() > 0 else losses
    best = int(above.argmin())
    places = np.arange(1, n_samples + 1)
    own = [pair_ari["ari"][(pair_ari[["sample", "other"]] == p).any(axis=1)] for p in places]
    samples = pd.DataFrame(
        {
            "sample": places,
            "n": [len(sample) for sample in drawn],
            "loss": losses / staged.n,
            "above_best": above,
            "ari": [float(values.mean()) for values in own],
            "kept": places == best + 1,
        }
    )
    found = counts[best][: len(fits[best].sizes_)]
    segments = pd.DataFrame(
        {"segment": fits[best].sizes_.index, "n": found.astype(int), "share": found / staged.n}
    )
    notes = [FIRM]
    if pair_ari["ari"].min() < ALIKE:
        notes.append(
            "two samples divide the same customers differently: take larger samples or fewer "
            "segments before anything is built on these."
        )
    notes += _set_aside(staged)
    return SampleFit(fits[best], samples, pair_ari, segments, staged.account, tuple(notes))


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        check_number(value, name, ge=1, integer=True)


def _stage(
    model: SegmentationModel, table: Any, folder: Path, customer_id: str, seed: int
) -> Staged:
    """Write what the model may see of the customers into a file."""
    estimator = make_estimator(model.algorithm, model.n_segments, seed)
    automatic = isinstance(model.encoder, str)
    form = takes(estimator)
    encoder = ENCODERS[form](model.dictionary) if automatic else model.encoder
    gaps = get_tags(estimator if encoder is None else encoder).input_tags.allow_nan
    others = [model.order_by, getattr(estimator, "target", None)]
    return stage(
        table,
        folder,
        customer_id=customer_id,
        variables=own_variables(estimator) if model.variables is None else model.variables,
        others=[name for name in others if name is not None],
        categories=automatic and form != "numbers",
        keep_missing=bool(gaps),
        seed=seed,
    )


def _draw(staged: Staged, size: int, seed: int) -> pd.DataFrame:
    """Return a sample, with the customers without whom an encoder would not know all there is."""
    drawn = pd.concat([staged.sample(size, seed), staged.lowest()])
    return drawn[~drawn.index.duplicated()].sort_index()


def _fit(
    model: SegmentationModel, staged: Staged, sample: pd.DataFrame, seed: int
) -> SegmentationModel:
    return clone(model).set_params(variables=staged.variables, random_state=seed).fit(sample)


def _move(estimator: Any, encoded: Encoded, batch_size: int, max_passes: int, tol: float) -> Trace:
    """Move the centres of a clusterer that was fitted on a sample by all customers."""
    options = {"batch_size": batch_size, "max_passes": max_passes}
    if isinstance(estimator, MiniBatchKMeans):
        trace = mini_batches(encoded, estimator, tol=tol, **options)
    else:
        centers, trace = lloyd(encoded, estimator.cluster_centers_, tol=tol, **options)
        estimator.cluster_centers_ = centers
    estimator.n_iter_ = len(trace)
    return trace


def _describe(
    fitted: SegmentationModel, sample: pd.DataFrame, totals: Totals, notes: Sequence[str]
) -> None:
    """Let a model that was fitted on a sample tell of all customers."""
    estimator = fitted.estimator_
    estimator.__dict__.pop("labels_", None)
    n, k = int(totals.counts.sum()), len(totals.counts)
    first = totals.counts if fitted.order_by is None else totals.means(fitted.order_by)
    keys = [(-first[c], *(-estimator.cluster_centers_[c])) for c in range(k)]
    order = np.array(sorted(range(k), key=keys.__getitem__))
    matrix = apply_encoder(sample[fitted.variables_], fitted.encoder_)
    codes = as_codes(predicted(estimator, matrix), order)
    names = pd.CategoricalIndex(segment_names(k), ordered=True, name="segment")
    counts = totals.counts[order].astype(int)
    for name in ("segments_", "labels_"):
        fitted.__dict__.pop(name)
    fitted.__dict__.update(
        _order=order,
        _assignment=learn_assignment(estimator, matrix, codes, order, square=False),
        _notes=tuple(notes),
        names_=list(names),
        sizes_=pd.DataFrame({"n": counts, "share": counts / n}, index=names),
        centers_=totals.centers(fitted.variables_, order, names),
        noise_share_=0.0,
        predict_fidelity_=1.0,
        provenance_=fitted.provenance_ | {"customers": n, "fingerprint": None},
    )


def _losses(
    fits: Sequence[SegmentationModel], staged: Staged, common: pd.DataFrame, batch_size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of squares within the segments of each fit, and their sizes; noise is last."""
    names = fits[0].variables_
    text = common[names].select_dtypes(exclude=["number", "bool"]).columns
    encoder = Encoder(dictionary=dict.fromkeys(text, "nominal"), missing="impute")
    encoder.fit(common[names])
    most = max(len(fit.sizes_) for fit in fits) + 1
    width = len(encoder.get_feature_names_out())
    counts, sums = np.zeros((len(fits), most)), np.zeros((len(fits), most, width))
    squares = 0.0
    for batch in staged.batches(batch_size):
        rows = encoder.transform(batch[names])
        squares += float((rows**2).sum())
        for place, fit in enumerate(fits):
            codes = fit.predict(batch).cat.codes.to_numpy(dtype=int) % most
            counts[place] += np.bincount(codes, minlength=most)
            for column, values in enumerate(rows.T):
                sums[place, :, column] += np.bincount(codes, values, minlength=most)
    between = (sums**2).sum(axis=2) / np.maximum(counts, 1)
    return np.maximum(squares - between.sum(axis=1), 0.0), counts


def _set_aside(staged: Staged) -> list[str]:
    read = int(staged.account["rows"].iloc[0])
    if read == staged.n:
        return []
    reasons = "; ".join(f"{row.reason} ({row.rows:,})" for row in staged.account[2:].itertuples())
    return [f"{read - staged.n:,} of {read:,} rows were set aside: {reasons}."]
