"""The cells of recency, frequency and monetary scores as a table, and the grid they fill."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import ParameterError, check_columns, check_number
from custseg.features.scores import RFM_CELLS, Cell

CellTable: TypeAlias = Sequence[Cell] | pd.DataFrame

ROLES = ("recency", "frequency", "monetary")
BOUNDS = {
    "recency": ("r_min", "r_max"),
    "frequency": ("f_min", "f_max"),
    "monetary": ("m_min", "m_max"),
}
"""The columns of the lowest and the highest score."""


def cell_table(cells: CellTable | None, bins: int) -> pd.DataFrame:
    """Return the cells as a frame with every bound, as whole numbers from 1 to `bins`."""
    given: Any = _customary(bins) if cells is None else cells
    if not isinstance(given, pd.DataFrame):
        rows = [(name, *recency, *frequency) for name, recency, frequency in given]
        given = pd.DataFrame(rows, columns=["segment", *BOUNDS["recency"], *BOUNDS["frequency"]])
    check_columns(given.columns, ["segment"], where="the table of cells")
    table = pd.DataFrame({"segment": given["segment"].to_numpy(dtype=object)})
    for low, high in BOUNDS.values():
        if low not in given and high not in given:
            table[low], table[high] = 1, bins
            continue
        check_columns(given.columns, [low, high], where="the table of cells")
        table[low], table[high] = given[low].to_numpy(), given[high].to_numpy()
        for row in table.itertuples():
            what = f"of {row.segment!r} in the table of cells"
            check_number(getattr(row, low), f"{low} {what}", ge=1, le=bins, integer=True)
            lowest = getattr(row, low)
            check_number(getattr(row, high), f"{high} {what}", ge=lowest, le=bins, integer=True)
    unnamed = [n for n in table["segment"] if not isinstance(n, str) or n.strip() in ("", "(all)")]
    if len(table) == 0 or unnamed:
        shown = f"the name {unnamed[0]!r}" if unnamed else "no rows"
        raise ParameterError(f"the table of cells has {shown}; every segment needs a name as text.")
    return table


def _customary(bins: int) -> list[Cell]:
    """Return the customary cells by `bins` scores: a score belongs to the fifth of its middle."""
    fifths = np.array([5 * (2 * score - 1) // (2 * bins) + 1 for score in range(1, bins + 1)])
    cells = []
    for name, *ranges in RFM_CELLS:
        inside = [np.flatnonzero((fifths >= low) & (fifths <= high)) + 1 for low, high in ranges]
        if all(len(scores) for scores in inside):
            recency, frequency = ((int(scores[0]), int(scores[-1])) for scores in inside)
            cells.append(Cell(name, recency, frequency))
    return cells


def fill_grid(cells: pd.DataFrame, bins: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the segment of every combination of scores, and the segments' names.

    Raises
    ------
    ParameterError
        If two segments overlap, or a combination is in none.
    """
    names = list(dict.fromkeys(cells["segment"]))
    money = (cells[["m_min", "m_max"]] != [1, bins]).any(axis=None)
    grid = np.full((bins, bins, bins if money else 1), -1)
    for box in cells.itertuples():
        place = tuple(
            slice(getattr(box, low) - 1, getattr(box, high)) for low, high in BOUNDS.values()
        )
        code = names.index(box.segment)
        others = np.argwhere((grid[place] >= 0) & (grid[place] != code))
        if len(others):
            scores = others[0] + [part.start for part in place]
            raise ParameterError(
                f"{box.segment!r} and {names[grid[tuple(scores)]]!r} overlap in the table of "
                f"cells: both hold {_score_words(scores, money)}. Every combination of scores "
                "must be in one segment."
            )
        grid[place] = code
    nobodys = np.argwhere(grid < 0)
    if len(nobodys):
        raise ParameterError(
            f"{len(nobodys):,} of {grid.size:,} combinations of scores are in no cell, the first "
            f"with {_score_words(nobodys[0], money)}. Add rows to the table of cells."
        )
    return grid, tuple(names)


def _score_words(scores: NDArray[np.int64], money: bool) -> str:  # noqa: FBT001
    r, f, m = (scores + 1).tolist()
    return f"recency score {r}, frequency score {f}" + (f", monetary score {m}" if money else "")
