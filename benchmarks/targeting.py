"""Count how often the intervals of whom-to-target hold the truth planted in shops and elsewhere.

Run ``python benchmarks/targeting.py``; ``--seeds`` and ``--customers`` set the size of the study,
``--write`` stores the tables. Nothing is timed.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

import custseg as cs
from custseg.campaigns import Learner, effect_segments, policy_value, predict_effects

RESULTS = Path(__file__).parent / "results"
ARMS = ["control", "discount", "early_access"]
COST = {"discount": 1.0, "early_access": 2.0}
SIZES = (1_000, 10_000)
ROLES = {
    "outcome": "spend",
    "arm": "arm",
    "control": "control",
    "customer_id": "customer_id",
    "features": ["pre_spend", "age", "income_band", "region"],
    "strata": ["stratum"],
}


def policies(table: pd.DataFrame, truth: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return every value and pairwise difference with the truth of the policies themselves."""
    found = policy_value(
        table,
        **ROLES,
        segments=truth["segment"],
        budget=0.3,
        cost=COST,
        learner=Learner(random_state=seed),
    )
    effects = truth[["effect_discount", "effect_early_access"]] - list(COST.values())
    net = truth[["spend_control"]].to_numpy() + np.column_stack([np.zeros(len(truth)), effects])
    true = {
        name: (found.policies[name][ARMS].to_numpy() * net).sum(axis=1).mean()
        for name in found.table["policy"].unique()
    }
    values = found.table.assign(against="(value)", truth=found.table["policy"].map(true))
    pairs = found.differences.rename(columns={"difference": "value"})
    pairs["truth"] = pairs["policy"].map(true) - pairs["against"].map(true)
    return pd.concat([values, pairs])[
        ["policy", "against", "method", "value", "se", "ci_low", "ci_high", "truth"]
    ]


def tree(table: pd.DataFrame, truth: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the effects of effect-aware segments with the mean true effect of their customers."""
    found = effect_segments(table, **ROLES, learner=Learner(random_state=seed))
    known = found.segments.dropna()
    rows = found.to_frame().rename(columns={"effect": "value", "arm": "method"})
    rows["truth"] = [
        truth.loc[known.index[known == row.segment], f"effect_{row.method}"].mean()
        for row in rows.itertuples()
    ]
    rows["learned_off"] = rows["effect_learned"] - rows["truth"]
    return rows.assign(policy="effect-aware segments", against=f"{len(found.rules)} segments")


def true_effects(truth: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: truth[f"effect_{name}"] for name in ARMS[1:]})


def areas(table: pd.DataFrame, effects: pd.DataFrame, roles: dict, seed: int) -> pd.DataFrame:
    """Return areas and groups of predicted uplift with what they are on true effects by arm."""
    found = predict_effects(table, **roles, learner=Learner(random_state=seed))
    rows = []
    for row in found.to_frame().to_dict("records"):
        rank = (-found.predicted[row["arm"]]).rank(pct=True) - 0.5 / len(effects)
        for name, weight in (("auuc", 1 - rank), ("qini", 0.5 - rank)):
            part = {"value": row[name], "se": row[f"{name}_se"], "method": row["method"]}
            part |= {"ci_low": row[f"{name}_low"], "ci_high": row[f"{name}_high"]}
            part["truth"] = float((weight * effects[row["arm"]]).mean())
            rows.append(part | {"policy": name, "against": row["arm"]})
    groups = found.gates.rename(columns={"arm": "against", "effect": "value"})
    groups["truth"] = [
        effects.loc[np.ceil(5 * (-found.predicted[arm]).rank(pct=True)) == group, arm].mean()
        for arm, group in zip(groups["against"], groups["group"], strict=True)
    ]
    groups = groups.assign(policy="groups", method="dr").drop(columns=["group", "n", "predicted"])
    return pd.concat([pd.DataFrame(rows), groups], ignore_index=True)


def alike(table: pd.DataFrame, effects: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the campaign as it would have been had each arm the same effect on everybody."""
    mean = pd.DataFrame(dict(effects.mean()), effects.index)
    more = (mean - effects).assign(control=0.0).stack()
    got = more.loc[pd.MultiIndex.from_frame(table[["customer_id", "arm"]])].to_numpy()
    return table.assign(spend=table["spend"] + got), mean


def drawn(n: int, seed: int, slope: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a campaign that is no shop: skewed outcomes, unequal arms, effects along a line."""
    rng = np.random.default_rng([n, seed])
    table = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x1", "x2", "x3"])
    table["arm"] = rng.choice(["control", "mail"], n, p=[0.4, 0.6])
    effect = 0.2 + slope * table["x1"]
    noise = rng.gamma(1, 2, n) + 2 * np.exp(table["x2"] / 2)
    table["spend"] = noise + effect * (table["arm"] == "mail")
    return table.rename_axis("customer_id").reset_index(), pd.DataFrame({"mail": effect})


def rankings(seed: int, table: pd.DataFrame, effects: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the areas of the shop, of one without heterogeneity, and of other campaigns."""
    n = f"{len(table):,} customers"
    found = [
        areas(table, effects, ROLES, seed).assign(part=f"Uplift, shops of {n}"),
        areas(*alike(table, effects), ROLES, seed).assign(
            part=f"Uplift, shops of {n}, one effect for all"
        ),
    ]
    roles = {**ROLES, "features": ["x1", "x2", "x3"], "strata": []}
    for size in SIZES:
        for slope, words in ((0.3, "other campaigns"), (0.0, "one effect for all")):
            part = areas(*drawn(size, seed, slope), roles, seed)
            found.append(part.assign(part=f"Uplift, {words}, {size:,} customers"))
    return found


def study(seeds: Iterable[int], customers: int) -> pd.DataFrame:
    rows = []
    for seed in seeds:
        shop = cs.datasets.make_shop(customers, random_state=seed)
        table = shop.campaign.merge(shop.customers, on="customer_id")
        truth = shop.truth.set_index("customer_id").sort_index()
        parts = [
            policies(table, truth, seed).assign(part="Policies"),
            tree(table, truth, seed).assign(part="Effect-aware segments"),
            *rankings(seed, table, true_effects(truth)),
        ]
        rows += [part.assign(seed=seed, level=truth["spend_control"].mean()) for part in parts]
    return pd.concat(rows, ignore_index=True)


def judged(found: pd.DataFrame) -> pd.DataFrame:
    """Return whether each interval holds the truth, and how many standard errors it is off."""
    found = found.copy()
    # intervals of values are for all customers like these: what they spend anyway is that of all
    of_all = found.groupby("seed")["level"].first().mean()
    value = found["against"] == "(value)"
    found.loc[value, "truth"] += of_all - found.loc[value, "level"]
    # a policy that is the same as the other has a difference of exactly 0
    found["covered"] = (found["ci_low"] <= found["truth"] + 1e-9) & (
        found["truth"] - 1e-9 <= found["ci_high"]
    )
    found["z"] = ((found["value"] - found["truth"]) / found["se"]).where(found["se"] > 0)
    return found


def spread(table: pd.DataFrame, kind: str, rows: pd.Series) -> str:
    own = table[rows]
    return (
        f"| {kind} | {len(own)} | {own['coverage'].min():.1%} | {own['coverage'].mean():.1%} | "
        f"{own['coverage'].max():.1%} | {own['sd_of_z'].min():.2f} to {own['sd_of_z'].max():.2f} |"
    )


def overview(table: pd.DataFrame) -> list[str]:
    """Return for each kind of interval the lowest, mean and highest coverage."""
    table = table.reset_index()
    lines = ["| 95% intervals of | kinds | lowest | mean | highest | sd of z |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    values, pairs = table["against"] == "(value)", table["part"] == "Policies"
    for method in ("dr", "ipw"):
        own = table["method"] == method
        lines.append(spread(table, f"values of policies, {method}", values & own))
        lines.append(spread(table, f"differences of policies, {method}", pairs & ~values & own))
    for name in ("auuc", "qini", "groups"):
        for method in ("dr", "ipw") if name != "groups" else ("dr",):
            own = (table["policy"] == name) & (table["method"] == method)
            lines.append(spread(table, f"{name}, {method}", own))
    return [*lines, ""]


def report(found: pd.DataFrame, customers: int) -> str:
    groups = found.groupby(["part", "policy", "against", "method"], sort=False)
    table = groups.agg(n=("covered", "size"), coverage=("covered", "mean"), sd_of_z=("z", "std"))
    n = found["seed"].nunique()
    head = (
        f"{n} shops of {customers:,} customers (`make_shop`), and as many of each other campaign; "
        f"custseg {version('custseg')}, numpy {np.__version__}. Two standard errors of a coverage "
        f"of 95% are {2 * (0.95 * 0.05 / n) ** 0.5:.1%}. Values are held against what all "
        "customers like those drawn would bring, everything else against the customers drawn."
    )
    lines = ["# Whom to target: how often 95% intervals hold the planted truth", "", head, ""]
    lines += overview(table)
    for part, rows in table.groupby(level="part", sort=False):
        lines += [f"## {part}", "", "| | | method | n | coverage | sd of z |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        for (_, *names), row in zip(rows.index, rows.itertuples(), strict=True):
            cells = [*names, str(row.n), f"{row.coverage:.1%}", f"{row.sd_of_z:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    held = found.loc[found["part"] == "Effect-aware segments", "covered"]
    lines.append(
        f"Of {len(held):,} effects in effect-aware segments {held.mean():.1%} are covered. On the "
        f"half that learned the tree they are {found['learned_off'].mean():+.2f} off on average."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = report(judged(study(range(options.seeds), options.customers)), options.customers)
    print(text)
    if options.write:
        (RESULTS / "targeting.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
