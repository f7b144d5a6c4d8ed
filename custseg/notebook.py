"""What every notebook shares: set-up, figures in words, checked answers, versions.

Plotting packages are imported inside the functions, so that this module costs nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from custseg.exercises import check as check
from custseg.results import format_number

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.collections import Collection
    from matplotlib.figure import Figure

FIGURE_MARK = "figure"
"""Value of ``metadata["custseg"]`` on the output that holds a figure's fingerprint."""

_PACKAGES = (
    "custseg",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "statsmodels",
    "matplotlib",
    "seaborn",
    "narwhals",
    "duckdb",
    "numba",
)

_SHOWN_NAMES = 12


def setup(*, seed: int = 0) -> None:
    """Give a notebook the house style and one random state.

    Figures are 7 x 4 inches at 90 dpi in a colour-blind-safe palette, scikit-learn shows
    estimators as text, pandas shows three decimals, progress bars and the word that loops are being
    compiled are off. No warning is silenced.

    Parameters
    ----------
    seed
        Seeds the global state that scikit-learn and pandas fall back to where they are given no
        seed of their own. seaborn has no such fall-back: give its intervals ``seed=0``.

    Examples
    --------
    >>> import custseg as cs
    >>> cs.notebook.setup()
    """
    import os
    import random

    import duckdb
    import numpy as np
    import pandas as pd
    import seaborn as sns
    import sklearn

    os.environ["TQDM_DISABLE"] = os.environ["CUSTSEG_QUIET"] = "1"
    duckdb.execute("SET enable_progress_bar = false")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    sklearn.set_config(display="text")
    for option, value in {"max_rows": 20, "max_columns": 30, "width": 100, "precision": 3}.items():
        pd.set_option(f"display.{option}", value)
    style = {"figure.dpi": 90, "savefig.dpi": 90, "figure.figsize": (7, 4), "axes.axisbelow": True}
    sns.set_theme(style="whitegrid", palette="colorblind", rc=style)


def session_info() -> None:
    """Print the versions of Python and of the packages that results depend on.

    Examples
    --------
    >>> session_info()  # doctest: +ELLIPSIS
    python        3...
    custseg       ...
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    print(f"{'python':<14}{platform.python_version()}")
    for name in _PACKAGES:
        try:
            print(f"{name:<14}{version(name)}")
        except PackageNotFoundError:
            print(f"{name:<14}not installed")


def describe_figure(figure: "Figure | None" = None) -> None:
    """Show what a figure draws, in words: its fingerprint and its alternative text.

    Pictures cannot be compared between machines; their titles, labels, limits and the means of
    what is drawn can. In a notebook the text is marked, so that pages use it as the
    picture's alternative text.

    Parameters
    ----------
    figure
        The figure; the current one when ``None``, so call this before ``plt.show()``.

    Raises
    ------
    ValueError
        When there is no open figure.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure = Figure()
    >>> ax = figure.subplots()
    >>> _ = ax.plot([2, 3, 4], [0.5, 0.4, 0.3], label="observed")
    >>> _ = ax.set(xlabel="number of segments", ylabel="silhouette", ylim=(0, 1))
    >>> _ = ax.legend()
    >>> describe_figure(figure)
    Figure with 1 panel. x axis "number of segments" from 1.90 to 4.10; y axis "silhouette" from 0
    to 1.00; 1 line (mean x 3.00, mean y 0.400); legend: observed.
    """
    if figure is None:
        import matplotlib.pyplot as plt

        if not plt.get_fignums():
            raise ValueError("There is no open figure: call describe_figure() before plt.show().")
        figure = plt.gcf()
    _display(_figure_text(figure))


def _display(text: str) -> None:
    """Show the text as a marked output in a kernel, print it elsewhere."""
    import sys

    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(text)
    else:
        from IPython.display import display

        display({"text/plain": text}, raw=True, metadata={"custseg": FIGURE_MARK})


def _figure_text(figure: "Figure") -> str:
    shown = [ax for ax in figure.axes if ax.get_visible()]
    panels = [ax for ax in shown if ax.get_label() != "<colorbar>"]
    bars = [ax for ax in shown if ax.get_label() == "<colorbar>"]
    title = figure.get_suptitle()
    head = f"Figure with {_count(len(panels), 'panel')}" + (f' "{title}"' if title else "") + "."
    texts = [head]
    for number, ax in enumerate(panels, start=1):
        name = f"Panel {number}: " if len(panels) > 1 else ""
        texts.append(f"{name}{_axes_text(ax)}.")
    texts.extend(f"Colour bar: {_axis_text('scale', _long_axis(ax))}." for ax in bars)
    return _plain(" ".join(texts))


def _plain(text: str) -> str:
    """Return the text on one line, with dollar signs as they are drawn."""
    return " ".join(text.replace(r"\$", "$").split())


def _axes_text(ax: "Axes") -> str:
    titles = [ax.get_title(loc=side) for side in ("left", "center", "right")]
    parts = [f'"{title}"' for title in titles if title]
    if ax.axison:
        parts += [_axis_text("x axis", ax.xaxis), _axis_text("y axis", ax.yaxis)]
    parts += _artist_texts(ax)
    legend = ax.get_legend()
    if legend is not None:
        entries = ", ".join(text.get_text() for text in legend.get_texts())
        title = legend.get_title().get_text()
        parts.append(f"legend{f' {title!r}' if title else ''}: {entries}")
    return "; ".join(parts)


def _long_axis(ax: "Axes") -> "Axis":
    box = ax.get_position()
    return ax.yaxis if box.height >= box.width else ax.xaxis


def _axis_text(name: str, axis: "Axis") -> str:
    from matplotlib.category import StrCategoryLocator
    from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

    label = axis.get_label_text()
    text = f'{name} "{label}"' if label else name
    named = isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)
    placed = isinstance(axis.get_major_locator(), FixedLocator)
    if (named and placed) or isinstance(axis.get_major_locator(), StrCategoryLocator):
        names = [tick.get_text() for tick in axis.get_ticklabels() if tick.get_text()]
        return f"{text} ({_listed(names)})"
    low, high = axis.get_view_interval()
    if axis.get_inverted():
        low, high = max(low, high), min(low, high)
    scale = "" if axis.get_scale() == "linear" else f" ({axis.get_scale()} scale)"
    return f"{text} from {_value(low, axis)} to {_value(high, axis)}{scale}"


def _value(number: float, axis: "Axis") -> str:
    from matplotlib.dates import AutoDateFormatter, ConciseDateFormatter, DateFormatter, num2date

    dates = AutoDateFormatter | ConciseDateFormatter | DateFormatter
    if isinstance(axis.get_major_formatter(), dates):
        return num2date(number).date().isoformat()
    return format_number(float(number))


def _artist_texts(ax: "Axes") -> list[str]:
    """Return one text per kind of artist: how many there are and their rounded means."""
    import numpy as np

    points: dict[str, list[np.ndarray]] = {}
    values: dict[str, list[np.ndarray]] = {}
    counts: Counter[str] = Counter()
    for kind, count, data in _drawn(ax):
        counts[kind] += count
        (points if data.ndim == 2 else values).setdefault(kind, []).append(data)
    texts = []
    for kind, count in counts.items():
        means = []
        if kind in points:
            means += _means(points[kind], ax)
        if kind in values:
            means += _means(values[kind], ax)
        texts.append(_count(count, kind) + (f" ({', '.join(means)})" if means else ""))
    notes = [text.get_text() for text in ax.texts if text.get_text()]
    if notes:
        shown = f": {_listed(notes)}" if len(notes) <= _SHOWN_NAMES else ""
        texts.append(_count(len(notes), "text") + shown)
    return texts


def _means(arrays: "list[np.ndarray]", ax: "Axes") -> list[str]:
    """Return the mean of values, or mean x and mean y of points, leaving out what is not finite."""
    import numpy as np

    data = np.concatenate(arrays)
    rows = data[np.isfinite(data) if data.ndim == 1 else np.isfinite(data).all(axis=1)]
    if not len(rows):
        return []
    if data.ndim == 1:
        return [f"mean {format_number(float(rows.mean()))}"]
    x, y = rows.mean(axis=0)
    return [f"mean x {_value(x, ax.xaxis)}", f"mean y {_value(y, ax.yaxis)}"]


def _drawn(ax: "Axes") -> "Iterator[tuple[str, int, np.ndarray]]":
    """Yield each artist's kind, how many it counts for, and its values (n) or points (n, 2)."""
    from matplotlib.container import BarContainer
    from matplotlib.patches import PathPatch, Polygon

    bars: set[int] = set()
    for container in ax.containers:
        if isinstance(container, BarContainer):
            bars.update(map(id, container.patches))
            flat = container.orientation == "horizontal"
            ends = [bar.get_width() if flat else bar.get_height() for bar in container.patches]
            yield "bar", len(ends), _array(ends)
    for line in ax.lines:
        xy = _array(line.get_xydata())
        dots = line.get_linestyle() in ("None", "", " ")
        yield ("point", len(xy), xy) if dots else ("line", 1, xy)
    for collection in ax.collections:
        yield from _collected(collection)
    for image in ax.images:
        yield "image", 1, _array(image.get_array()).ravel()
    for patch in ax.patches:
        if id(patch) not in bars:
            kind = "polygon" if isinstance(patch, Polygon | PathPatch) else "shape"
            yield kind, 1, _array(patch.get_patch_transform().transform(patch.get_path().vertices))


def _collected(collection: "Collection") -> "Iterator[tuple[str, int, np.ndarray]]":
    from matplotlib.collections import LineCollection, PathCollection, QuadMesh

    if isinstance(collection, PathCollection):
        xy = _array(collection.get_offsets())
        yield "point", len(xy), xy
    elif isinstance(collection, QuadMesh):
        yield "image", 1, _array(collection.get_array()).ravel()
    else:
        kind = "segment" if isinstance(collection, LineCollection) else "polygon"
        for path in collection.get_paths():
            yield kind, 1, _array(path.vertices)


def _array(values: Any) -> "np.ndarray":
    import numpy as np

    return np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more
