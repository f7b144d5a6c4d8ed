"""What 95% intervals of campaign metrics cover, on campaigns whose effects are known."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from custseg.campaigns import Mean, Proportion, Quantile, Rank, Ratio, metrics
from custseg.campaigns._moments import Moments
from custseg.campaigns.metrics import INTERVALS
from custseg.stats import bootstrap_difference

TITLE = "## What 95% intervals cover"
_VALUES = 4_000_000  # drawn at once
_RESAMPLES = 1_000  # of means, where the metric takes 10,000
_LEAST = 0.935
_WAYS = ("delta", "log", "fieller")
metrics.bootstrap_difference = partial(bootstrap_difference, n_resamples=_RESAMPLES)


def moments(arms: list[np.ndarray], third: int, *, rows: bool) -> Moments:
    """Return sufficient statistics of many campaigns, (campaigns, customers, columns) per arm."""
    n, mean, cross, cubes = [], [], [], []
    for values in arms:
        centre = values.mean(axis=1, keepdims=True)
        away = values - centre
        lead = away[..., :third]
        n.append(np.full(len(values), float(values.shape[1])))
        mean.append(centre[:, 0])
        cross.append(np.einsum("rni,rnj->rij", away, away))
        cubes.append(np.einsum("rni,rnj,rnk->rijk", lead, lead, lead, optimize=True))
    stacked = [np.stack(part, axis=1) for part in (n, mean, cross)]
    return Moments(
        *stacked,
        third=np.stack(cubes, axis=1) if third else None,
        groups=tuple(f"campaign {r}" for r in range(len(arms[0]))),
        values=[[arm[r] for arm in arms] for r in range(len(arms[0]))] if rows else None,
    )


def rare(share: tuple[float, float]) -> Callable[..., np.ndarray]:
    """Return conversions with a share per arm, and a covariate that tells a little."""

    def draw(rng: np.random.Generator, shape: tuple[int, int], arm: int) -> np.ndarray:
        taste = rng.exponential(1, shape)
        return np.stack([rng.random(shape) < share[arm] * taste, taste], axis=-1).astype(float)

    return draw


def money(buyers: float, spread: float) -> Callable[..., np.ndarray]:
    """Return spend of which most is 0, 20% more in the second arm; orders, and a covariate."""

    def draw(rng: np.random.Generator, shape: tuple[int, int], arm: int) -> np.ndarray:
        taste = rng.lognormal(0, spread / 2, shape)
        orders = (rng.random(shape) < buyers) * (1.0 + rng.poisson(1, shape))
        basket = rng.lognormal(0, spread, shape)
        return np.stack([orders * basket * taste * (1 + 0.2 * arm), orders, taste], axis=-1)

    return draw


def mean_money(buyers: float, spread: float) -> tuple[float, float]:
    base = buyers * 2 * np.exp(spread**2 / 2) * np.exp(spread**2 / 8)
    return base, 1.2 * base


def skewed(sigma: float, lift: float = 0.2) -> Callable[..., np.ndarray]:
    """Return lognormal values, larger in the second arm."""

    def draw(rng: np.random.Generator, shape: tuple[int, int], arm: int) -> np.ndarray:
        return rng.lognormal(0, sigma, (*shape, 1)) * (1 + lift * arm)

    return draw


class Case(NamedTuple):
    """A campaign to simulate: metric, customers, outcomes, truth, and its relative intervals."""

    what: str
    name: str
    metric: Any
    sizes: tuple[int, int]
    draw: Callable[..., np.ndarray]
    columns: list[int]
    truth: tuple[float, float]  # of control and treatment
    ways: tuple[str, ...] = ()


def cases() -> list[Case]:
    found = []
    for shares, sizes in [
        ((0.001, 0.001), (1_000, 1_000)),
        ((0.001, 0.001), (2_000, 200)),
        ((0.01, 0.015), (1_000, 500)),
        ((0.05, 0.08), (200, 200)),
        ((0.05, 0.035), (3_000, 300)),
        ((0.1, 0.12), (1_000, 250)),
    ]:
        what = f"conversion {shares[0]:.1%} against {shares[1]:.1%}"
        for interval in INTERVALS:
            ways = (*_WAYS, "score") if interval == "newcombe" else ()
            metric = Proportion("y", interval=interval)
            found.append(Case(what, interval, metric, sizes, rare(shares), [0], shares, ways))
        metric = Proportion("y", covariate="x")
        found.append(Case(what, "adjusted", metric, sizes, rare(shares), [0, 1], shares, _WAYS))
    for buyers, spread, sizes in [
        (0.1, 1.0, (1_000, 1_000)),
        (0.1, 1.0, (1_000, 250)),
        (0.02, 1.0, (3_000, 3_000)),
        (0.02, 1.0, (3_000, 500)),
        (0.02, 1.5, (2_000, 2_000)),
        (0.3, 0.5, (2_000, 1_000)),
    ]:
        what = f"spend, {buyers:.0%} buy, basket sigma {spread:g}"
        truth, draw = mean_money(buyers, spread), money(buyers, spread)
        ratio = truth[0] / (2 * buyers), truth[1] / (2 * buyers)
        found += [
            Case(what, "Welch", Mean("y"), sizes, draw, [0], truth, _WAYS),
            Case(what, "CUPED", Mean("y", covariate="x"), sizes, draw, [0, 2], truth, _WAYS),
            Case(what, "bootstrap", Mean("y", test="bootstrap"), sizes, draw, [0], truth),
            Case(what, "Ratio", Ratio("y", "n"), sizes, draw, [0, 1], ratio, _WAYS),
        ]
        adjusted = Ratio("y", "n", covariate="x")
        found.append(Case(what, "Ratio, CUPED", adjusted, sizes, draw, [0, 1, 2], ratio, _WAYS))
    for sizes, q in [
        ((50, 50), 0.5),
        ((200, 100), 0.5),
        ((200, 100), 0.9),
        ((2_000, 60), 0.9),
        ((1_000, 300), 0.99),
    ]:
        value = float(np.exp(stats.norm.ppf(q)))
        truth, metric = (value, 1.2 * value), Quantile("y", q)
        name = f"quantile {q}"
        found.append(Case("lognormal", name, metric, sizes, skewed(1.0), [0], truth, ("own",)))
    for sizes, lift in [((50, 30), 0.2), ((15, 10), 0.2), ((400, 20), 0.2), ((300, 10), 3.5)]:
        above = 0.5, float(stats.norm.cdf(np.log(1 + lift) / np.sqrt(2)))
        what, draw = f"lognormal, {lift:+.0%}", skewed(1.0, lift)
        found.append(Case(what, "Rank", Rank("y"), sizes, draw, [0], above))
    return found


def alone(given: Moments, r: int) -> Moments:
    """Return one campaign of many."""
    n, mean, cross = (part[r : r + 1] for part in given[:3])
    third = None if given.third is None else given.third[r : r + 1]
    return Moments(n, mean, cross, third, values=given.values and given.values[r : r + 1])


def doubts(metric: Any, given: Moments) -> tuple[bool, bool]:
    """Say whether the notes doubt the interval of the difference, and the one of the ratio."""
    words = ("cover less", "covers less", "poor")
    notes = [note for note in metric.remarks("m", given) if any(word in note for word in words)]
    own = ("Wald", "nurminen interval may", "newcombe interval may")
    return (
        any("relative effect" not in note for note in notes),
        any(not any(word in note for word in own) for note in notes),
    )


class Count:
    """How often an interval holds the truth, how often a note doubts it, and how often it is there.

    Intervals that are missing count in nothing.
    """

    def __init__(self) -> None:
        self.held: list[np.ndarray] = []
        self.quiet: list[np.ndarray] = []

    def add(self, interval: Any, truth: float, doubted: np.ndarray) -> None:
        low, high = interval.ci_low[:, 0], interval.ci_high[:, 0]
        there = ~np.isnan(low)
        self.held.append(((low <= truth) & (truth <= high))[there])
        self.quiet.append(~doubted[there])

    def numbers(self) -> dict[str, float]:
        held, quiet = np.concatenate(self.held), np.concatenate(self.quiet)
        coverage = held[quiet].mean() if quiet.any() else np.nan
        return {
            "coverage": held.mean(),
            "warned": 1 - quiet.mean(),
            "quiet": coverage,
            "short": coverage < _LEAST - 2 * np.sqrt(_LEAST * (1 - _LEAST) / max(quiet.sum(), 1)),
        }


def covered(case: Case, simulations: int, seed: int) -> dict[str, dict[str, float]]:
    """Return what the interval of the difference covers, and each interval of the relative effect.

    Of bootstrapped means a fifth of the campaigns is simulated.
    """
    metric, sizes = case.metric, case.sizes
    if getattr(metric, "test", "") == "bootstrap":
        simulations //= 5
    rng = np.random.default_rng(seed)
    batch = max(1, min(simulations, _VALUES // sum(sizes) // len(case.columns)))
    counts = {way: Count() for way in ("difference", *case.ways)}
    for start in range(0, simulations, batch):
        size = min(batch, simulations - start)
        arms = [case.draw(rng, (size, n), a)[..., case.columns] for a, n in enumerate(sizes)]
        given = moments(arms, metric.third, rows=metric.reads_rows)
        single = [alone(given, r) for r in range(size)]
        control, treatment = case.truth
        compared = metric.compare(given)
        doubted = np.array([doubts(metric, one)[0] for one in single])
        counts["difference"].add(compared.difference, treatment - control, doubted)
        for way in case.ways:
            asked = metric if way == "own" else replace(metric, relative=way)
            relative = (compared if way == "own" else asked.compare(given)).relative
            doubted = np.array([doubts(asked, one)[1] for one in single])
            counts[way].add(relative, treatment / control - 1, doubted)
    return {way: count.numbers() for way, count in counts.items()}


def table(simulations: int) -> str:
    """Return tables of coverage, and what falls short of 93.5% without a warning."""
    rows = [(case, covered(case, simulations, seed)) for seed, case in enumerate(cases())]
    differences, relatives, short = [], [], []
    for case, found in rows:
        start = f"| {case.what} | {case.sizes[0]:,} / {case.sizes[1]:,} | {case.name} |"
        for way, numbers in found.items():
            line = " | ".join(_share(numbers[name]) for name in ("coverage", "warned", "quiet"))
            if way == "difference":
                differences.append(f"{start} {line} |")
            else:
                relatives.append(f"{start} {'bootstrap' if way == 'own' else way} | {line} |")
            if numbers["short"]:
                who = f"{case.name}, {way}, {case.what} ({case.sizes[0]:,} / {case.sizes[1]:,})"
                short.append((numbers["warned"], f"{who}: {numbers['quiet']:.1%}"))
    often = [words for warned, words in short if warned < 0.5]
    seldom = [f"{words}, {warned:.0%} warned" for warned, words in short if warned >= 0.5]
    differences, relatives = "\n".join(differences), "\n".join(relatives)
    return f"""

{simulations:,} simulated campaigns each, a fifth of that for bootstrapped means ({_RESAMPLES:,}
resamples); two arms. "Warned" is the share whose notes doubt the interval; "quiet" the coverage of
the others. Above 95% is caution that rare events force on any interval that keeps its promise.

### Of the difference

| outcome | control / treatment | interval | coverage | warned | quiet |
| --- | ---: | --- | ---: | ---: | ---: |
{differences}

### Of the relative effect

Missing where control is 0, on the logarithmic scale also where treatment is; Koopman's score
interval has only one end then.

| outcome | control / treatment | metric | interval | coverage | warned | quiet |
| --- | ---: | --- | --- | ---: | ---: | ---: |
{relatives}

Quiet coverage below 93.5% by more than two of its own simulation errors, where most campaigns are
quiet: {"; ".join(often) or "none"}.

The same where most are warned, and those few are quiet in which chance hides the reason:
{"; ".join(seldom) or "none"}."""


def _share(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.1%}"
