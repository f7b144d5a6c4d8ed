"""The command line: ``custseg report`` runs the notebooks and writes the pages."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from custseg import __version__
from custseg.errors import CustsegError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        The words after ``custseg``; those of the process when ``None``.

    Returns
    -------
    int
        The exit code: 0 when done, 1 when stopped by an error (argparse exits with 2 when the
        words make no sense).
    """
    options = _parser().parse_args(arguments)
    try:
        return _report(options.notebooks, options.out, code=options.code)
    except (CustsegError, OSError) as error:
        print(f"custseg {options.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="custseg",
        description="Customer segmentation you can defend, in notebooks and pages.",
    )
    parser.add_argument("--version", action="version", version=f"custseg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    report = commands.add_parser(
        "report",
        help="run the notebooks and write them as web pages",
        description="Run the series of notebooks and write one web page for each, with an index. "
        "A notebook whose data are not in the folder that CUSTSEG_DATA names is shown with its "
        "stored outputs. The pages need no network.",
    )
    report.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    report.add_argument("--code", action="store_true", help="show the code in the pages")
    report.add_argument(
        "--notebooks",
        type=Path,
        metavar="DIR",
        help="folder with the notebooks to run (default: the series that comes with custseg)",
    )
    return parser


def _report(folder: Path | None, out: Path, *, code: bool) -> int:
    try:
        from custseg.reporting.run import write_report
        from custseg.reporting.series import find_series

        pages = write_report(find_series(folder), out, code=code)
    except ModuleNotFoundError as error:
        raise CustsegError(
            f"this needs {error.name}, which is not installed: pip install 'custseg[notebooks]'"
        ) from error
    stored = sum(page.status == "stored" for page in pages)
    run = len(pages) - stored
    noun = "notebook" if run == 1 else "notebooks"
    where = out / "index.html"
    print(f"Wrote {where}: {run} {noun} run, {stored} shown with stored outputs.")
    return 0
