"""Cards and personas: every number is followed to its cell, and every cell to the data."""

import re
from functools import cache
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.cluster import KMeans

import custseg as cs
from custseg.profiling import personas, segment_cards
from custseg.profiling._telling import ratio_interval

mpl.use("Agg")

NUMBER = re.compile(r"[<>]?\d[\d,]*(?:\.\d+)?%?")
TELLERS = [segment_cards, personas]


def shoppers(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    index = pd.Index([f"ID{i}XQ" for i in rng.permutation(10 * n)[:n]], name="customer_id")
    gold = rng.random(n) < 0.3
    customers = pd.DataFrame(
        {
            "spend_2024": np.where(gold, rng.gamma(20, 20, n), rng.gamma(20, 8, n)).round(2),
            "orders": np.where(gold, rng.poisson(12, n), rng.poisson(4, n)),
            "region": rng.choice(["North", "South", "West"], n),
            "card": np.where(gold, rng.random(n) < 0.8, rng.random(n) < 0.2),
            "age": rng.integers(18, 80, n).astype(float),
        },
        index=index,
    )
    customers.loc[index[::7], "age"] = np.nan
    segments = pd.Series(np.where(gold, "Gold", "Basic"), index)
    comments = pd.Series(
        [f"I am customer number {i} of this shop" for i in range(n)], index
    ).sample(n // 2, random_state=1)
    return customers, segments, comments


def told(tell=segment_cards, **change):
    customers, segments, comments = shoppers()
    options = {
        "variables": ["spend_2024", "orders"],
        "descriptors": ["region", "card", "age"],
        "value": "spend_2024",
        "comments": comments,
        "stability": {"Gold": 0.91, "Basic": 0.975},
        "brief": cs.Brief(goal="Win 2,000 visits back", success_metric="visits_2025"),
    }
    return tell(customers, segments, **(options | change))


def survey_weights() -> pd.Series:
    """Whole weights: a customer of weight 3 stands for three of the population."""
    customers, segments, _ = shoppers()
    rng = np.random.default_rng(3)
    drawn = np.where(segments == "Gold", rng.integers(1, 3, 400), rng.integers(1, 5, 400))
    return pd.Series(drawn, customers.index)


@cache
def as_usual(tell=segment_cards, *, weighted=False):
    return told(tell, weights=survey_weights()) if weighted else told(tell)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("tell", TELLERS)
def test_every_number_of_every_sentence_is_one_of_its_cells(tell, weighted):
    found = as_usual(tell, weighted=weighted)
    assert len(found.sentences) > 20
    quoted = set()
    for row in found.sentences.itertuples():
        cells = found.cells.loc[list(row.cells)]
        assert (cells["segment"] == row.segment).all()
        assert (cells["topic"] == row.topic).all()
        rest = row.sentence
        for shown in sorted(cells["shown"], key=len, reverse=True):
            assert shown in row.sentence
            rest = rest.replace(shown, "")
        assert NUMBER.findall(rest) == []
        quoted |= set(row.cells)
    assert quoted == set(found.cells.index)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("tell", TELLERS)
def test_every_cell_is_shown_as_its_value(tell, weighted):
    cells = as_usual(tell, weighted=weighted).cells
    for cell in cells.itertuples():
        if cell.kind == "share":
            text = cell.shown.strip("<>%")
            assert float(text) == pytest.approx(100 * cell.value, abs=0.51)
        elif cell.kind == "text":
            assert cell.shown == cell.value
        else:
            shown = float(cell.shown.replace(",", ""))
            assert shown == pytest.approx(cell.value, rel=6e-3, abs=1e-6)


def cell(found, segment, topic, name):
    cells = found.cells
    own = cells[(cells["segment"] == segment) & (cells["topic"] == topic) & (cells["name"] == name)]
    return own["value"].tolist()


def test_cells_hold_what_the_data_say():
    customers, segments, comments = shoppers()
    found = as_usual()
    for segment in ("Gold", "Basic"):
        own = customers[segments == segment]
        n = len(own)
        assert cell(found, segment, "size", "n") == [n]
        assert cell(found, segment, "size", "share") == [n / 400]
        spend = own["spend_2024"]
        assert cell(found, segment, "what it is worth", "mean") == [pytest.approx(spend.mean())]
        bounds = stats.t.interval(0.95, n - 1, spend.mean(), stats.sem(spend))
        assert cell(found, segment, "what it is worth", "low")[0] == pytest.approx(bounds[0])
        part = spend.sum() / customers["spend_2024"].sum()
        assert cell(found, segment, "what it is worth", "part") == [pytest.approx(part)]
        traits = cell(found, segment, "what sets it apart", "trait")
        assert set(traits) == {"spend_2024", "orders", "card"}
        values = cell(found, segment, "what sets it apart", "value")
        for name, value in zip(traits, values, strict=True):
            assert value == pytest.approx(own[name].mean())
        silent = 1 - own.index.isin(comments.index).mean()
        assert cell(found, segment, "what we do not know", "silent") == [pytest.approx(silent)]
        gap = own["age"].isna().mean()
        assert cell(found, segment, "what we do not know", "gap") == [pytest.approx(gap)]
    row = found.to_frame().loc["Gold"]
    assert row["name"] == "high spend 2024, high orders"
    assert row["value_share"] == cell(found, "Gold", "what it is worth", "part")[0]
    assert row["stability"] == 0.91
    assert "shares 91% of" in row["how firm it is"]


def estimates(cells: pd.DataFrame) -> pd.DataFrame:
    """Leave out counts, intervals, quotes, and what folds of the customers decide."""
    learned = cells["topic"].isin(["borderline customers", "who is different", "in their words"])
    quartiles = (cells["topic"] == "how many are like that") & (cells["kind"] == "number")
    bounds = cells["name"].isin(["low", "high"]) & ~quartiles
    return cells[~learned & ~bounds & (cells["kind"] != "count")].reset_index(drop=True)


@pytest.mark.parametrize("tell", TELLERS)
def test_weights_say_what_repeating_the_customers_says(tell):
    customers, segments, comments = shoppers()
    counts = survey_weights()
    options = {
        "variables": ["spend_2024", "orders"],
        "descriptors": ["region", "card", "age"],
        "value": "spend_2024",
    }
    repeated = customers.loc[customers.index.repeat(counts)]
    copy = repeated.groupby(level=0).cumcount().astype(str)
    ids = repeated.index + "-" + copy
    many = tell(
        repeated.set_axis(ids),
        segments.loc[repeated.index].set_axis(ids),
        comments=comments.reindex(repeated.index).set_axis(ids).dropna(),
        **options,
    ).cells
    one = tell(customers, segments, comments=comments, weights=counts, **options).cells
    alike = [estimates(cells) for cells in (one, many)]
    assert len(alike[0]) > 40
    keys = ["segment", "topic", "name", "kind"]
    pd.testing.assert_frame_equal(alike[0][keys], alike[1][keys])
    for mine, theirs in zip(alike[0]["value"], alike[1]["value"], strict=True):
        assert mine == (theirs if isinstance(theirs, str) else pytest.approx(theirs))


def test_weights_change_what_a_card_says_and_how_surely():
    customers, segments, _ = shoppers()
    counts = survey_weights()
    found, row = as_usual(weighted=True), as_usual(weighted=True).to_frame().loc["Gold"]
    said = found.sentences["sentence"].tolist()
    gold = segments == "Gold"
    share = counts[gold].sum() / counts.sum()
    assert row["n"] == gold.sum()
    assert row["share"] == pytest.approx(share)
    assert any(f"{row['n']} customers, who stand for {share:.0%} of all" in words for words in said)
    profiled = cs.profiling.profile(customers, segments, variables=["spend_2024"], weights=counts)
    same = profiled.to_frame().set_index("segment").loc["Gold"]
    assert row[["value", "value_low", "value_high"]].tolist() == pytest.approx(
        same[["value", "ci_low", "ci_high"]].tolist()
    )
    assert any(note.startswith("weighted:") for note in found.notes)
    alike = told(weights=pd.Series(7.0, customers.index))
    assert alike.to_markdown() == as_usual().to_markdown()


def brute_medoid(customers: pd.DataFrame, rows: np.ndarray) -> int:
    ranks = customers[["spend_2024", "orders", "age"]].rank(pct=True).to_numpy()
    levels = customers[["region", "card"]].to_numpy()
    total = np.zeros(len(rows))
    for column in range(3):
        own = ranks[rows, column]
        known = own[~np.isnan(own)]
        gaps = np.abs(own[:, None] - known[None, :]).mean(axis=1)
        total += np.where(np.isnan(own), np.nanmean(gaps), gaps)
    for column in range(2):
        own = levels[rows, column]
        total += (own[:, None] != own[None, :]).mean(axis=1)
    return int(rows[total.argmin()])


def test_the_typical_customer_is_the_medoid_and_ids_are_only_there_when_asked_for():
    customers, segments, _ = shoppers()
    ordered = customers.sort_index()
    found = told(include_ids=True)
    for segment in ("Gold", "Basic"):
        rows = np.flatnonzero(segments[ordered.index] == segment)
        expected = ordered.index[brute_medoid(ordered, rows)]
        (shown,) = cell(found, segment, "typical customer", "customer")
        assert shown == expected
        names = [
            cell(found, segment, "typical customer", f"value_{letter}_name")[0] for letter in "abcd"
        ]
        values = [
            cell(found, segment, "typical customer", f"value_{letter}")[0] for letter in "abcd"
        ]
        for name, value in zip(names, values, strict=True):
            own = ordered.loc[expected, name]
            assert value == ({True: "yes", False: "no"}[own] if name == "card" else own)


NAMES = [
    ("low_price", False, '"low price" above average', '"low price" below average'),
    ("max_spend", False, '"max spend" above average', '"max spend" below average'),
    ("no_of_returns", False, "many returns", "few returns"),
    ("no_orders", False, '"no orders" above average', '"no orders" below average'),
    ("n_orders", False, "many orders", "few orders"),
    ("n_low_price_items", False, "many low price items", "few low price items"),
    ("has_children", False, '"has children" above average', '"has children" below average'),
    ("recency", False, "high recency", "low recency"),
    ("low_price", True, "more often low price", "less often low price"),
    ("high_income", True, "more often high income", "less often high income"),
    ("no_children", True, "more often no children", "less often no children"),
    ("is_member", True, "more often member", "less often member"),
    ("has_card", True, "more with card", "fewer with card"),
    ("greasy", True, "more greasy", "less greasy"),
]


@pytest.mark.parametrize(("column", "yes_no", "above", "below"), NAMES)
def test_a_suggested_name_does_not_contradict_itself(column, yes_no, above, below):
    rng = np.random.default_rng(0)
    high = np.arange(200) < 80
    values = rng.random(200) < np.where(high, 0.9, 0.1) if yes_no else rng.normal(4.0 * high, 1)
    customers = pd.DataFrame({column: values})
    found = segment_cards(customers, np.where(high, "A", "B"), variables=[column])
    assert found.to_frame()["name"].to_dict() == {"A": above, "B": below}
    if yes_no:
        words = customers.astype(object).replace({True: "Yes", False: "No"})
        found = segment_cards(words, np.where(high, "A", "B"), descriptors=[column])
        assert found.to_frame()["name"].to_dict() == {"A": above, "B": below}


def test_a_suggested_name_tells_a_level_as_it_is():
    high = np.arange(200) < 80
    rng = np.random.default_rng(0)
    income = np.where(rng.random(200) < np.where(high, 0.9, 0.2), "high", "low")
    levels = pd.Categorical(income, ["low", "high"], ordered=True)
    names = segment_cards(
        pd.DataFrame({"income": levels}), np.where(high, "A", "B"), descriptors=["income"]
    ).to_frame()["name"]
    assert names.to_dict() == {"A": "more with income high", "B": "more with income low"}
    codes = pd.DataFrame({"shop": pd.Categorical(np.where(high, 1, rng.integers(1, 4, 200)))})
    names = segment_cards(codes, np.where(high, "A", "B"), descriptors=["shop"]).to_frame()["name"]
    assert names["A"] == "more with shop 1"
    assert names["B"].startswith(("more with shop ", "fewer with shop 1"))


def test_a_name_that_is_the_segment_is_told_once():
    found = told(names={"Gold": "Gold"})
    assert "Gold, Gold" not in found.summary()
    for text in (found.to_markdown(), found.to_html()):
        assert "Gold: Gold" not in text
        assert "Basic: low spend 2024" in text
    labels = [label.get_text() for label in found.plot().get_yticklabels()]
    assert labels == ["Basic: low spend 2024, low orders", "Gold"]


def test_what_did_not_make_the_segments_is_told_where_it_stands_out_and_only_there():
    rng = np.random.default_rng(2)
    high = np.arange(600) < 300
    made = [f"v{i}" for i in range(5)]
    customers = pd.DataFrame(rng.normal(size=(600, 5)) + 3 * high[:, None], columns=made)
    customers["age"] = rng.normal(40 + 6 * high, 10)
    customers["town"] = np.tile(["here", "there"], 300)
    segments = np.where(high, "A", "B")
    for others, told_apart in ((["age", "town"], True), (["town"], False)):
        found = segment_cards(customers, segments, variables=made, descriptors=others)
        said = found.sentences.query("segment == 'A' and topic == 'what sets it apart'")
        said = said["sentence"].tolist()
        assert len(said) == 5
        mean = customers["age"][high].mean()
        words = f"age: {mean:.1f} on average" if told_apart else "On town, which did not make"
        assert said[-1].startswith(words)
    noise = segment_cards(customers, segments, variables=made, descriptors=["town"])
    assert "it does not stand out" in noise.to_markdown()


@pytest.mark.parametrize("tell", TELLERS)
def test_no_id_is_in_any_output(tell):
    found = as_usual(tell)
    texts = [repr(found), found._repr_html_(), found.to_markdown(), found.to_html()]
    texts += [found.to_frame().to_csv(), found.cells.to_csv(), found.sentences.to_csv()]
    texts += [*found.notes, found.summary()]
    assert not any(re.search(r"ID\d+XQ", text) for text in texts)
    with_ids = told(tell, include_ids=True)
    assert re.search(r"Customer ID\d+XQ: ", with_ids.to_markdown())


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text, self.cells = [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.cells += [value.split() for name, value in attrs if name == "data-cells"]

    def handle_data(self, data):
        self.text += data


def test_html_is_escaped_and_names_the_cells():
    customers, segments, comments = shoppers()
    bad = "<script>alert('x')</script> & *bold*"
    customers = customers.rename(columns={"orders": "<b>orders</b>"})
    found = segment_cards(
        customers,
        segments.replace("Gold", "<i>Gold</i>"),
        variables=["spend_2024", "<b>orders</b>"],
        comments=comments.map(lambda _: bad),
        names={"Basic": "<u>plain</u>"},
    )
    reader = Reader()
    reader.feed(found.to_html())
    assert set(reader.tags) == {"article", "h3", "p", "b", "span"}
    assert reader.tags.count("b") == reader.tags.count("p")
    assert bad in reader.text
    assert "Basic: <u>plain</u>" in reader.text
    assert reader.cells == [list(cells) for cells in ordered_cells(found)]
    markdown = found.to_markdown()
    assert "<script>" not in markdown
    assert r"\*bold\*" in markdown


def ordered_cells(found):
    for segment in found.to_frame().index:
        for topic in found.topics:
            own = found.sentences
            own = own[(own["segment"] == segment) & (own["topic"] == topic)]
            yield from own["cells"]


def test_quotes_are_those_of_the_most_typical_who_wrote_and_of_nobody_else():
    _, segments, comments = shoppers()
    comments.loc[comments.index[0]] = "  "
    found = told(comments=comments)
    by_id = {words: customer for customer, words in comments.items()}
    for segment in ("Gold", "Basic"):
        quotes = cell(found, segment, "in their words", "quote")
        assert len(quotes) == 3
        assert all(segments[by_id[quote]] == segment for quote in quotes)
        assert len(set(quotes)) == 3


def test_quotes_hide_addresses_and_long_numbers_and_are_cut():
    customers, _, _ = shoppers()
    said = "Call +44 (0)20 7946 0018 or write to ann.lee@mail.example, order 12, see www.x.org/me. "
    comments = pd.Series(said + "very " * 90, customers.index)
    (quote,) = cell(told(comments=comments), "Gold", "in their words", "quote")
    assert quote.startswith("Call [number] or write to [address], order 12, see [address] very")
    assert len(quote) <= 242
    assert quote.endswith("very …")


def test_a_persona_says_how_many_are_like_its_customer():
    customers, segments, _ = shoppers()
    found = as_usual(personas)
    topic = "how many are like that"
    own = customers[segments == "Gold"]
    low, high = np.quantile(own["orders"], [0.25, 0.75], method="averaged_inverted_cdf")
    numbers = ("orders", "spend_2024", "age")
    numeric = [name for name in cell(found, "Gold", topic, "name") if name in numbers]
    at = numeric.index("orders")
    lows = found.cells.query("segment == 'Gold' and topic == @topic and name == 'all_low'")
    quartile = np.quantile(customers["orders"], 0.25, method="averaged_inverted_cdf")
    assert lows["value"].iloc[at] == quartile
    assert f"orders: the middle half of the segment has {low:g} to {high:g}" in found.to_markdown()
    region = cell(found, "Gold", "who stands for it", "n")
    assert region == [len(own)]
    card = found.sentences[found.sentences["sentence"].str.startswith("card yes")]
    share = found.cells.loc[list(card["cells"].iloc[0])].set_index("name")["value"]
    segment = card["segment"].iloc[0]
    assert share["share"] == pytest.approx(customers.loc[segments == segment, "card"].mean())
    assert share["all"] == pytest.approx(customers["card"].mean())


@pytest.mark.parametrize("tell", TELLERS)
def test_the_order_of_the_rows_does_not_matter(tell):
    customers, segments, comments = shoppers()
    counts = survey_weights()
    one = tell(customers, segments, variables=["orders"], weights=counts, comments=comments)
    two = tell(
        customers.sample(frac=1, random_state=0),
        segments.sample(frac=1, random_state=1),
        variables=["orders"],
        weights=counts.sample(frac=1, random_state=3),
        comments=comments.sample(frac=1, random_state=2),
    )
    assert one.to_markdown() == two.to_markdown()
    pd.testing.assert_frame_equal(one.cells, two.cells)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_interval_of_a_share_of_value_is_as_wide_as_resampling_says(weighted):
    rng = np.random.default_rng(1)
    values, inside = rng.gamma(1, 100, 800), rng.random(800) < 0.3
    w = rng.gamma(2, 1, 800) if weighted else np.ones(800)
    part, low, high = ratio_interval(values, inside, w, level=0.95)
    assert part == pytest.approx((w * values)[inside].sum() / (w @ values))
    draws = rng.integers(800, size=(4000, 800))
    shares = (w * values * inside)[draws].sum(axis=1) / (w * values)[draws].sum(axis=1)
    assert (high - low) / 2 == pytest.approx(1.96 * shares.std(), rel=0.05)


def test_stability_is_taken_from_the_result_by_name_or_by_size():
    customers, _, _ = shoppers()
    X = customers[["spend_2024", "orders"]]
    X = (X - X.mean()) / X.std()
    measured = cs.evaluation.stability(X, KMeans(2, n_init=5, random_state=0), n_resamples=6)
    labels = KMeans(2, n_init=5, random_state=0).fit_predict(X.sort_index())
    segments = pd.Series(labels, X.sort_index().index)
    large = int(np.bincount(labels).argmax())
    named = segments.map({large: "A", 1 - large: "B"})
    by_name = segment_cards(customers, named, variables=["orders"], stability=measured)
    jaccard = measured.to_frame().set_index("segment")["jaccard"]
    assert by_name.to_frame()["stability"].to_dict() == jaccard.to_dict()
    assert not any("matched by their sizes" in note for note in by_name.notes)
    swapped = named.map({"A": "small", "B": "big"})
    by_size = segment_cards(customers, swapped, variables=["orders"], stability=measured)
    assert by_size.to_frame()["stability"]["small"] == jaccard["A"]
    assert any("matched by their sizes" in note for note in by_size.notes)
    with pytest.raises(cs.errors.DataError, match="that of other segments"):
        segment_cards(customers.iloc[:300], named.iloc[:300].reindex(customers.index[:300]),
                      variables=["orders"], stability=measured)  # fmt: skip


def test_what_is_not_known_is_said():
    customers, segments, _ = shoppers()
    bare = segment_cards(customers, segments, variables=["orders"]).to_markdown()
    for words in ("What its customers say was not", "What it is worth was not", "was not measured"):
        assert bare.count(words) == 2
    few = segments.where(segments == "Basic").fillna("Gold")
    few.iloc[:] = "Basic"
    few.iloc[:12] = "Gold"
    small = segment_cards(customers, few, variables=["orders"])
    assert "It has 12 customers only" in small.to_markdown()
    assert any("'Gold' has fewer than 30 customers" in note for note in small.notes)


def test_one_segment_and_segments_that_do_not_differ():
    customers, _, _ = shoppers()
    alone = segment_cards(customers, ["all"] * 400, variables=["orders"])
    assert "borderline" not in alone.to_frame()
    assert "Nothing stands out from the average." in alone.to_markdown()
    twins = segment_cards(customers, list("AB") * 200, variables=["orders"])
    assert twins.to_frame()["name"].tolist() == ["like the average (A)", "like the average (B)"]


@pytest.mark.parametrize("tell", TELLERS)
@pytest.mark.parametrize("segments", [["lone"] + ["rest"] * 399, ["lone"] + ["rest", "more"] * 199])
def test_a_segment_of_one_customer_has_nobody_in_between_and_says_why(tell, segments):
    customers = shoppers()[0].iloc[: len(segments)]
    found = tell(customers, segments, variables=["orders"])
    frame = found.to_frame()
    assert np.isnan(frame.loc["lone", "borderline"])
    assert frame.loc["rest", "borderline"] >= 0
    said = found.sentences.query("segment == 'lone'")["sentence"]
    assert said.str.startswith("Whether its only customer is borderline cannot be said").sum() == 1
    assert "It has 1 customer only" in found.to_markdown()


@pytest.mark.parametrize("tell", TELLERS)
def test_customers_without_a_value_are_counted_and_shares_are_of_the_others(tell):
    customers, segments, _ = shoppers()
    rich = customers["spend_2024"].where(customers.index.isin(customers.index[::8])).rename("worth")
    found = told(tell, value=rich)
    assert any("350 customers of 400 without a value" in note for note in found.notes)
    gold = segments == "Gold"
    known = rich.notna()
    assert cell(found, "Gold", "what it is worth", "share") == [gold[known].mean()]
    assert cell(found, "Gold", "what it is worth", "average") == [pytest.approx(rich.mean())]
    part = found.to_frame().loc["Gold", "value_share"]
    assert part == pytest.approx(rich[gold].sum() / rich.sum())
    words = found.to_markdown()
    assert words.count("of all who have a value") == 2
    assert words.count("of the customers who have a value") == 2
    assert cell(found, "Gold", "what we do not know", "gap")[0] == rich[gold].isna().mean()
    nobody = told(tell, value=rich.mask(gold))
    assert "worth is unknown for all of it." in nobody.to_markdown()
    assert not any("without a value" in note for note in told(tell).notes)


def test_a_value_below_zero_has_no_share():
    customers, _, _ = shoppers()
    found = told(value=customers["spend_2024"] - 300)
    assert "value_share" not in found.to_frame()
    assert cell(found, "Gold", "what it is worth", "part") == []


def test_the_brief_is_read():
    found = told(brief=cs.Brief(goal="sell more", success_metric="sales", min_share=0.4))
    assert "That is below the 40% that the brief asks for." in found.to_markdown()
    assert "That is at least the 40% that the brief asks for." in found.to_markdown()
    assert found.to_markdown().count("changes sales is a question for a test") == 2


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"value": "spnd"}, cs.errors.ColumnError, ["'spnd'", "the customer table"]),
        ({"value": "region"}, cs.errors.DataError, ["value must be", "numeric"]),
        ({"comments": 3}, cs.errors.DataError, ["comments must be"]),
        ({"comments": "remark"}, cs.errors.ColumnError, ["'remark'"]),
        ({"stability": {"Gold": 0.9}}, cs.errors.DataError, ["every segment", "'Basic'"]),
        ({"stability": {"Gold": 9, "Basic": 1}}, cs.errors.DataError, ["from 0 to 1"]),
        ({"brief": "sell"}, cs.errors.ParameterError, ["custseg.Brief"]),
        ({"names": {"Silver": "x"}}, cs.errors.ParameterError, ["'Silver'", "'Gold'"]),
        ({"level": 95}, cs.errors.ParameterError, ["level is 95"]),
        ({"weights": "weigt"}, cs.errors.ColumnError, ["'weigt'"]),
        ({"weights": [1.0, 2.0]}, cs.errors.DataError, ["weights has the shape (2,)"]),
        ({"weights": [0.0] + [1.0] * 399}, cs.errors.DataError, ["not above 0", "1 customer"]),
    ],
)
@pytest.mark.parametrize("tell", TELLERS)
def test_wrong_input_says_what_to_do(tell, change, error, words):
    with pytest.raises(error) as caught:
        told(tell, **change)
    for word in words:
        assert word in str(caught.value)
