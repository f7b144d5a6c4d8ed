"""Count how often shrunk intervals hold the truth, and alike segments are called unlike.

Run ``python benchmarks/segments.py``; ``--repeats`` sets the campaigns per row, ``--write`` stores
the tables. Nothing is timed.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from custseg.campaigns.heterogeneity import log_odds_test, q_test
from custseg.campaigns.shrinkage import shrunk_effects
from custseg.stats import Difference, newcombe, welch

RESULTS = Path(__file__).parent / "results"
SIZES = {
    "spend": [30, 60, 200],
    "conversion 10%": [100, 300, 1_000],
    "conversion 1%": [100, 300, 1_000],
}


def effects(
    rng: np.random.Generator, outcome: str, n: np.ndarray, spread: float
) -> tuple[np.ndarray, Difference]:
    """Return true effects of segments, and what a campaign finds."""
    if outcome == "spend":
        truth = rng.normal(0.3, spread, len(n))
        arms = [[rng.exponential(1, size) for size in n] for _ in range(2)]
        mean = np.array([[x.mean() for x in arm] for arm in arms])
        variance = np.array([[x.var(ddof=1) / len(x) for x in arm] for arm in arms])
        return truth, welch(mean[0], mean[1] + truth, *variance, n - 1, n - 1)
    base = 0.1 if "10%" in outcome else 0.01
    truth = np.clip(base * rng.normal(0.3, spread, len(n)), -0.9 * base, 0.5)
    control, treated = rng.binomial(n, base), rng.binomial(n, base + truth)
    low, high = newcombe(treated, n, control, n)
    effect = (treated - control) / n
    return truth, Difference(effect, effect, low, high, effect)


def coverage(repeats: int) -> Iterator[str]:
    """Yield the rows of coverage averaged over segments, and errors against raw effects."""
    for outcome, sizes in SIZES.items():
        for segments in (3, 8, 20):
            for spread in (0.0, 0.1, 0.5):
                rng = np.random.default_rng([segments, int(10 * spread), len(outcome)])
                hits, errors = [], []
                for _ in range(repeats):
                    truth, found = effects(rng, outcome, np.resize(sizes, segments), spread)
                    # everybody comes first, and is not looked at
                    columns = [np.concatenate([[0.0], part])[:, None] for part in found]
                    effect, low, high = (x[1:, 0] for x in shrunk_effects(Difference(*columns)))
                    hits.append(np.mean((low <= truth) & (truth <= high)))
                    errors.append([((x - truth) ** 2).mean() for x in (effect, found.effect)])
                shrunk, raw = np.mean(errors, axis=0)
                yield (
                    f"| {outcome} | {segments} | {spread:g} | {np.mean(hits):.1%} "
                    f"| {shrunk / raw:.2f} |"
                )


def levels(repeats: int) -> Iterator[str]:
    """Yield how often segments with one effect are called unlike at 5%."""
    for segments in (3, 8):
        for n in (30, 100, 200, 1_000):
            values = np.random.default_rng([segments, n]).normal(size=(2, repeats, segments, n))
            effect = values[1].mean(axis=-1) - values[0].mean(axis=-1)
            se = np.sqrt((values.var(axis=-1, ddof=1) / n).sum(axis=0))
            p = [q_test(*campaign).p_value for campaign in zip(effect, se, strict=True)]
            yield f"| Q, normal outcomes | {segments} | {n:,} | {np.mean(np.array(p) < 0.05):.1%} |"
        for n, base in ((300, 0.02), (1_000, 0.02), (300, 0.1)):
            rng = np.random.default_rng([segments, n, int(100 * base)])
            counts = rng.binomial(n, base, (2, repeats, segments)).astype(float)
            sizes = np.full(segments, float(n))
            p = [log_odds_test(t, sizes, c, sizes).p_value for c, t in zip(*counts, strict=True)]
            share = np.mean(np.array(p) < 0.05)
            yield f"| likelihood ratio, {base:.0%} convert | {segments} | {n:,} | {share:.1%} |"


def report(repeats: int) -> str:
    """Return the tables as Markdown."""
    head = (
        f"{repeats:,} campaigns per row. Segments have arms of 30, 60 and 200 customers in turn "
        "(spend), or 100, 300 and 1,000; true effects spread by a share of the unit, or of the "
        "base rate. Coverage of 95% intervals is averaged over segments; errors are mean squares."
    )
    lines = [
        "# Effects by segment: coverage and level",
        "",
        head,
        "",
        "| outcome | segments | spread | coverage | error over that of raw effects |",
        "| --- | --- | --- | --- | --- |",
        *coverage(repeats),
        "",
        "Alike segments called unlike at 5%, by customers per arm of a segment:",
        "",
        "| test | segments | customers | called unlike |",
        "| --- | --- | --- | --- |",
        *levels(repeats),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2_000, help="campaigns per row (2,000)")
    parser.add_argument("--write", action="store_true", help="store the tables")
    options = parser.parse_args()
    text = report(options.repeats)
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "segments.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
