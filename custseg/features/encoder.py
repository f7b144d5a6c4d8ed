"""From a customer table to a matrix of numbers that a distance can be taken in, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from custseg.errors import DataError, ParameterError, check_columns, check_number, check_option
from custseg.features._families import FamilyWeights, check_family_weights, family_factors
from custseg.features._gaps import Groups, lacked_together, marks, refuse_missing, share_lacking
from custseg.features._treatments import (
    Matrix,
    Number,
    Treatment,
    choose,
    numbers_of,
    skewness,
)
from custseg.features.dictionary import Dictionary, Known, read_kinds

MISSING = "(missing)"


def numeric_matrix(frame: pd.DataFrame) -> Matrix:
    """Return numeric and boolean columns as a matrix of finite floats.

    Parameters
    ----------
    frame
        One row per customer; every column numeric or boolean.

    Returns
    -------
    numpy.ndarray
        Floats, rows and columns as in `frame`.

    Raises
    ------
    DataError
        Naming the column that holds text or dates, or missing or infinite values.

    Examples
    --------
    >>> numeric_matrix(pd.DataFrame({"visits": [1, 4], "member": [True, False]}))
    array([[1., 1.],
           [4., 0.]])
    >>> numeric_matrix(pd.DataFrame({"region": ["North", "South"]}))
    Traceback (most recent call last):
        ...
    custseg.errors.DataError: column 'region' holds text or objects (for example 'North') where a \
number belongs. Leave it out of variables, or turn it into numbers first, for example with \
pandas.to_numeric, or say that it holds levels: dictionary={'region': 'nominal'}.
    """
    columns = []
    for position in range(frame.shape[1]):
        values = frame.iloc[:, position]
        columns.append(numbers_of(values))
        refuse_missing(values)
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def as_frame(X: "pd.DataFrame | ArrayLike") -> pd.DataFrame:
    """Return a table as a frame; the columns of an array are called x0, x1, ..."""
    if isinstance(X, pd.DataFrame):
        return X
    if sparse.issparse(X):
        raise DataError("sparse input is not supported: give X.toarray().")
    values = np.asarray(X)
    if values.ndim != 2:
        raise DataError(
            f"a table of customers x variables is needed, not {values.ndim} dimensions. Reshape "
            "your data, for example with X.reshape(-1, 1)."
        )
    return pd.DataFrame(values, columns=[f"x{position}" for position in range(values.shape[1])])


def inferred_note(kinds: Mapping[Any, Known], name: str) -> tuple[str, ...]:
    """Return a note on the columns whose kind nobody stated, if there are any.

    Parameters
    ----------
    kinds
        Column to what is known of it.
    name
        What takes the dictionary that states kinds.
    """
    inferred = [str(column) for column, known in kinds.items() if not known.given]
    if not inferred:
        return ()
    more = f" and {len(inferred) - 8} more" if len(inferred) > 8 else ""
    note = f"the kind of {', '.join(inferred[:8])}{more} was inferred from the type; "
    return (f"{note}{name}(dictionary=...) states it.",)


class Encoder(TransformerMixin, BaseEstimator):
    """Turn customer variables into comparable columns of numbers, and back.

    What is done with a column follows from its kind:

    - numeric, count: the logarithm ``log(1 + x)`` where there is no negative value, more than two
      distinct ones, a skewness above `max_skewness`, and the logarithm brings it nearer to zero;
    - share: the arcsine of the square root;
    - ordinal: ridits, the share of customers below plus half of those equal;
    - binary: 0 or 1;
    - nominal: a column per level, rare levels together as "(other)". A level that `fit` did not see
      is "(other)" too where there is one, and an error where there is not.

    Every variable is then centred and scaled to variance 1 (the columns of a nominal one together),
    so that none counts for more because of its unit. A constant is encoded as 0.

    Parameters
    ----------
    max_skewness
        The skewness (third standardised moment) above which a non-negative number is logged;
        ``float("inf")`` never logs.
    winsorize
        A share of customers, such as .01: numbers and counts beyond this quantile and its
        opposite, learned in `fit`, become equal to it. ``None`` keeps them.
    min_frequency
        Levels of a nominal variable that fewer than this share of customers have are rare.
    missing
        ``"refuse"``, or ``"impute"``: a missing value is encoded as 0, the mean, and a further
        column marks who lacks it with a distance of 1, a standard deviation; variables that the
        same customers lack share one mark.
    family_weights
        ``"balanced"`` gives every family of variables the same total variance, so that none
        drowns another; family to weight gives totals in these proportions, 1 for a family that is
        not named. ``None`` leaves every variable at variance 1. Families need a `dictionary`.
    dictionary
        What the columns are: column to kind, or what `describe_columns` returns. A column that it
        does not name is what its type says, and `notes` say so: numbers are numeric, an ordered
        categorical is ordinal, another is nominal; text is refused. What the table
        carries in ``attrs`` is not read: a merge would lose it and change numbers in silence.

    Attributes
    ----------
    feature_names_in_ : numpy.ndarray
        The names of the columns, in order.
    kinds_ : dict
        Column to its kind, whether it was given, and its family.
    treatments_ : dict
        Column to what is done with it.
    logged_, skewness_ : numpy.ndarray
        Whether each column was logged; its skewness before, NaN where it is no number.
    constant_ : list
        The names of columns that hold one value only.
    marked_ : tuple of tuple of int
        The positions of variables that share one mark of who lacks them.
    center_, scale_, weights_ : numpy.ndarray
        Mean, standard deviation (divisor n) and weight of each encoded column, after the
        logarithm. The columns of a nominal variable share one scale.

    References
    ----------
    Bross, I. D. J. (1958). How to use ridit analysis. Biometrics 14, 18-38.

    Examples
    --------
    >>> customers = pd.DataFrame({"age": [20, 30, 40, 50], "spend": [0.0, 9.0, 9.0, 900.0]})
    >>> encoder = Encoder().fit(customers)
    >>> encoder
    Encoder: age (standardised); spend (log1p, standardised)
    note: the kind of age, spend was inferred from the type; Encoder(dictionary=...) states it.
    >>> encoder.transform(customers).round(2)
    array([[-1.34, -1.16],
           [-0.45, -0.22],
           [ 0.45, -0.22],
           [ 1.34,  1.6 ]])
    >>> customers["region"] = ["North", "South", None, "South"]
    >>> kinds = {"age": "numeric", "spend": "numeric", "region": "nominal"}
    >>> encoder = Encoder(dictionary=kinds, missing="impute").fit(customers)
    >>> print(*encoder.get_feature_names_out())
    age spend region=North region=South region=(missing)
    >>> encoder.inverse_transform(encoder.transform(customers)).round(6)
        age  spend region
    0  20.0    0.0  North
    1  30.0    9.0  South
    2  40.0    9.0    NaN
    3  50.0  900.0  South
    """

    def __init__(
        self,
        *,
        max_skewness: float = 1.0,
        winsorize: float | None = None,
        min_frequency: float = 0.01,
        missing: str = "refuse",
        family_weights: FamilyWeights | None = None,
        dictionary: Dictionary | None = None,
    ) -> None:
        self.max_skewness = max_skewness
        self.winsorize = winsorize
        self.min_frequency = min_frequency
        self.missing = missing
        self.family_weights = family_weights
        self.dictionary = dictionary

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "impute"
        return tags

    def fit(self, X: "pd.DataFrame | ArrayLike", y: object = None) -> "Encoder":  # noqa: ARG002
        """Learn what to do with every column, and its mean and standard deviation.

        Parameters
        ----------
        X
            Customers x variables.
        y
            Ignored; there for scikit-learn.

        Returns
        -------
        Encoder
            The fitted encoder itself.

        Raises
        ------
        DataError
            If the table is empty; if a column holds undeclared text, infinite values or values
            too large for a variance, none at all, or missing ones that are refused; if values do
            not fit their kind, or all levels are rare.
        ParameterError
            If a parameter is out of bounds, a kind or a family does not exist, or a family that
            is to be weighted is not known.
        """
        self._check_parameters()
        frame = as_frame(X)
        if frame.empty:
            raise DataError(f"the table is empty: {len(frame)} rows, {frame.shape[1]} columns.")
        self.kinds_ = read_kinds(frame, self.dictionary)
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        self.n_features_in_ = frame.shape[1]
        self.treatments_ = {name: self._choose(frame[name]) for name in frame}
        blocks, lacking = self._treat(frame)
        self._spans = _spans(blocks)
        self.marked_: Groups = lacked_together(lacking)
        self.missing_ = lacking.sum(axis=0)
        values = np.hstack([*blocks, marks(lacking, self.marked_)])
        self._learn_scale(values)
        self._describe(frame)
        self.weights_ = np.ones(values.shape[1])
        if self.family_weights is not None:
            variance = self._scale(values).var(axis=0)
            self.weights_ = family_factors(variance, self._families(), self.family_weights)
        return self

    def _check_parameters(self) -> None:
        if self.max_skewness != float("inf"):
            check_number(self.max_skewness, "max_skewness", ge=0)
        if self.winsorize is not None:
            check_number(self.winsorize, "winsorize", gt=0, lt=0.5)
        check_number(self.min_frequency, "min_frequency", ge=0, lt=1)
        check_option(self.missing, "missing", ("refuse", "impute"))
        check_family_weights(self.family_weights)

    def _choose(self, values: pd.Series) -> Treatment:
        if len(values) and values.isna().all():
            if self.missing == "refuse":
                refuse_missing(values)
            raise DataError(f"column {values.name!r} has no value at all. Leave it out.")
        return choose(
            values,
            self.kinds_[values.name],
            max_skewness=self.max_skewness,
            winsorize=self.winsorize,
            min_frequency=self.min_frequency,
        )

    def _treat(self, frame: pd.DataFrame) -> tuple[list[Matrix], NDArray[np.bool_]]:
        """Return the encoded columns of each variable, and who lacks it."""
        blocks = []
        for name, treatment in self.treatments_.items():
            blocks.append(treatment.apply(frame[name]))
            if self.missing == "refuse":
                refuse_missing(frame[name])
        return blocks, np.column_stack([np.isnan(block[:, 0]) for block in blocks])

    def _learn_scale(self, values: Matrix) -> None:
        gaps = bool(np.isnan(values).any())
        lowest, highest = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        mean, deviation = (np.nanmean, np.nanstd) if gaps else (np.mean, np.std)
        with np.errstate(over="ignore", invalid="ignore"):
            center, scale = mean(values, axis=0), deviation(values, axis=0)
        for name, span in zip(self.treatments_, self._spans, strict=True):
            if not np.isfinite(scale[span]).all():
                raise DataError(
                    f"column {name!r} has values too large to take a variance of. Express it in "
                    "another unit."
                )
            if span.stop - span.start > 1:
                scale[span] = np.sqrt(np.sum(scale[span] ** 2))
        constant = lowest == highest
        self.constant_ = [
            str(name)
            for name, span in zip(self.treatments_, self._spans, strict=True)
            if constant[span].all()
        ]
        self.center_ = np.where(constant, lowest, center)
        self.scale_ = np.where(constant | (scale == 0), 1.0, scale)
        self.scale_[self._spans[-1].stop :] = 1.0

    def _describe(self, frame: pd.DataFrame) -> None:
        numbers = {
            name: treatment
            for name, treatment in self.treatments_.items()
            if isinstance(treatment, Number)
        }
        self.logged_ = np.array([name in numbers and numbers[name].logged for name in frame])
        self.skewness_ = np.array(
            [
                skewness(numbers_of(frame[name].dropna())) if name in numbers else np.nan
                for name in frame
            ]
        )

    def _scale(self, values: Matrix) -> Matrix:
        scaled = (values - self.center_) / self.scale_ * self.weights_
        return np.where(np.isnan(scaled), 0.0, scaled)

    def _families(self) -> list[str]:
        """Return the family of each encoded column; marks belong to the first they stand for."""
        families = [known.family for known in self.kinds_.values()]
        unknown = [name for name, known in self.kinds_.items() if known.family is None]
        if unknown:
            shown = ", ".join(repr(name) for name in unknown[:6])
            raise ParameterError(
                f"family_weights needs the family of every column, and {len(unknown)} have none: "
                f"{shown}. Give Encoder(dictionary=describe_columns(table)), or leave them out."
            )
        widths = [span.stop - span.start for span in self._spans]
        of_columns = [f for f, width in zip(families, widths, strict=True) for _ in range(width)]
        of_marks = [families[together[0]] for together in self.marked_]
        return [str(family) for family in (*of_columns, *of_marks)]

    def transform(self, X: "pd.DataFrame | ArrayLike") -> Matrix:
        """Encode customers with what was learned in `fit`.

        Parameters
        ----------
        X
            Customers x variables; a frame may hold more columns, in any order.

        Returns
        -------
        numpy.ndarray
            Floats, customers x encoded columns, without unit.

        Raises
        ------
        ColumnError
            If a column of `fit` is missing.
        DataError
            If a column holds text where numbers were, infinite values, an unknown level, or
            missing values that are refused, or a logged one is negative.
        """
        check_is_fitted(self)
        frame = as_frame(X)
        if not isinstance(X, pd.DataFrame) and frame.shape[1] != self.n_features_in_:
            raise DataError(
                f"X has {frame.shape[1]} features, but Encoder is expecting {self.n_features_in_} "
                "features as input."
            )
        check_columns(frame.columns, self.feature_names_in_, where="the customer table")
        blocks, lacking = self._treat(frame)
        return self._scale(np.hstack([*blocks, marks(lacking, self.marked_)]))

    def inverse_transform(self, X: ArrayLike) -> pd.DataFrame:
        """Return encoded rows, such as centres, in the units and levels of the customer table.

        Where a mean of customers is given of whom some lack a variable, what comes back is the
        mean of the others; missing where all lack it.

        Parameters
        ----------
        X
            Rows x encoded columns.

        Returns
        -------
        pandas.DataFrame
            Rows x variables, in the units of `fit`. Means of ordinal labels become the nearest
            level, of nominal ones the most frequent.
        """
        check_is_fitted(self)
        rows = np.asarray(X, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != len(self.center_):
            raise DataError(
                f"encoded rows of {len(self.center_)} columns are needed, not the shape "
                f"{rows.shape}."
            )
        values = rows / self.weights_ * self.scale_ + self.center_
        marked = values[:, self._spans[-1].stop :]
        share = share_lacking(marked, self.marked_, self.n_features_in_)
        nobody = share > 1 - 1e-9
        found = {}
        for position, (name, treatment) in enumerate(self.treatments_.items()):
            span, rest = self._spans[position], np.where(nobody, 1.0, 1 - share)[:, [position]]
            block, center = values[:, span], self.center_[span]
            if (rest != 1).any():
                block = center + (block - center) / rest
            column = pd.Series(treatment.invert(block)).infer_objects()
            found[name] = column.where(~nobody[:, position])
        table = pd.DataFrame(found, columns=self.feature_names_in_)
        return table.set_index(X.index) if isinstance(X, pd.DataFrame) else table

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Return the names of the encoded columns.

        Parameters
        ----------
        input_features
            Ignored; there for scikit-learn.

        Returns
        -------
        numpy.ndarray
            The names as in `fit`; ``region=North`` for a level, ``nps=(missing)`` for the column
            that marks who lacks `nps` and all that the same customers lack.
        """
        check_is_fitted(self)
        names = [out for name, way in self.treatments_.items() for out in way.names(name)]
        marks = [f"{self.feature_names_in_[group[0]]}={MISSING}" for group in self.marked_]
        return np.array([*names, *marks], dtype=object)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before reading results: the kinds that nobody stated."""
        check_is_fitted(self)
        return inferred_note(self.kinds_, "Encoder")

    def to_frame(self) -> pd.DataFrame:
        """Return what was done with each column.

        Returns
        -------
        pandas.DataFrame
            ``column``; its ``kind``, whether it was ``given``, and its ``family``; ``treatment``
            in words; ``missing`` values in `fit`; ``skewness`` before; ``center`` and ``scale``,
            after the logarithm where there is one (``center`` is missing where a variable has
            several columns); ``weight`` of its columns, 1 unless families are weighted.
        """
        check_is_fitted(self)
        constant = set(self.constant_)
        starts = [span.start for span in self._spans]
        single = np.array([span.stop - span.start == 1 for span in self._spans])
        return pd.DataFrame(
            {
                "column": self.feature_names_in_,
                "kind": [known.kind for known in self.kinds_.values()],
                "given": [known.given for known in self.kinds_.values()],
                "family": [known.family for known in self.kinds_.values()],
                "treatment": [
                    "constant, encoded as 0" if str(name) in constant else treatment.words
                    for name, treatment in self.treatments_.items()
                ],
                "missing": self.missing_,
                "skewness": self.skewness_,
                "center": np.where(single, self.center_[starts], np.nan),
                "scale": self.scale_[starts],
                "weight": self.weights_[starts],
            }
        )

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "weights_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        parts = []
        for row in self.to_frame().itertuples():
            gaps = f", {row.missing:,} missing as the mean and marked" if row.missing else ""
            kind = f"{row.kind}: " if row.given else ""
            parts.append(f"{row.column} ({kind}{row.treatment}{gaps})")
        return "\n".join([f"Encoder: {'; '.join(parts)}", *(f"note: {n}" for n in self.notes)])

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/plain": repr(self)}


def _spans(blocks: list[Matrix]) -> list[slice]:
    """Return which encoded columns each variable has."""
    ends = np.cumsum([block.shape[1] for block in blocks]).tolist()
    return [slice(low, high) for low, high in zip([0, *ends], ends, strict=False)]
