"""From a customer table to a matrix of numbers that a distance can be taken in, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from custseg.errors import DataError, check_columns, check_number

Matrix = NDArray[np.float64]


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
pandas.to_numeric or pandas.get_dummies.
    """
    columns = [_finite(frame.iloc[:, position]) for position in range(frame.shape[1])]
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def _finite(values: pd.Series) -> Matrix:
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_complex_dtype(values):
        kind = "dates" if pd.api.types.is_datetime64_any_dtype(values) else "text or objects"
        known = values.dropna()
        example = f" (for example {str(known.iloc[0])!r})" if len(known) else ""
        raise DataError(
            f"column {values.name!r} holds {kind}{example} where a number belongs. Leave it out of "
            "variables, or turn it into numbers first, for example with pandas.to_numeric or "
            "pandas.get_dummies."
        )
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    missing, infinite = int(np.isnan(numbers).sum()), int(np.isinf(numbers).sum())
    if missing or infinite:
        counts = [f"{missing:,} missing (NaN)"] * bool(missing)
        counts += [f"{infinite:,} infinite"] * bool(infinite)
        raise DataError(
            f"column {values.name!r} has {' and '.join(counts)} of {len(values):,} values. Fill "
            "them with a value you can defend, set these customers aside, or leave the column out."
        )
    return numbers


def as_frame(X: "pd.DataFrame | ArrayLike") -> pd.DataFrame:
    """Return a table as a frame; the columns of an array are called x0, x1, ..."""
    if isinstance(X, pd.DataFrame):
        return X
    values = np.asarray(X)
    if values.ndim != 2:
        raise DataError(f"a table of customers x variables is needed, not {values.ndim} dimensions")
    return pd.DataFrame(values, columns=[f"x{position}" for position in range(values.shape[1])])


def _skewness(values: Matrix) -> float:
    """Return the moment coefficient of skewness, 0 for a constant."""
    centred = values - values.mean()
    largest = np.abs(centred).max()
    if largest == 0 or values.min() == values.max():
        return 0.0
    centred = centred / largest
    return float(np.mean(centred**3) / np.mean(centred**2) ** 1.5)


class Encoder(TransformerMixin, BaseEstimator):
    """Turn numeric and boolean customer variables into comparable columns, and back.

    A column is logged, ``log(1 + x)``, when it has no negative value, more than two distinct
    values, a skewness above `max_skewness`, and the logarithm brings the skewness nearer to zero.
    Every column is then centred and divided by its standard deviation, so that no variable counts
    for more because of its unit. A constant column is encoded as 0 and named in `constant_`.

    Parameters
    ----------
    max_skewness
        The skewness (third standardised moment) above which a non-negative column is logged;
        ``float("inf")`` never logs.

    Attributes
    ----------
    feature_names_in_ : numpy.ndarray
        The names of the columns, in order.
    logged_ : numpy.ndarray
        Whether each column was logged.
    center_, scale_ : numpy.ndarray
        Mean and standard deviation (divisor n) of each column, after the logarithm.
    constant_ : list
        The names of columns that hold one value only.

    Examples
    --------
    >>> customers = pd.DataFrame({"age": [20, 30, 40, 50], "spend": [0.0, 9.0, 9.0, 900.0]})
    >>> encoder = Encoder().fit(customers)
    >>> encoder
    Encoder: age (standardised); spend (log1p, standardised)
    >>> encoder.transform(customers).round(2)
    array([[-1.34, -1.16],
           [-0.45, -0.22],
           [ 0.45, -0.22],
           [ 1.34,  1.6 ]])
    >>> encoder.inverse_transform(encoder.transform(customers)).round(6)[3]
    array([ 50., 900.])
    """

    def __init__(self, *, max_skewness: float = 1.0) -> None:
        self.max_skewness = max_skewness

    def fit(self, X: "pd.DataFrame | ArrayLike", y: object = None) -> "Encoder":  # noqa: ARG002
        """Learn for every column whether to log it, its mean and its standard deviation.

        Parameters
        ----------
        X
            Customers x variables, numeric or boolean.
        y
            Ignored; there for scikit-learn.

        Returns
        -------
        Encoder
            The fitted encoder itself.

        Raises
        ------
        DataError
            If the table is empty, or a column holds text, missing or infinite values.
        """
        if self.max_skewness != float("inf"):
            check_number(self.max_skewness, "max_skewness", ge=0)
        frame = as_frame(X)
        if frame.empty:
            raise DataError(f"the table is empty: {len(frame)} rows, {frame.shape[1]} columns.")
        values = numeric_matrix(frame)
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        self.n_features_in_ = values.shape[1]
        constant = values.min(axis=0) == values.max(axis=0)
        self.constant_ = [str(name) for name in self.feature_names_in_[constant]]
        self.skewness_ = np.array([_skewness(column) for column in values.T])
        self.logged_ = np.array([self._wants_log(column) for column in values.T])
        values = self._log(values)
        with np.errstate(over="ignore", invalid="ignore"):
            center, scale = values.mean(axis=0), values.std(axis=0)
        if not np.isfinite(scale).all():
            name = self.feature_names_in_[~np.isfinite(scale)][0]
            raise DataError(
                f"column {name!r} has values too large to take a variance of. Express it in "
                "another unit."
            )
        self.center_ = np.where(constant, values[0], center)
        self.scale_ = np.where(constant | (scale == 0), 1.0, scale)
        return self

    def _wants_log(self, column: Matrix) -> bool:
        skewness = _skewness(column)
        if column.min() < 0 or skewness <= self.max_skewness or len(np.unique(column)) <= 2:
            return False
        return abs(_skewness(np.log1p(column))) < skewness

    def _log(self, values: Matrix) -> Matrix:
        logged = values.copy()
        logged[:, self.logged_] = np.log1p(values[:, self.logged_])
        return logged

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
            If a column holds text, missing or infinite values, or a logged one is negative.
        """
        check_is_fitted(self)
        frame = as_frame(X)
        check_columns(frame.columns, self.feature_names_in_, where="the customer table")
        values = numeric_matrix(frame[list(self.feature_names_in_)])
        for position in np.flatnonzero(self.logged_):
            if len(values) and values[:, position].min() < 0:
                raise DataError(
                    f"column {self.feature_names_in_[position]!r} has the negative value "
                    f"{values[:, position].min():g}, but was learned as a logarithm from customers "
                    "without negative values. Correct it, or fit again with these customers."
                )
        return np.asarray((self._log(values) - self.center_) / self.scale_)

    def inverse_transform(self, X: ArrayLike) -> Matrix:
        """Return encoded rows, such as centres, in the units of the customer table.

        Parameters
        ----------
        X
            Rows x encoded columns.

        Returns
        -------
        numpy.ndarray
            Floats, rows x variables, in the units of `fit`.
        """
        check_is_fitted(self)
        values = np.asarray(X, dtype=float) * self.scale_ + self.center_
        values[:, self.logged_] = np.expm1(values[:, self.logged_])
        return values

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Return the names of the encoded columns.

        Parameters
        ----------
        input_features
            Ignored; there for scikit-learn.

        Returns
        -------
        numpy.ndarray
            The names, as in `fit`.
        """
        check_is_fitted(self)
        return self.feature_names_in_.copy()

    def to_frame(self) -> pd.DataFrame:
        """Return what was done with each column.

        Returns
        -------
        pandas.DataFrame
            ``column``; ``treatment`` in words; ``skewness`` before; ``center`` and ``scale``,
            after the logarithm where there is one.
        """
        check_is_fitted(self)
        words = np.where(self.logged_, "log1p, standardised", "standardised")
        constant = np.isin(self.feature_names_in_.astype(str), self.constant_)
        return pd.DataFrame(
            {
                "column": self.feature_names_in_,
                "treatment": np.where(constant, "constant, encoded as 0", words),
                "skewness": self.skewness_,
                "center": self.center_,
                "scale": self.scale_,
            }
        )

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "center_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        table = self.to_frame()
        parts = (f"{row.column} ({row.treatment})" for row in table.itertuples())
        return f"Encoder: {'; '.join(parts)}"

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/plain": repr(self)}
