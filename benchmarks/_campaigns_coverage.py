"""What 95% intervals of campaign metrics cover, on campaigns whose effects are known."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from custseg.campaigns import Mean, Proportion, Quantile, Rank, Ratio
from custseg.campaigns._moments import Moments

_VALUES = 4_000_000  # drawn at once


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


def skewed(sigma: float) -> Callable[..., np.ndarray]:
    """Return lognormal values, 20% larger in the second arm."""

    def draw(rng: np.random.Generator, shape: tuple[int, int], arm: int) -> np.ndarray:
        return rng.lognormal(0, sigma, (*shape, 1)) * (1 + 0.2 * arm)

    return draw


def cases() -> list[tuple[str, Any, tuple[int, int], Callable[..., np.ndarray], list[int], Any]]:
    """Return name, metric, sizes, draw, columns and the true value of control and treatment."""
    found: list[Any] = []
    for shares, sizes in [
        ((0.001, 0.001), (1_000, 1_000)),
        ((0.01, 0.015), (1_000, 500)),
        ((0.05, 0.08), (200, 200)),
        ((0.1, 0.12), (1_000, 250)),
    ]:
        what = f"conversion {shares[0]:.1%} against {shares[1]:.1%}"
        for interval in ("newcombe", "miettinen_nurminen", "agresti_caffo", "wald"):
            metric = Proportion("y", interval=interval)
            found.append((what, interval, metric, sizes, rare(shares), [0], shares))
        metric = Proportion("y", covariate="x")
        found.append((what, "adjusted", metric, sizes, rare(shares), [0, 1], shares))
    for buyers, spread, sizes in [
        (0.1, 1.0, (1_000, 1_000)),
        (0.1, 1.0, (1_000, 250)),
        (0.02, 1.0, (3_000, 3_000)),
        (0.02, 1.0, (3_000, 500)),
        (0.02, 1.5, (2_000, 2_000)),
    ]:
        what = f"spend, {buyers:.0%} buy, basket sigma {spread:g}"
        truth, draw = mean_money(buyers, spread), money(buyers, spread)
        ratio = truth[0] / (2 * buyers), truth[1] / (2 * buyers)
        found.append((what, "Welch", Mean("y"), sizes, draw, [0], truth))
        found.append((what, "CUPED", Mean("y", covariate="x"), sizes, draw, [0, 2], truth))
        bootstrap = Mean("y", test="bootstrap")
        found.append((what, "bootstrap", bootstrap, sizes, draw, [0], truth))
        found.append((what, "Ratio", Ratio("y", "n"), sizes, draw, [0, 1], ratio))
        adjusted = Ratio("y", "n", covariate="x")
        found.append((what, "Ratio, CUPED", adjusted, sizes, draw, [0, 1, 2], ratio))
    for sizes, q in [((50, 50), 0.5), ((200, 100), 0.5), ((200, 100), 0.9), ((1_000, 300), 0.99)]:
        value = float(np.exp(stats.norm.ppf(q)))
        truth = value, 1.2 * value
        metric = Quantile("y", q)
        found.append(("lognormal", f"quantile {q}", metric, sizes, skewed(1.0), [0], truth))
    above = 0.5, float(stats.norm.cdf(np.log(1.2) / np.sqrt(2)))
    found.append(("lognormal", "Mann-Whitney", Rank("y"), (50, 30), skewed(1.0), [0], above))
    return found


def alone(given: Moments, r: int) -> Moments:
    """Return one campaign of many."""
    n, mean, cross = (part[r : r + 1] for part in given[:3])
    return Moments(n, mean, cross, None if given.third is None else given.third[r : r + 1])


def warns(metric: Any, given: Moments) -> bool:
    """Say whether the notes of a campaign doubt its interval of the difference."""
    notes = [note for note in metric.remarks("m", given) if "relative effect" not in note]
    return any("cover less" in note or "covers less" in note or "poor" in note for note in notes)


def covered(case: Any, simulations: int, seed: int) -> dict[str, Any]:
    """Return what the absolute and the relative interval cover, and how often there is a note."""
    what, name, metric, sizes, draw, columns, truth = case
    if name == "bootstrap":
        simulations //= 10
    rng = np.random.default_rng(seed)
    batch = max(1, min(simulations, _VALUES // sum(sizes) // len(columns)))
    inside, relative, warned, answered, ratio_known = [], [], [], [], []
    for start in range(0, simulations, batch):
        size = min(batch, simulations - start)
        arms = [draw(rng, (size, n), a)[..., columns] for a, n in enumerate(sizes)]
        given = moments(arms, metric.third, rows=metric.reads_rows)
        compared = metric.compare(given)
        for part, of, right in (
            (inside, compared.difference, truth[1] - truth[0]),
            (relative, compared.relative, truth[1] / truth[0] - 1),
        ):
            part.append(((of.ci_low <= right) & (right <= of.ci_high))[:, 0])
        answered.append(~np.isnan(compared.difference.ci_low[:, 0]))
        ratio_known.append(~np.isnan(compared.relative.ci_low[:, 0]))
        warned.append(np.array([warns(metric, alone(given, r)) for r in range(size)]))
    inside, relative, warned, answered, ratio_known = map(
        np.concatenate, (inside, relative, warned, answered, ratio_known)
    )
    return {
        "what": what,
        "name": name,
        "sizes": sizes,
        "simulations": simulations,
        "coverage": float(inside[answered].mean()),
        "relative": float(relative[ratio_known].mean()),
        "warned": float(warned.mean()),
        "quiet": float(inside[answered & ~warned].mean()) if (answered & ~warned).any() else None,
    }


def table(simulations: int) -> str:
    """Return a table of coverage, and what falls short of 93.5% without a warning."""
    rows = [covered(case, simulations, seed) for seed, case in enumerate(cases())]
    lines = "\n".join(
        f"| {row['what']} | {row['sizes'][0]:,} / {row['sizes'][1]:,} | {row['name']} "
        f"| {row['coverage']:.1%} | {row['warned']:.0%} "
        f"| {'' if row['quiet'] is None else format(row['quiet'], '.1%')} | {row['relative']:.1%} |"
        for row in rows
    )
    short = [
        f"{row['name']} of {row['what']} ({row['sizes'][0]:,} / {row['sizes'][1]:,})"
        for row in rows
        if row["coverage"] < 0.935 - 2 * np.sqrt(0.935 * 0.065 / row["simulations"])
        and row["warned"] < 0.5
    ]
    verdict = "None" if not short else "; ".join(short)
    return f"""## What 95% intervals cover

{simulations:,} simulated campaigns each, a tenth of that for bootstrapped means; two arms.
"Warned" is the share whose notes doubt the interval; "quiet" the coverage of the others. Above 95%
is caution that rare events force on any interval that keeps its promise. The relative interval is
the delta method's, of a quantile the bootstrap's.

| outcome | control / treatment | interval | coverage | warned | quiet | relative |
| --- | ---: | --- | ---: | ---: | ---: | ---: |
{lines}

Below 93.5% by more than two simulation errors without a warning in most campaigns: {verdict}."""
