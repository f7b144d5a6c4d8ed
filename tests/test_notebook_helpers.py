"""Figures in words, the shared set-up and the versions, as a notebook sees them."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import custseg as cs


def words(capsys: pytest.CaptureFixture[str]) -> str:
    cs.notebook.describe_figure()
    return capsys.readouterr().out.strip()


def test_bars_by_name_and_their_mean_height(capsys: pytest.CaptureFixture[str]) -> None:
    ax = plt.figure().subplots()
    ax.bar(["A", "B", "C"], [10.0, 20.0, 60.0])
    ax.set(xlabel="segment", ylabel="revenue", ylim=(0, 100), title="Revenue")
    assert words(capsys) == (
        'Figure with 1 panel. "Revenue"; x axis "segment" (A, B, C); '
        'y axis "revenue" from 0 to 100; 3 bars (mean 30.0).'
    )


def test_points_lines_and_what_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    ax = plt.figure().subplots()
    ax.scatter([1, 2, 3], [10, 20, np.nan], label="observed")
    ax.plot([0, 4], [5, 5], label="null")
    ax.plot([2, 2], [1, 3], "o")
    ax.set(xlim=(4, 0), ylim=(1, 100), yscale="log")
    ax.legend(title="which")
    assert words(capsys) == (
        "Figure with 1 panel. x axis from 4.00 to 0; y axis from 1.00 to 100 (log scale); "
        "1 line (mean x 2.00, mean y 5.00); 5 points (mean x 1.75, mean y 8.50); "
        "legend 'which': observed, null."
    )


def test_dates_are_written_as_dates(capsys: pytest.CaptureFixture[str]) -> None:
    ax = plt.figure().subplots()
    days = pd.date_range("2011-12-01", periods=9)
    ax.plot(days, np.arange(9.0))
    ax.set(xlim=(days[0], days[-1]), ylim=(0, 8))
    assert words(capsys) == (
        "Figure with 1 panel. x axis from 2011-12-01 to 2011-12-09; y axis from 0 to 8.00; "
        "1 line (mean x 2011-12-05, mean y 4.00)."
    )


def test_heat_map_with_its_colour_bar(capsys: pytest.CaptureFixture[str]) -> None:
    figure = plt.figure()
    ax = figure.subplots()
    mesh = ax.pcolormesh(np.array([[0.0, 1.0], [2.0, 5.0]]))
    ax.set_xticks([0.5, 1.5], ["old", "new"])
    figure.colorbar(mesh, label="share")
    text = words(capsys)
    assert "x axis (old, new)" in text
    assert "1 image (mean 2.00)" in text
    assert text.endswith('Colour bar: scale "share" from 0 to 5.00.')


def test_panels_are_numbered_and_hidden_ones_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    figure, axes = plt.subplots(1, 3)
    figure.suptitle("Two ways")
    axes[0].axhspan(0, 1)
    axes[0].axis("off")
    axes[1].vlines([1, 2], 0, 1)
    axes[1].fill_between([0.0, 2.0], [1.0, 1.0])
    axes[1].text(0.5, 0.5, "elbow\nhere")
    axes[2].set_visible(False)
    text = words(capsys)
    assert text.startswith('Figure with 2 panels "Two ways". Panel 1: 1 shape')
    assert "2 segments (mean x 1.50, mean y 0.500); 1 polygon" in text
    assert text.endswith("1 text: elbow here.")
    assert "Panel 3" not in text


def test_words_stand_on_one_line_and_show_dollars(capsys: pytest.CaptureFixture[str]) -> None:
    plt.bar([r"\$0", r"\$100"], [1, 2])
    plt.xlabel("spent\nlast year")
    assert words(capsys).startswith('Figure with 1 panel. x axis "spent last year" ($0, $100);')


def test_long_lists_of_names_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    plt.bar([f"city {number}" for number in range(20)], range(20))
    assert "city 10, city 11 and 8 more)" in words(capsys)


def test_other_data_give_other_words(capsys: pytest.CaptureFixture[str]) -> None:
    plt.plot([1, 2], [3, 4])
    before = words(capsys)
    plt.close()
    plt.plot([1, 2], [3, 4.02])
    assert words(capsys) != before


def test_noise_of_the_last_digits_gives_the_same_words(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(2, 50))
    plt.scatter(*xy)
    before = words(capsys)
    plt.close()
    plt.scatter(*(xy * (1 + 1e-13)))
    assert words(capsys) == before


def test_no_open_figure_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"before plt\.show\(\)"):
        cs.notebook.describe_figure()


def test_figure_given_outright(capsys: pytest.CaptureFixture[str]) -> None:
    cs.notebook.describe_figure(Figure())
    assert capsys.readouterr().out == "Figure with 0 panels.\n"


def test_setup_in_a_fresh_process() -> None:
    """In a process of its own, because it changes the options of every package."""
    code = """
import custseg as cs
assert cs.notebook.setup() is None
import matplotlib, numpy as np, pandas as pd, sklearn
from tqdm import tqdm
first = np.random.random()
cs.notebook.setup()
assert np.random.random() == first
cs.notebook.setup(seed=1)
assert np.random.random() != first
assert matplotlib.rcParams["figure.figsize"] == [7, 4]
assert matplotlib.rcParams["figure.dpi"] == 90
assert sklearn.get_config()["display"] == "text"
assert pd.get_option("display.precision") == 3
assert tqdm(range(3)).disable
import warnings
for category in (UserWarning, RuntimeWarning, FutureWarning):
    warnings.warn(f"{category.__name__} is still heard", category)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is still heard\n") == 3


def test_session_info_names_versions(capsys: pytest.CaptureFixture[str]) -> None:
    cs.notebook.session_info()
    lines = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert lines["custseg"] == cs.__version__
    assert lines["numpy"] == np.__version__
    assert lines["python"] == ".".join(map(str, sys.version_info[:3]))
