"""Files of real data: found, fetched where that is open, and believed only when verified."""

import os
from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from io import BytesIO
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError  # noqa: N812

import duckdb
import pandas as pd
import pooch
from requests import RequestException

from custseg.datasets._sources import Source
from custseg.errors import (
    CustsegError,
    DataError,
    MissingFileError,
)

UNREADABLE = (OSError, ValueError, KeyError, EOFError, SyntaxError, BadZipFile, ZlibError)
TIMEOUT = 60  # seconds without an answer


def how_to_get(source: Source) -> str:
    """Say where a data set comes from, what it must look like and where to put it."""
    columns = ", ".join(repr(name) for name in source.columns)
    if source.file:
        inside = f" (which holds {source.member!r})" if source.member else ""
        put = f"the publisher's file under its own name, {source.file!r}{inside}"
    else:
        put = f"the Parquet file {source.name + '.parquet'!r} (sha256 {source.sha256})"
    return (
        f"Publisher: {source.publisher}. Page: {source.page} . Put {put}, into a folder of yours, "
        f"and set the environment variable CUSTSEG_DATA to that folder. It has {source.rows:,} "
        f"rows and the columns {columns}."
    )


def _read_parquet(path: Path, source: Source) -> pd.DataFrame:
    try:
        with duckdb.connect() as connection:
            return connection.read_parquet(str(path)).df()
    except duckdb.Error:
        raise DataError(f"the Parquet file of {source.name!r} cannot be read.") from None


def _member(archive: ZipFile, source: Source) -> bytes:
    """Return the wanted file of an archive, whatever folder or case it is in."""
    wanted = source.member.casefold()
    for name in archive.namelist():
        if name.rsplit("/", 1)[-1].casefold() == wanted:
            return archive.read(name)
    raise DataError(
        f"the file of {source.name!r} holds no {source.member!r}, "
        f"but {', '.join(repr(name) for name in archive.namelist()[:10])}."
    )


def _require_excel(source: Source) -> None:
    if source.is_workbook and find_spec("openpyxl") is None:
        raise CustsegError(
            f"{source.name!r} is published as an Excel workbook, which needs openpyxl: "
            "pip install custseg[excel]"
        )


def _read_original(path: Path, source: Source) -> pd.DataFrame:
    """Read the publisher's own file."""
    _require_excel(source)
    read = pd.read_excel if source.is_workbook else pd.read_csv
    options = {
        "dtype": dict.fromkeys(source.kinds.get("text", ()), str),
        "keep_default_na": False,
        "na_values": [""],
        **({} if source.is_workbook else {"encoding": "utf-8-sig"}),
        **source.reading,
    }
    if "header" in source.reading:
        options["names"] = list(source.columns)
    try:
        content = path.read_bytes()
        if source.member:
            with ZipFile(BytesIO(content)) as archive:
                content = _member(archive, source)
        return read(BytesIO(content), **options)
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(
            f"the file of {source.name!r} is not what its publisher documents: it cannot be read "
            f"({type(error).__name__})."
        ) from None


def _as_date(values: pd.Series, formats: tuple[str, ...]) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.round("s").dt.as_unit("us")
    for form in formats:
        dates = pd.to_datetime(values.astype(str), format=form, errors="coerce")
        if dates.notna().all():
            return dates.dt.as_unit("us")
    raise DataError(f"the dates in {values.name!r} are in none of the formats {formats}.")


def _convert(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Give every column its documented type, whichever file the frame came from."""
    if tuple(frame.columns) != source.columns:
        raise DataError(
            f"{source.name!r} has the columns {list(frame.columns)} instead of "
            f"{list(source.columns)}."
        )
    kind = {name: kind for kind, names in source.kinds.items() for name in names}
    types = {"int": "int64", "float": "float64", "flag": "bool"}
    converted = {}
    for name in source.columns:
        values, wanted = frame[name], kind.get(name, "int")
        try:
            if wanted == "date":
                converted[name] = _as_date(values, source.date_formats)
            elif wanted in types:
                converted[name] = values.astype(types[wanted])
            else:
                converted[name] = values
        except (TypeError, ValueError) as error:
            raise DataError(f"column {name!r} of {source.name!r}: {error}") from None
    return pd.DataFrame(converted)


def verify(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Return the frame if it has the documented rows, sums, distinct and missing values."""
    facts: list[tuple[str, float, float]] = [("rows", len(frame), source.rows)]
    facts += [(f"sum of {name!r}", frame[name].sum(), value) for name, value in source.sums.items()]
    facts += [
        (f"distinct values of {name!r}", frame[name].nunique(), value)
        for name, value in source.distinct.items()
    ]
    missing = frame.isna().sum()
    facts += [
        (f"missing values of {name!r}", missing[name], source.missing.get(name, 0))
        for name in source.columns
    ]
    for what, found, documented in facts:
        if not isclose(found, documented, rel_tol=1e-9, abs_tol=1e-9):
            raise DataError(
                f"{source.name!r} is not the documented data: {what} is {found:,}, "
                f"but should be {documented:,}."
            )
    return frame


def from_folder(source: Source) -> pd.DataFrame | None:
    """Look in the folder that ``CUSTSEG_DATA`` names: Parquet, else the publisher's own file."""
    name = os.environ.get("CUSTSEG_DATA", "")
    if not name:
        return None
    folder = Path(name).expanduser()
    parquet = folder / f"{source.name}.parquet"
    if parquet.is_file():
        found = sha256(parquet.read_bytes()).hexdigest()
        if found != source.sha256:
            raise DataError(
                f"{parquet.name!r} in the folder CUSTSEG_DATA has the sha256 {found}, but should "
                f"have {source.sha256}: it is damaged or another file. Replace or remove it."
            )
        return _convert(_read_parquet(parquet, source), source)
    if source.file and (folder / source.file).is_file():
        return verify(_convert(_read_original(folder / source.file, source), source), source)
    return None


def cache_folder() -> Path:
    return Path(os.environ.get("CUSTSEG_CACHE") or pooch.os_cache("custseg")).expanduser()


def from_cache(source: Source, folder: Path) -> pd.DataFrame | None:
    """Read what was fetched before; what no longer verifies is removed."""
    readers: tuple[tuple[str, Callable], ...] = (
        (f"{source.name}.parquet", _read_parquet),
        (source.file, _read_original),
    )
    for name, read in readers:
        path = folder / name
        if path.is_file():
            try:
                return verify(_convert(read(path, source), source), source)
            except DataError:
                path.unlink()
    return None


def download(source: Source, folder: Path) -> pd.DataFrame:
    """Fetch the publisher's file; keep it, and its Parquet twin, only if it verifies."""
    _require_excel(source)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as name:
        part = Path(name) / source.file
        try:
            pooch.HTTPDownloader(progressbar=False, timeout=TIMEOUT)(source.url, str(part), None)
        except (RequestException, OSError) as error:
            raise MissingFileError(
                f"the data set {source.name!r} could not be fetched from {source.url} "
                f"({type(error).__name__}). {how_to_get(source)}"
            ) from None
        try:
            frame = verify(_convert(_read_original(part, source), source), source)
        except DataError as error:
            raise DataError(
                f"what arrived from {source.url} was not kept: {error} Try again later, or get "
                f"the file by hand. {how_to_get(source)}"
            ) from None
        twin = Path(name) / f"{source.name}.parquet"
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            connection.table("frame").write_parquet(str(twin), compression="zstd")
        part.replace(folder / part.name)
        twin.replace(folder / twin.name)
    return frame
