"""Count how often the intervals of whom-to-target hold the truth planted in the shop.

Run ``python benchmarks/targeting.py``; ``--seeds`` and ``--customers`` set the size of the study,
``--write`` stores the tables. Nothing is timed.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

import custseg as cs
from custseg.campaigns import Learner, effect_segments, policy_value, predict_effects

RESULTS = Path(__file__).parent / "results"
ARMS = ["control", "discount", "early_access"]
COST = {"discount": 1.0, "early_access": 2.0}
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


def areas(table: pd.DataFrame, truth: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return AUUC and Qini with what they are on the true effects."""
    found = predict_effects(table, **ROLES, learner=Learner(random_state=seed))
    rows = []
    for row in found.to_frame().to_dict("records"):
        effect = truth[f"effect_{row['arm']}"].to_numpy()
        rank = (-found.predicted[row["arm"]]).rank(pct=True).to_numpy() - 0.5 / len(effect)
        for name, weight in (("auuc", 1 - rank), ("qini", 0.5 - rank)):
            rows.append(
                {
                    "policy": name,
                    "against": row["arm"],
                    "method": row["method"],
                    "value": row[name],
                    "se": row[f"{name}_se"],
                    "ci_low": row[f"{name}_low"],
                    "ci_high": row[f"{name}_high"],
                    "truth": float((weight * effect).mean()),
                }
            )
    return pd.DataFrame(rows)


def study(seeds: int, customers: int) -> pd.DataFrame:
    rows = []
    for seed in range(seeds):
        shop = cs.datasets.make_shop(customers, random_state=seed)
        table = shop.campaign.merge(shop.customers, on="customer_id")
        truth = shop.truth.set_index("customer_id").sort_index()
        rows += [
            part(table, truth, seed).assign(seed=seed, part=part.__name__)
            for part in (policies, tree, areas)
        ]
    found = pd.concat(rows, ignore_index=True)
    # a policy that is the same as the other has a difference of exactly 0
    found["covered"] = (found["ci_low"] <= found["truth"] + 1e-9) & (
        found["truth"] - 1e-9 <= found["ci_high"]
    )
    found["z"] = ((found["value"] - found["truth"]) / found["se"]).where(found["se"] > 0)
    return found


def report(found: pd.DataFrame, customers: int) -> str:
    groups = found.groupby(["part", "policy", "against", "method"], sort=False)
    table = groups.agg(n=("covered", "size"), coverage=("covered", "mean"), sd_of_z=("z", "std"))
    n = found["seed"].nunique()
    head = (
        f"{n} shops of {customers:,} customers (`make_shop`), custseg {version('custseg')}, numpy "
        f"{np.__version__}. Two standard errors of a coverage of 95% are "
        f"{2 * (0.95 * 0.05 / n) ** 0.5:.1%}."
    )
    lines = ["# Whom to target: how often 95% intervals hold the planted truth", "", head, ""]
    for part, rows in table.groupby(level="part", sort=False):
        lines += [f"## {part}", "", "| | | method | n | coverage | sd of z |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        for (_, *names), row in zip(rows.index, rows.itertuples(), strict=True):
            cells = [*names, str(row.n), f"{row.coverage:.1%}", f"{row.sd_of_z:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    off = found["learned_off"].mean()
    lines.append(f"On the half that learned the tree, effects are {off:+.2f} off on average.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = report(study(options.seeds, options.customers), options.customers)
    print(text)
    if options.write:
        (RESULTS / "targeting.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
