"""The roads to real data: a folder, a cache, a publisher; none of them leaves this machine."""

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import duckdb
import numpy as np
import pandas as pd
import pytest

from custseg import datasets
from custseg.datasets import _files, _real
from custseg.datasets._sources import SOURCES, Source
from custseg.errors import CustsegError, DataError, MissingFileError, ParameterError

OPEN = [name for name, source in SOURCES.items() if source.url]
BY_HAND = [name for name, source in SOURCES.items() if source.file and not source.url]
ONLY_PARQUET = [name for name, source in SOURCES.items() if not source.file]


class Publisher:
    """A web server on this machine: `files` maps an address to its answer."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut_at: int | None = None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append(self.path)
                body = owner.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write((body or b"")[: owner.cut_at])

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def publish(self, source: Source, body: bytes) -> None:
        self.files[f"/{source.file}"] = body


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher()
    thread = Thread(target=publisher.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield publisher
    publisher.server.shutdown()
    publisher.server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _places(monkeypatch, tmp_path) -> None:
    """Point every road to folders of the test, and past any proxy."""
    monkeypatch.setenv("CUSTSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def elsewhere(monkeypatch) -> None:
    """Say that the user has no data folder."""
    monkeypatch.delenv("CUSTSEG_DATA", raising=False)


def example(source: Source, rows: int = 60) -> pd.DataFrame:
    """Make up a frame of the shape of a source, with what may go wrong on the way."""
    rng = np.random.default_rng(0)
    kind = {name: kind for kind, names in source.kinds.items() for name in names}
    texts = np.array(["00071", "85123A", "NA", "Ünïcode & co", "+2", "C536379", "12345"])
    make = {
        "text": lambda: pd.Series(rng.choice(texts, rows), dtype="str"),
        "float": lambda: np.round(rng.gamma(2, 20, rows), 2),
        "date": lambda: pd.Series(
            np.datetime64("1997-01-01T08:26", "us")
            + rng.integers(0, 500, rows) * np.timedelta64(1, "D")
        ),
        "flag": lambda: rng.random(rows) < 0.4,
        "int": lambda: rng.integers(-5, 90, rows),
    }
    frame = pd.DataFrame({name: make[kind.get(name, "int")]() for name in source.columns})
    for name in source.kinds.get("date", ()):
        if source.date_formats:
            frame[name] = frame[name].dt.normalize()
    for name in source.missing:
        if kind.get(name) in ("text", "float"):
            frame.loc[rng.random(rows) < 0.2, name] = np.nan
    return frame


def documented(source: Source, frame: pd.DataFrame, **changes: object) -> Source:
    """Return the source with the facts of another frame."""
    numbers = frame.select_dtypes(["number", "bool"])
    facts = {
        "rows": len(frame),
        "sums": numbers.sum().to_dict(),
        "distinct": frame.nunique().to_dict(),
        "missing": frame.isna().sum().to_dict(),
    }
    return replace(source, **facts, **changes)


def published(frame: pd.DataFrame, source: Source) -> bytes:
    """Write a frame as its publisher does."""
    frame = frame.copy()
    for name in source.kinds.get("date", ()):
        if source.date_formats:
            frame[name] = frame[name].dt.strftime(source.date_formats[-1])
    if source.is_workbook:
        sheet = source.reading.get("sheet_name", "Online Retail")
        pytest.importorskip("openpyxl")
        stream = BytesIO()
        # Codes of digits only are numbers in the workbook.
        codes = frame["StockCode"].map(lambda code: int(code) if code.isdecimal() else code)
        with pd.ExcelWriter(stream) as book:
            frame.assign(StockCode=codes).to_excel(book, sheet_name=sheet, index=False)
            frame.head(2).to_excel(book, sheet_name="Another year", index=False)
        body = stream.getvalue()
    elif "header" in source.reading:
        rows = frame.astype(str).apply("  ".join, axis=1)
        body = ("\r\n".join(" " + row for row in rows) + "\r\n").encode()
    else:
        separator = "\t" if "sep" in source.reading else ","
        body = frame.to_csv(index=False, sep=separator).encode()
    if not source.member:
        return body
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr("read_me.txt", "about the data")
        archive.writestr(f"data/{source.member}", body)
    return stream.getvalue()


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop what a publisher's format cannot hold: text in codes and gaps in a fixed layout."""
    text = frame.select_dtypes("str")
    return frame.assign(**{name: text[name].str.replace(" ", "") for name in text})


@pytest.fixture
def register(monkeypatch, publisher):
    def do(name: str, frame: pd.DataFrame, body: bytes | None = None) -> Source:
        source = documented(
            SOURCES[name],
            frame,
            url=SOURCES[name].url and f"{publisher.address}/{SOURCES[name].file}",
        )
        monkeypatch.setitem(_real.SOURCES, name, source)
        publisher.publish(source, published(frame, source) if body is None else body)
        return source

    return do


@pytest.fixture(params=OPEN)
def served(request, register) -> tuple[Source, pd.DataFrame]:
    frame = example(SOURCES[request.param])
    if "header" in SOURCES[request.param].reading:
        frame = plain(frame)
    if SOURCES[request.param].is_workbook:
        # A number in a workbook has lost its leading zeros at the publisher's already.
        frame["StockCode"] = frame["StockCode"].replace("00071", "71")
    return register(request.param, frame), frame


@pytest.mark.usefixtures("elsewhere")
class TestPublisher:
    def test_every_open_data_set_arrives_in_its_publishers_format(
        self, served, publisher, tmp_path, capfd
    ):
        source, frame = served
        loaded = datasets.load_dataset(source.name)
        pd.testing.assert_frame_equal(loaded, frame)
        assert publisher.asked == [f"/{source.file}"]

        publisher.files.clear()
        again = datasets.load_dataset(source.name)
        pd.testing.assert_frame_equal(again, frame)
        assert len(publisher.asked) == 1, "the second load asks nobody"

        cache = tmp_path / "cache"
        kept = sorted(path.name for path in cache.iterdir())
        assert kept == sorted([source.file, f"{source.name}.parquet"])
        (cache / f"{source.name}.parquet").unlink()
        pd.testing.assert_frame_equal(datasets.load_dataset(source.name), frame)
        assert len(publisher.asked) == 1, "the publisher's own file is enough"
        assert "".join(capfd.readouterr()) == ""

    def test_a_damaged_cache_is_filled_again(self, served, publisher, tmp_path):
        source, frame = served
        datasets.load_dataset(source.name)
        for path in (tmp_path / "cache").iterdir():
            path.write_bytes(path.read_bytes()[:300])
        pd.testing.assert_frame_equal(datasets.load_dataset(source.name), frame)
        assert len(publisher.asked) == 2

    def test_a_file_cut_short_or_garbled_is_not_kept(self, served, publisher, tmp_path):
        source, frame = served
        whole = publisher.files[f"/{source.file}"]
        garbled = bytearray(whole)
        garbled[len(whole) // 3 : len(whole) // 2] = b"\x00\xff" * len(whole)
        shorter = published(frame.iloc[:-1], source)
        page = b"<html>Please log in</html>"
        for body in (whole[: len(whole) // 2], bytes(garbled), shorter, page, b""):
            publisher.publish(source, body)
            with pytest.raises(DataError, match="was not kept") as error:
                datasets.load_dataset(source.name)
            assert source.page in str(error.value)
            assert str(tmp_path) not in str(error.value)
            assert list((tmp_path / "cache").iterdir()) == []

    def test_a_missing_file_and_a_dead_server_say_how_to_get_it(
        self, served, publisher, tmp_path, monkeypatch
    ):
        source, _ = served
        publisher.files.clear()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{free.getsockname()[1]}/{source.file}"
        for address, reason in ((source.url, "HTTPError"), (nobody, "ConnectionError")):
            monkeypatch.setitem(_real.SOURCES, source.name, replace(source, url=address))
            with pytest.raises(MissingFileError) as error:
                datasets.load_dataset(source.name)
            message = str(error.value)
            for part in (reason, address, source.publisher, source.page, source.file):
                assert part in message
            assert "CUSTSEG_DATA" in message
            assert all(repr(column) in message for column in source.columns)
            assert str(tmp_path) not in message

    def test_a_connection_that_breaks_off_keeps_nothing(self, register, publisher, tmp_path):
        register("hillstrom", example(SOURCES["hillstrom"]))
        publisher.cut_at = 500
        with pytest.raises(MissingFileError, match="could not be fetched"):
            datasets.load_hillstrom()
        assert list((tmp_path / "cache").iterdir()) == []

    def test_a_zip_without_the_wanted_file_says_what_it_holds(self, register):
        stream = BytesIO()
        with ZipFile(stream, "w") as archive:
            archive.writestr("CDNOW_other.txt", "1 2 3")
        source = SOURCES["cdnow_sample"]
        register("cdnow_sample", example(source), stream.getvalue())
        with pytest.raises(DataError, match=r"no 'CDNOW_sample.txt', but 'CDNOW_other.txt'"):
            datasets.load_cdnow()

    def test_another_header_is_named(self, register):
        frame = example(SOURCES["mcdonalds"])
        body = published(frame, SOURCES["mcdonalds"]).replace(b"yummy", b"delicious")
        register("mcdonalds", frame, body)
        with pytest.raises(DataError, match=r"columns \['delicious'.* instead of \['yummy'"):
            datasets.load_mcdonalds()

    @pytest.mark.parametrize("name", ["online_retail", "online_retail_ii_2009_2010"])
    def test_a_workbook_without_openpyxl_names_the_extra(self, name, register, monkeypatch):
        register(name, example(SOURCES[name]))
        monkeypatch.setattr(_files, "find_spec", lambda module: None)
        with pytest.raises(CustsegError, match=r"pip install custseg\[excel\]"):
            datasets.load_dataset(name)

    @pytest.mark.parametrize("name", [*BY_HAND, *ONLY_PARQUET])
    def test_what_needs_a_login_says_how_to_get_it(self, name, tmp_path):
        with pytest.raises(MissingFileError) as error:
            datasets.load_dataset(name)
        message, source = str(error.value), SOURCES[name]
        for part in (source.publisher, source.page, "CUSTSEG_DATA", f"{source.rows:,} rows"):
            assert part in message
        assert (source.file or source.sha256) in message
        assert not (tmp_path / "cache").exists()


@pytest.fixture
def folder(monkeypatch, tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("CUSTSEG_DATA", str(folder))
    return folder


def test_a_folder_with_the_parquet_file_is_believed_by_its_checksum(folder, register):
    frame = example(SOURCES["hillstrom"])
    source = register("hillstrom", frame, b"never asked")
    path = folder / "hillstrom.parquet"
    duckdb.from_df(frame).write_parquet(str(path))
    with pytest.raises(DataError, match=f"sha256 [0-9a-f]{{64}}, but should have {source.sha256}"):
        datasets.load_hillstrom()
    checksum = sha256(path.read_bytes()).hexdigest()
    _real.SOURCES["hillstrom"] = replace(source, sha256=checksum)
    pd.testing.assert_frame_equal(datasets.load_hillstrom(), frame)


@pytest.mark.parametrize("name", BY_HAND)
def test_a_folder_may_hold_the_publishers_file(name, folder, register):
    frame = example(SOURCES[name])
    source = register(name, frame)
    path = folder / source.file
    path.write_bytes(published(frame, source))
    pd.testing.assert_frame_equal(datasets.load_dataset(name), frame)

    wrong = published(frame.iloc[1:], source)
    path.write_bytes(wrong)
    with pytest.raises(DataError, match="rows is 59, but should be 60"):
        datasets.load_dataset(name)
    assert path.read_bytes() == wrong, "a user's file is never touched"


def test_a_folder_that_lacks_the_file_lets_the_publisher_answer(folder, register, publisher):
    frame = example(SOURCES["wholesale_customers"])
    register("wholesale_customers", frame)
    pd.testing.assert_frame_equal(datasets.load_wholesale(), frame)
    assert publisher.asked
    assert list(folder.iterdir()) == []


def test_dates_of_the_other_edition_are_understood(folder, register):
    frame = example(SOURCES["marketing_campaign"])
    source = register("marketing_campaign", frame)
    text = frame.assign(Dt_Customer=frame["Dt_Customer"].dt.strftime("%Y-%m-%d"))
    (folder / source.file).write_text(text.to_csv(index=False, sep=";"), encoding="utf-8")
    pd.testing.assert_frame_equal(datasets.load_marketing_campaign(), frame)
    text["Dt_Customer"] = "soon"
    (folder / source.file).write_text(text.to_csv(index=False, sep=";"), encoding="utf-8")
    with pytest.raises(DataError, match="dates in 'Dt_Customer' are in none of the formats"):
        datasets.load_marketing_campaign()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.assign(spend=frame["spend"] * 1.001), "sum of 'spend'"),
        (lambda frame: frame.assign(segment="Mens E-Mail"), "distinct values of 'segment' is 1"),
        (lambda frame: frame.mask(frame.index.to_series() < 1), "column 'recency'"),
        (lambda frame: frame.assign(channel=frame["channel"].where(frame.index > 3)), "missing"),
        (lambda frame: frame.assign(visit=frame["visit"].astype(str) + "x"), "column 'visit'"),
    ],
)
def test_whatever_differs_from_the_documented_facts_is_named(folder, register, change, message):
    frame = example(SOURCES["hillstrom"])
    source = register("hillstrom", frame)
    if "missing" in message or "sum" in message:
        source = replace(source, distinct={})
        _real.SOURCES["hillstrom"] = source
    (folder / source.file).write_text(change(frame).to_csv(index=False), encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(message)):
        datasets.load_hillstrom()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ParameterError, match="Did you mean 'cookie_cats'"):
        datasets.load_dataset("cookiecats")


def test_the_readme_documents_every_source():
    text = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    for source in SOURCES.values():
        for part in (f"`{source.name}`", source.sha256, source.page, f"{source.rows:,}"):
            assert part in text, (source.name, part)
        assert not source.url or source.url in text
        assert not source.file or f"`{source.file}`" in text


# --- the real thing ----------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize("name", SOURCES)
def test_real_data_show_every_documented_fact(name):
    frame = datasets.load_dataset(name)
    source = SOURCES[name]
    pd.testing.assert_frame_equal(_files.verify(frame, source), frame)
    assert tuple(frame.columns) == source.columns
    assert "object" not in set(frame.dtypes.astype(str))
    assert "Int64" not in set(frame.dtypes.astype(str))


@pytest.mark.realdata("online_retail")
def test_online_retail_is_the_published_one():
    lines = datasets.load_online_retail()
    assert round((lines["Quantity"] * lines["UnitPrice"]).sum(), 3) == 9_747_747.934
    cancelled = lines["InvoiceNo"].str.startswith("C")
    assert cancelled.sum() == 9_288
    assert (lines.loc[cancelled, "Quantity"] < 0).all()
    assert lines.duplicated().sum() == 5_268
    assert lines["InvoiceDate"].min() == pd.Timestamp("2010-12-01 08:26")
    assert lines["InvoiceDate"].max() == pd.Timestamp("2011-12-09 12:50")
    kept = lines[~cancelled & lines["CustomerID"].notna() & lines["Quantity"].gt(0)]
    kept = kept[kept["UnitPrice"] > 0]
    assert kept["CustomerID"].nunique() == 4_338
    assert kept["InvoiceNo"].nunique() == 18_532
    assert round((kept["Quantity"] * kept["UnitPrice"]).sum(), 2) == 8_911_407.90


@pytest.mark.realdata("online_retail", "online_retail_ii_2009_2010")
def test_online_retail_ii_overlaps_the_other_year():
    first, second = datasets.load_online_retail_ii(), datasets.load_online_retail()
    assert round((first["Quantity"] * first["Price"]).sum(), 3) == 9_539_484.634
    assert first["Invoice"].str.startswith("C").sum() == 10_206
    late = first[first["InvoiceDate"] >= "2010-12-01"]
    early = second[second["InvoiceDate"] <= late["InvoiceDate"].max()]
    late.columns = early.columns
    keys = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
    assert len(late) == 22_523
    pd.testing.assert_frame_equal(
        late[keys].sort_values(keys, ignore_index=True),
        early[keys].sort_values(keys, ignore_index=True),
    )


@pytest.mark.realdata("cdnow_sample", "cdnow_master")
def test_cdnow_is_the_published_cohort():
    sample, master = datasets.load_cdnow(), datasets.load_cdnow(sample=False)
    assert sample["sample_id"].nunique() == 2_357
    assert master["customer_id"].nunique() == 23_570
    assert master["date"].min() == pd.Timestamp("1997-01-01")
    assert master["date"].max() == pd.Timestamp("1998-06-30")
    assert (master["dollar_value"] == 0).sum() == 80
    assert master.duplicated(["customer_id", "date"]).sum() == 2_068
    taken = master[master["customer_id"].isin(sample["master_id"])]
    np.testing.assert_allclose(taken["dollar_value"].sum(), sample["dollar_value"].sum())


@pytest.mark.realdata("hillstrom")
def test_hillstrom_is_the_published_test():
    customers = datasets.load_hillstrom()
    arms = customers.groupby("segment")["spend"].agg(["size", "mean"])
    assert arms["size"].to_dict() == {
        "Mens E-Mail": 21_307,
        "No E-Mail": 21_306,
        "Womens E-Mail": 21_387,
    }
    effect = arms["mean"] - arms["mean"]["No E-Mail"]
    assert round(effect["Mens E-Mail"], 4) == 0.7698
    assert round(effect["Womens E-Mail"], 4) == 0.4244


@pytest.mark.realdata("mcdonalds")
def test_mcdonalds_has_the_means_of_the_book():
    survey = datasets.load_mcdonalds()
    means = (survey.iloc[:, :11] == "Yes").mean().round(4).to_list()
    book = [0.5526, 0.9078, 0.0936, 0.8672, 0.5265, 0.9002, 0.5988, 0.6442, 0.3579, 0.1989, 0.2429]
    assert means == book
    assert survey["Gender"].value_counts().to_dict() == {"Female": 788, "Male": 665}
    assert {"I hate it!-5", "I love it!+5", "+4", "0"} <= set(survey["Like"])


@pytest.mark.realdata("cookie_cats", "wholesale_customers", "marketing_campaign")
def test_the_smaller_sets_have_their_documented_counts():
    players = datasets.load_cookie_cats()
    assert players["version"].value_counts().to_dict() == {"gate_40": 45_489, "gate_30": 44_700}
    assert players["retention_7"].dtype == bool
    clients = datasets.load_wholesale()
    assert clients["Channel"].value_counts().to_dict() == {1: 298, 2: 142}
    assert round(clients["Fresh"].std(), 2) == 12_647.33
    people = datasets.load_marketing_campaign()
    assert people["Dt_Customer"].min() == pd.Timestamp("2012-07-30")
    assert people["Dt_Customer"].max() == pd.Timestamp("2014-06-29")


@pytest.mark.realdata(*OPEN)
@pytest.mark.parametrize("name", [name for name in OPEN if not SOURCES[name].is_workbook])
def test_the_publishers_format_gives_the_frame_of_the_parquet_file(name, publisher, monkeypatch):
    """All rows, every documented fact, the reader's dtypes: the two roads meet."""
    frame = datasets.load_dataset(name)
    source = SOURCES[name]
    publisher.publish(source, published(frame, source))
    monkeypatch.delenv("CUSTSEG_DATA")
    monkeypatch.setitem(
        _real.SOURCES, name, replace(source, url=f"{publisher.address}/{source.file}")
    )
    pd.testing.assert_frame_equal(datasets.load_dataset(name), frame)


@pytest.mark.realdata("online_retail", "online_retail_ii_2009_2010")
@pytest.mark.parametrize("name", ["online_retail", "online_retail_ii_2009_2010"])
def test_the_publishers_workbook_gives_the_frame_of_the_parquet_file(name, register, monkeypatch):
    """Some thousand rows of both halves of the year, with their own facts."""
    frame = datasets.load_dataset(name)
    some = frame.iloc[np.r_[:1_500, 141_000:142_500]].reset_index(drop=True)
    assert some.isna().sum().gt(0).sum() == 2
    register(name, some)
    monkeypatch.delenv("CUSTSEG_DATA")
    pd.testing.assert_frame_equal(datasets.load_dataset(name), some)
