"""How a result is shown: full precision inside, rounded tables and plain words outside."""

from collections.abc import Sequence
from html import escape
from importlib import import_module
from math import floor, isfinite, log10
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def format_number(value: Any) -> str:
    """Write a number with about three significant digits and no exponent.

    Examples
    --------
    >>> [format_number(x) for x in (8911407.9, 43.456, 0.02361, 0.0, float("nan"), 7)]
    ['8,911,408', '43.5', '0.0236', '0', '', '7']
    """
    from numbers import Integral, Real

    if isinstance(value, bool) or not isinstance(value, Real):
        return "" if value is None or str(value) in ("nan", "NaT", "<NA>") else str(value)
    if isinstance(value, Integral):
        return f"{value:,}"
    number = float(value)
    if not isfinite(number):
        return "" if number != number else ("inf" if number > 0 else "-inf")
    if number == 0:
        return "0"
    decimals = min(max(2 - floor(log10(abs(number))), 0), 6)
    text = f"{number:,.{decimals}f}"
    return "0" if float(text.replace(",", "")) == 0 else text


def format_frame(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Write every cell of a frame as text, p-values below .001 as ``<.001``.

    Parameters
    ----------
    frame
        Any frame; columns whose name starts with ``p_`` hold p-values.

    Returns
    -------
    pandas.DataFrame
        A frame of text with the same index and columns.

    Examples
    --------
    >>> import pandas as pd
    >>> format_frame(pd.DataFrame({"effect": [0.76983], "p_value": [1e-7]}))
      effect p_value
    0  0.770   <.001
    """

    def cell(column: str, value: Any) -> str:
        text = format_number(value)
        return "<.001" if column.startswith("p_") and text and float(value) < 0.001 else text

    shown = frame.astype(object)
    for position, column in enumerate(frame.columns):
        shown.isetitem(position, [cell(str(column), value) for value in frame.iloc[:, position]])
    return shown


class Result:
    """What every result can do: a table, words, notes, a picture and a rounded display.

    A result is a frozen dataclass (``repr=False, eq=False``) that inherits from this mixin, has a
    field ``notes`` and defines `to_frame` and `summary`. `_picture` names the function that draws
    it, as ``"module.function"`` below ``custseg.plots``.
    """

    notes: Sequence[str]
    _picture: ClassVar[str]

    def to_frame(self) -> "pd.DataFrame":
        """Return the result as a tidy frame at full precision."""
        raise NotImplementedError

    def summary(self) -> str:
        """Return the result in a few sentences."""
        raise NotImplementedError

    def plot(self, *, ax: "Axes | None" = None, **options: Any) -> Any:
        """Draw the result.

        Parameters
        ----------
        ax
            The axes to draw on; a new figure when ``None``.
        **options
            Passed to the function that draws this result.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.
        """
        module, function = self._picture.split(".")
        draw = getattr(import_module(f"custseg.plots.{module}"), function)
        return draw(self, ax=ax, **options)

    def _shown(self) -> "pd.DataFrame":
        """Return the small frame that is displayed; by default the whole of it."""
        return self.to_frame()

    def __repr__(self) -> str:
        table = format_frame(self._shown()).to_string(max_rows=40)
        notes = "".join(f"\nnote: {note}" for note in self.notes)
        return f"{type(self).__name__}: {self.summary()}\n\n{table}\n{notes}".rstrip()

    def _repr_html_(self) -> str:
        table = format_frame(self._shown()).to_html(max_rows=40, border=0, escape=True)
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        head = f"<p><b>{escape(type(self).__name__)}</b>: {escape(self.summary())}</p>"
        return head + table + (f"<ul>{notes}</ul>" if notes else "")
