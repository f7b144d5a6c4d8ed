"""One segmentation from several: algorithms, starts, resamples and columns, and their vote."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.validation import check_is_fitted

from custseg.clustering._columns import open_table
from custseg.clustering._inputs import check_distinct
from custseg.clustering._runs import distinct_up_to, fit_run, read_members
from custseg.clustering._votes import Ballots, match, same_customers, winners, without_empty
from custseg.clustering._weights import read_weights
from custseg.clustering.algorithms import as_seed
from custseg.errors import DataError, ParameterError, check_columns, check_number, check_option
from custseg.features._gaps import refuse_missing
from custseg.features._treatments import numbers_of
from custseg.features.encoder import as_frame

Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]

RUNS = 30


class Consensus(ClusterMixin, BaseEstimator):
    """Let several clusterings vote on the segment of each customer.

    Clusters of different runs mean the same where they hold the same customers; each run then has
    one vote on each customer. A single k-means can be unlucky with its start, its sample or a
    column that is noise; what most runs say is steadier, and how many of them agree tells for which
    customers a segment is a close call.

    The work grows with the number of customers, not with its square.

    Parameters
    ----------
    n_clusters
        The number of segments, at most: one that wins no customer is given up.
    members
        What votes: a clusterer, or a list of them, scikit-learn's or ours, or names of
        ``custseg.clustering.ALGORITHMS``. ``None`` takes k-means with one start: with the number of
        clusters wanted, or for ``method="coassociation"`` with more, which differ between runs.
    n_runs
        The number of runs; members take turns. ``None``: each member of a list runs once, one alone
        30 times.
    method
        ``"vote"``: clusters of a run are matched one to one with segments, so that as many votes
        as possible agree: for members that look for the same segments. ``"coassociation"``:
        clusters are joined that hold customers whom other runs put together: members with many
        small clusters may so form segments of any shape.
    resample
        Whether each run draws customers with replacement; ``None`` does so if a member runs more
        than once.
    max_features
        The share of the columns, drawn anew, that each run sees; 1 for all of them.
    random_state
        A seed; the same seed gives the same segments.

    Attributes
    ----------
    labels_ : numpy.ndarray
        The segment of each customer: the one with the most votes, the first of equal ones; -1 for
        a customer on whom no run has a vote, because all call them noise.
    agreement_ : numpy.ndarray
        The share of votes for it, 0 where there were none.
    runs_ : list
        Of each run: its fitted ``estimator``, the positions of the ``columns`` that it saw, and
        the ``clusters``, the labels that it gives.
    mapping_ : list of numpy.ndarray
        Of each run: the segment that each of its clusters votes for.
    member_ari_ : numpy.ndarray
        The adjusted Rand index of each run with the consensus.
    n_segments_ : int
        The number of segments.
    n_iter_ : int
        The number of rounds of matching.
    n_features_in_, feature_names_in_
        The number of columns, and their names where a frame was given.

    Notes
    -----
    A member without a rule for new customers, such as Ward's, votes on the customers that it was
    fitted on only; in `predict` it abstains.

    References
    ----------
    Dimitriadou, Weingessel & Hornik (2002). A combination scheme for fuzzy clustering. IJPRAI
    16(7) (vote). Fred & Jain (2005). Combining multiple clusterings using evidence accumulation.
    IEEE TPAMI 27(6) (co-association). Strehl & Ghosh (2002). Cluster ensembles. JMLR 3. Dolnicar &
    Leisch (2004). Segmenting markets by bagged clustering. Australasian Marketing Journal 12(1).

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [5.4], [9.0], [10.0], [11.0]])
    >>> consensus = Consensus(2, random_state=0).fit(X)
    >>> consensus
    Consensus: 30 runs of KMeans vote on 2 segments; a segment has 97.1% of the votes on average,
    and less than two thirds of them for 0 of 7 customers
    >>> consensus.agreement_.round(2).tolist()
    [1.0, 1.0, 1.0, 0.8, 1.0, 1.0, 1.0]
    >>> consensus.predict([[4.0], [7.0]]).tolist()
    [0, 1]
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        members: Any = None,
        n_runs: int | None = None,
        method: str = "vote",
        resample: bool | None = None,
        max_features: float = 1.0,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.members = members
        self.n_runs = n_runs
        self.method = method
        self.resample = resample
        self.max_features = max_features
        self.random_state = random_state

    def fit(
        self,
        X: "pd.DataFrame | ArrayLike",
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> "Consensus":
        """Fit the members, match their clusters, and count votes.

        Parameters
        ----------
        X
            Customers x variables, as the members take them.
        y
            Ignored; there for scikit-learn.
        sample_weight
            How many customers each row stands for; ``None`` counts each once.

        Returns
        -------
        Consensus
            The fitted consensus itself.

        Raises
        ------
        DataError
            If the table is empty, or a resample has fewer distinct customers than segments.
        ParameterError
            If a parameter is out of bounds, or weights are given and a member takes none.
        """
        members = self._check_parameters()
        seed = as_seed(self.random_state)
        frame = open_table(self, X, reset=True)
        self._gaps = frame.isna().any().to_numpy()
        rows = self._read(frame)
        weights = read_weights(sample_weight, len(frame))
        distinct = distinct_up_to(frame[weights > 0], self.n_clusters)
        check_distinct(self.n_clusters, distinct, name="n_clusters")
        n_runs = self.n_runs or (len(members) if len(members) > 1 else RUNS)
        resample = n_runs > len(members) if self.resample is None else self.resample
        fitted = [
            fit_run(
                members[place % len(members)],
                rows,
                weights,
                n_clusters=self.n_clusters,
                many=self.method == "coassociation",
                resample=resample,
                max_features=self.max_features,
                rng=np.random.default_rng([seed, place]),
            )
            for place in range(n_runs)
        ]
        self.runs_ = [run for run, _ in fitted]
        self._combine(np.column_stack([codes for _, codes in fitted]), weights)
        return self

    def _check_parameters(self) -> list[Any]:
        """Return the members as a list; ``[None]`` stands for k-means."""
        check_number(self.n_clusters, "n_clusters", ge=1, integer=True)
        check_option(self.method, "method", ("vote", "coassociation"))
        check_number(self.max_features, "max_features", gt=0, le=1)
        if self.n_runs is not None:
            check_number(self.n_runs, "n_runs", ge=1, integer=True)
        return read_members(self.members)

    def _read(self, frame: pd.DataFrame) -> Any:
        """Return the rows as members take them: an array where all columns are numbers.

        Raises
        ------
        DataError
            If a value is infinite, or missing in a column where none was in `fit`.
        """
        frame = frame.infer_objects()
        numbers = [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]
        columns = {name: numbers_of(frame[name]) for name in numbers}
        for gaps, name in zip(self._gaps, frame, strict=True):
            if not gaps:
                refuse_missing(frame[name])
        return np.column_stack(list(columns.values())) if len(numbers) == frame.shape[1] else frame

    def _combine(self, codes: Integers, weights: Matrix) -> None:
        """Find which clusters mean the same, and count the votes."""
        if (codes < 0).all():
            raise DataError("every run calls every customer noise: there is nothing to vote on.")
        sizes = [len(run.clusters) for run in self.runs_]
        ballots = Ballots.of(codes, sizes)
        segments = same_customers(ballots, weights, self.n_clusters)
        self.n_iter_ = 1
        if self.method == "vote":
            segments, self.n_iter_ = match(ballots, weights, segments, self.n_clusters)
        self._segments, self.n_segments_ = without_empty(
            ballots, weights, segments, self.n_clusters
        )
        self.mapping_ = np.split(self._segments, ballots.first[1:-1])
        shares = ballots.vote(self._segments, self.n_segments_)
        self.labels_ = winners(shares)
        self.agreement_ = shares.max(axis=1)
        self.member_ari_ = np.array(
            [
                adjusted_rand_score(run[run >= 0], self.labels_[run >= 0])
                if (run >= 0).any()
                else 0.0
                for run in codes.T
            ]
        )

    def vote(self, X: "pd.DataFrame | ArrayLike") -> Matrix:
        """Return the share of votes for each segment.

        Parameters
        ----------
        X
            Customers x variables, as in `fit`.

        Returns
        -------
        numpy.ndarray
            Customers x segments; rows sum to 1, or are 0 where no run has a vote.

        Raises
        ------
        DataError
            If the columns are not those of `fit`.
        ParameterError
            If no member has a rule for new customers.
        """
        check_is_fitted(self)
        frame = as_frame(X)
        if isinstance(X, pd.DataFrame) and hasattr(self, "feature_names_in_"):
            check_columns(X.columns, self.feature_names_in_, where="the customer table")
            frame = X[list(self.feature_names_in_)]
        if frame.shape[1] != self.n_features_in_:
            raise DataError(
                f"X has {frame.shape[1]} features, but Consensus is expecting "
                f"{self.n_features_in_} features as input."
            )
        rows = self._read(frame)
        if not any(hasattr(run.estimator, "predict") for run in self.runs_):
            raise ParameterError(
                "no member of the consensus has a rule for new customers. Fit again with them, or "
                "add a member that has one, such as 'kmeans'."
            )
        codes = np.column_stack([run.codes(rows) for run in self.runs_])
        ballots = Ballots.of(codes, [len(run.clusters) for run in self.runs_])
        return ballots.vote(self._segments, self.n_segments_)

    def predict(self, X: "pd.DataFrame | ArrayLike") -> Integers:
        """Return the segment with the most votes, the first of equal ones; -1 where none voted.

        Parameters
        ----------
        X
            Customers x variables, as in `fit`.

        Raises
        ------
        DataError, ParameterError
            As `vote` does.
        """
        return winners(self.vote(X))

    def summary(self) -> str:
        """Return in one sentence what votes, on what, and how far it agrees."""
        check_is_fitted(self)
        names = list(dict.fromkeys(type(run.estimator).__name__ for run in self.runs_))
        mean = self.agreement_.mean()
        close = int((self.agreement_ < 2 / 3).sum())
        return (
            f"{len(self.runs_)} runs of {', '.join(names)} vote on {self.n_segments_} segments; a "
            f"segment has {mean:.1%} of the votes on average, and less than two thirds of them for "
            f"{close:,} of {len(self.labels_):,} customers"
        )

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "labels_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        return f"Consensus: {self.summary()}"

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/plain": repr(self)}
