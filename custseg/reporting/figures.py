"""Give every picture of a notebook its fingerprint as alternative text, and a small size."""

from base64 import b64decode, b64encode
from io import BytesIO
from typing import TYPE_CHECKING

from custseg.notebook import FIGURE_MARK

if TYPE_CHECKING:
    from nbformat import NotebookNode


def fingerprints(cell: "NotebookNode") -> list[str]:
    """Return the texts that `custseg.notebook.describe_figure` left in a code cell's outputs."""
    return [
        output.data["text/plain"]
        for output in cell.outputs
        if output.get("metadata", {}).get("custseg") == FIGURE_MARK
    ]


def pictures(cell: "NotebookNode") -> list["NotebookNode"]:
    """Return the outputs of a code cell that hold a picture."""
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def add_alternative_texts(notebook: "NotebookNode") -> None:
    """Write each picture's fingerprint into its metadata.

    Parameters
    ----------
    notebook
        An executed notebook; changed in place. Pictures and fingerprints of a cell are paired in
        their order, which stays as it was: nbval compares outputs in order.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for picture, text in zip(pictures(cell), fingerprints(cell), strict=False):
                picture.metadata.setdefault("image/png", {})["alt"] = text


def shrink_pictures(notebook: "NotebookNode") -> None:
    """Store each picture with a palette of 256 colours, in about a third of the bytes.

    Parameters
    ----------
    notebook
        An executed notebook; changed in place. Colours are chosen to cover the range, so that thin
        lines and small marks keep theirs.
    """
    from PIL import Image

    for cell in notebook.cells:
        for picture in pictures(cell) if cell.cell_type == "code" else []:
            drawn = Image.open(BytesIO(b64decode(picture.data["image/png"]))).convert("RGBA")
            opaque = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn)
            small = opaque.convert("RGB").quantize(
                256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
            stored = BytesIO()
            small.save(stored, "PNG", optimize=True)
            picture.data["image/png"] = b64encode(stored.getvalue()).decode()


def move_fingerprints_below(notebook: "NotebookNode") -> None:
    """Put the fingerprints of each cell, which come first, below its pictures."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs.sort(key=lambda o: o.get("metadata", {}).get("custseg") == FIGURE_MARK)
