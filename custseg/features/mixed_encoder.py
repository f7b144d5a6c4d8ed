"""From a customer table to a matrix in which categories stay categories, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from custseg.errors import DataError, check_columns, check_number, check_option
from custseg.features._levels import in_order, refuse_bands, two_levels, without_order
from custseg.features._treatments import (
    Levels,
    Matrix,
    Number,
    Positions,
    Treatment,
    choose,
    numbers_of,
)
from custseg.features.dictionary import Dictionary, Known, read_kinds
from custseg.features.encoder import as_frame, inferred_note

NUMBERS = ("standardise", "range", "levels")
ORDINALS = ("ridits", "positions", "levels")
MOST_LEVELS = 50
"""A number with more distinct values than this is not a level, nor text that hardly repeats."""


class MixedEncoder(TransformerMixin, BaseEstimator):
    """Turn customer variables of mixed kinds into one column of numbers each, and back.

    For algorithms that compare categories by whether they are equal: k-modes, k-prototypes, medoids
    by Gower's dissimilarity, latent classes. Every variable stays one column:

    - nominal, binary: the code of the level, 0, 1, 2, ... in sorted order. A level that `fit` did
      not see has the code after the last one, which equals none;
    - ordinal: a number or a code, see `ordinal`;
    - numeric, count, share: a number or a code, see `numbers`.

    A missing value stays missing (NaN).

    Parameters
    ----------
    numbers
        ``"standardise"``: treated as `Encoder` does (logarithm for skewness, arcsine for shares),
        centred and scaled to variance 1. ``"range"``: as they are, from 0 to 1 over the range in
        `fit`. ``"levels"``: every distinct value is a level; a column with more than 50 is refused.
    ordinal
        ``"ridits"``: the share of customers below plus half of those equal, standardised.
        ``"positions"``: the position among the levels, from 0 to 1 over the range in `fit`.
        ``"levels"``: the code of the level, in order.
    max_skewness, winsorize
        As in `Encoder`; the logarithm is for numbers that are standardised.
    dictionary
        What the columns are: column to kind, or what `describe_columns` returns. A column that it
        does not name is what its type says, and `notes` say so: an ordered categorical is ordinal;
        text and other categoricals are nominal; booleans, and numbers that are all 0 or 1, binary;
        the rest numeric. Text that looks like bands ("20-29", "over 90k") has to be named.

    Attributes
    ----------
    feature_names_in_ : numpy.ndarray
        The names of the columns, in order; those of the encoded columns too.
    kinds_ : dict
        Column to its kind, whether it was given, and its family.
    treatments_ : dict
        Column to what is done with it.
    encoded_kinds_ : tuple of str
        What each encoded column is to an algorithm: ``"numeric"`` for numbers, ridits and
        positions, else ``"ordinal"``, ``"nominal"`` or ``"binary"``, held as codes.
    categorical_ : list of int
        The positions of the columns that hold codes.
    levels_ : dict
        Column to its levels, in the order of the codes.
    center_, scale_ : numpy.ndarray
        What is subtracted from each column and what it is divided by; 0 and 1 for codes.
    missing_ : numpy.ndarray
        The number of missing values of each column in `fit`.

    Examples
    --------
    >>> customers = pd.DataFrame({
    ...     "age": [20, 30, 40, 50],
    ...     "region": ["North", "South", None, "South"],
    ...     "income": pd.Categorical(["low", "high", "high", "low"], ["low", "high"], ordered=True),
    ... })
    >>> encoder = MixedEncoder().fit(customers)
    >>> encoder
    MixedEncoder: age (standardised); region (codes of 2 levels, 1 missing); \
income (ridits of 2 levels, standardised)
    note: the kind of age, region, income was inferred from the type; \
MixedEncoder(dictionary=...) states it.
    >>> encoder.transform(customers).round(2)
    array([[-1.34,  0.  , -1.  ],
           [-0.45,  1.  ,  1.  ],
           [ 0.45,   nan,  1.  ],
           [ 1.34,  1.  , -1.  ]])
    >>> encoder.categorical_, encoder.levels_
    ([1], {'region': ('North', 'South')})
    >>> encoder.transform(customers.assign(region="East"))[0].round(2)
    array([-1.34,  2.  , -1.  ])
    >>> encoder.inverse_transform([[0, 1, 1]])
        age region income
    0  35.0  South   high
    """

    def __init__(
        self,
        *,
        numbers: str = "standardise",
        ordinal: str = "ridits",
        max_skewness: float = 1.0,
        winsorize: float | None = None,
        dictionary: Dictionary | None = None,
    ) -> None:
        self.numbers = numbers
        self.ordinal = ordinal
        self.max_skewness = max_skewness
        self.winsorize = winsorize
        self.dictionary = dictionary

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def fit(self, X: "pd.DataFrame | ArrayLike", y: object = None) -> "MixedEncoder":  # noqa: ARG002
        """Learn the levels of every category, and the centre and scale of every number.

        Parameters
        ----------
        X
            Customers x variables; numbers, booleans, text and categoricals, with missing values in
            any of them.
        y
            Ignored; there for scikit-learn.

        Returns
        -------
        MixedEncoder
            The fitted encoder itself.

        Raises
        ------
        DataError
            If the table is empty; if a column has no value at all, infinite ones, or dates; if
            values do not fit their kind; if text may have an order, or hardly repeats.
        ParameterError
            If a parameter is out of bounds, or a kind does not exist.
        """
        check_option(self.numbers, "numbers", NUMBERS)
        check_option(self.ordinal, "ordinal", ORDINALS)
        if self.max_skewness != float("inf"):
            check_number(self.max_skewness, "max_skewness", ge=0)
        if self.winsorize is not None:
            check_number(self.winsorize, "winsorize", gt=0, lt=0.5)
        frame = as_frame(X)
        if frame.empty:
            raise DataError(f"the table is empty: {len(frame)} rows, {frame.shape[1]} columns.")
        self.kinds_ = read_kinds(frame, self.dictionary)
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        self.n_features_in_ = frame.shape[1]
        self.treatments_ = {name: self._choose(frame[name]) for name in frame}
        self.encoded_kinds_ = tuple(
            _encoded_kind(self.kinds_[name], treatment)
            for name, treatment in self.treatments_.items()
        )
        self.categorical_ = [
            position for position, kind in enumerate(self.encoded_kinds_) if kind != "numeric"
        ]
        self.levels_ = {
            name: treatment.levels
            for name, treatment in self.treatments_.items()
            if isinstance(treatment, Levels)
        }
        values = self._treat(frame)
        self.missing_ = np.isnan(values).sum(axis=0)
        self._learn_scale(values)
        return self

    def _choose(self, values: pd.Series) -> Treatment:
        if values.isna().all():
            raise DataError(f"column {values.name!r} has no value at all. Leave it out.")
        known = self.kinds_[values.name]
        if known.kind in ("nominal", "binary"):
            return Levels(tuple(_unordered_levels(values, known)), ordered=False)
        if known.kind == "ordinal" and self.ordinal != "ridits":
            levels = tuple(in_order(values))
            return Positions(levels) if self.ordinal == "positions" else Levels(levels, True)
        if known.kind != "ordinal" and self.numbers == "levels":
            return Levels(tuple(_number_levels(values)), ordered=False)
        as_it_is = self.numbers == "range" and known.kind != "ordinal"
        return choose(
            values,
            known._replace(kind="numeric") if as_it_is else known,
            max_skewness=float("inf") if as_it_is else self.max_skewness,
            winsorize=self.winsorize,
            min_frequency=0.0,
        )

    def _treat(self, frame: pd.DataFrame) -> Matrix:
        return np.hstack([way.apply(frame[name]) for name, way in self.treatments_.items()])

    def _learn_scale(self, values: Matrix) -> None:
        self.center_, self.scale_ = np.zeros(values.shape[1]), np.ones(values.shape[1])
        for position, (name, treatment) in enumerate(self.treatments_.items()):
            if isinstance(treatment, Levels):
                continue
            column = values[:, position]
            low, high = np.nanmin(column), np.nanmax(column)
            ranged = isinstance(treatment, Positions) or (
                isinstance(treatment, Number) and self.numbers == "range"
            )
            with np.errstate(over="ignore", invalid="ignore"):
                scale = high - low if ranged else np.nanstd(column)
            if not np.isfinite(scale):
                raise DataError(
                    f"column {name!r} has values too large to take a variance or a range of. "
                    "Express it in another unit."
                )
            constant = low == high
            self.center_[position] = low if ranged or constant else np.nanmean(column)
            self.scale_[position] = 1.0 if constant or scale == 0 else scale

    def transform(self, X: "pd.DataFrame | ArrayLike") -> Matrix:
        """Encode customers with what was learned in `fit`.

        Parameters
        ----------
        X
            Customers x variables; a frame may hold more columns, in any order.

        Returns
        -------
        numpy.ndarray
            Floats, customers x variables; NaN where a value is missing.

        Raises
        ------
        ColumnError
            If a column of `fit` is missing.
        DataError
            If a column holds text where numbers were, infinite values or an unknown ordinal level,
            or a logged one is negative.
        """
        check_is_fitted(self)
        frame = as_frame(X)
        if not isinstance(X, pd.DataFrame) and frame.shape[1] != self.n_features_in_:
            raise DataError(
                f"X has {frame.shape[1]} features, but MixedEncoder is expecting "
                f"{self.n_features_in_} features as input."
            )
        check_columns(frame.columns, self.feature_names_in_, where="the customer table")
        return (self._treat(frame) - self.center_) / self.scale_

    def inverse_transform(self, X: ArrayLike) -> pd.DataFrame:
        """Return encoded rows, such as modes or medoids, in the units and levels of the table.

        Parameters
        ----------
        X
            Rows x encoded columns.

        Returns
        -------
        pandas.DataFrame
            Rows x variables. A code that is no whole number becomes the nearest level; the code of
            a new level, and NaN, are missing.
        """
        check_is_fitted(self)
        rows = np.asarray(X, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_:
            raise DataError(
                f"encoded rows of {self.n_features_in_} columns are needed, not the shape "
                f"{rows.shape}."
            )
        values = rows * self.scale_ + self.center_
        found = {}
        for position, (name, treatment) in enumerate(self.treatments_.items()):
            column = pd.Series(treatment.invert(values[:, [position]])).infer_objects()
            found[name] = column.where(~np.isnan(values[:, position]))
        table = pd.DataFrame(found, columns=self.feature_names_in_)
        return table.set_index(X.index) if isinstance(X, pd.DataFrame) else table

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Return the names of the encoded columns, which are those of the variables.

        Parameters
        ----------
        input_features
            Ignored; there for scikit-learn.

        Returns
        -------
        numpy.ndarray
            The names as in `fit`.
        """
        check_is_fitted(self)
        return self.feature_names_in_.copy()

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before reading results: the kinds that nobody stated."""
        check_is_fitted(self)
        return inferred_note(self.kinds_, "MixedEncoder")

    def to_frame(self) -> pd.DataFrame:
        """Return what was done with each column.

        Returns
        -------
        pandas.DataFrame
            ``column``; its ``kind``, whether it was ``given``, and its ``family``; ``encoded``, the
            kind that it has for an algorithm; ``treatment`` in words; ``missing`` values in `fit`;
            ``center`` and ``scale``.
        """
        check_is_fitted(self)
        return pd.DataFrame(
            {
                "column": self.feature_names_in_,
                "kind": [known.kind for known in self.kinds_.values()],
                "given": [known.given for known in self.kinds_.values()],
                "family": [known.family for known in self.kinds_.values()],
                "encoded": self.encoded_kinds_,
                "treatment": [self._words(way) for way in self.treatments_.values()],
                "missing": self.missing_,
                "center": self.center_,
                "scale": self.scale_,
            }
        )

    def _words(self, treatment: Treatment) -> str:
        if isinstance(treatment, Number) and self.numbers == "range":
            return treatment.words.replace("standardised", "over its range")
        return treatment.words

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "scale_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        parts = []
        for row in self.to_frame().itertuples():
            gaps = f", {row.missing:,} missing" if row.missing else ""
            kind = f"{row.kind}: " if row.given else ""
            parts.append(f"{row.column} ({kind}{row.treatment}{gaps})")
        return "\n".join([f"MixedEncoder: {'; '.join(parts)}", *(f"note: {n}" for n in self.notes)])

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/plain": repr(self)}


def _encoded_kind(known: Known, treatment: Treatment) -> str:
    if not isinstance(treatment, Levels):
        return "numeric"
    return known.kind if known.kind in ("ordinal", "binary") else "nominal"


def _unordered_levels(values: pd.Series, known: Known) -> list[Any]:
    if known.kind == "binary":
        return two_levels(values)
    levels = without_order(values)
    if not known.given:
        refuse_bands(values, levels)
        if len(levels) > max(MOST_LEVELS, values.notna().sum() / 2):
            raise DataError(
                f"column {values.name!r} has {len(levels):,} different values for {len(values):,} "
                "customers: it names them rather than groups them. Leave it out, roll it up into "
                f"fewer levels, or say that it is a category: dictionary={{{values.name!r}: "
                "'nominal'}."
            )
    return levels


def _number_levels(values: pd.Series) -> list[Any]:
    levels = np.unique(numbers_of(values.dropna())).tolist()
    if len(levels) > MOST_LEVELS:
        raise DataError(
            f"column {values.name!r} has {len(levels):,} different numbers, of which two customers "
            f"hardly ever have the same. Cut it into at most {MOST_LEVELS} bands, for example with "
            "pandas.qcut, leave it out, or choose an algorithm that takes numbers, such as "
            "'kprototypes'."
        )
    return levels
