import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from custseg.datasets import Shop, make_shop
from custseg.datasets._campaign import assign_arms
from custseg.datasets._planted import ATTITUDES

DAYS = 731
OFFERS = ("discount", "early_access")


def counts(frame: pd.DataFrame, name: str, ids: pd.Index) -> pd.DataFrame:
    table = pd.crosstab(frame["customer_id"], frame[name]).reindex(ids, fill_value=0)
    share = table.div(table.sum(axis=1), axis=0)
    return table.add_prefix(f"n_{name}_").join(share.add_prefix(f"share_{name}_"))


def transaction_columns(lines: pd.DataFrame, ids: pd.Index) -> pd.DataFrame:
    bought = lines[lines["quantity"] > 0]
    by = bought.groupby("customer_id")
    end = pd.Timestamp("2024-12-31")
    table = pd.DataFrame(
        {
            "recency": (end - by["timestamp"].max()).dt.days,
            "tenure": (end - by["timestamp"].min()).dt.days,
            "orders": by["order_id"].nunique(),
            "lines": by.size(),
            "units": by["quantity"].sum(),
            "monetary": by["amount"].sum(),
            "price": by["unit_price"].mean(),
            "discount": by["discount"].mean(),
            "hour": bought["timestamp"].dt.hour.groupby(bought["customer_id"]).mean(),
            "discounted": (bought["discount"] > 0).groupby(bought["customer_id"]).mean(),
            "premium": bought["product"]
            .str.startswith("Premium")
            .groupby(bought["customer_id"])
            .mean(),
            "returns": lines[lines["quantity"] < 0].groupby("customer_id").size(),
            "net": lines.groupby("customer_id")["amount"].sum(),
        }
    ).reindex(ids)
    table["order_value"] = table["monetary"] / table["orders"]
    table["lines_per_order"] = table["lines"] / table["orders"]
    table["orders_a_day"] = table["orders"] / table["tenure"].clip(lower=30)
    amounts = ["orders", "lines", "units", "monetary", "returns", "net"]
    table[amounts] = table[amounts].fillna(0)
    return table.join(counts(bought, "category", ids)).join(counts(bought, "channel", ids))


def customer_table(shop: Shop) -> dict[str, pd.DataFrame]:
    """Build the table that anybody would build, by family."""
    people = shop.customers.set_index("customer_id")
    ids = people.index
    nominal = ["gender", "household", "region", "acquisition_channel"]
    attributes = pd.get_dummies(people[nominal], dtype=float).assign(
        age=people["age"],
        income=people["income_band"].cat.codes,
        member_for=(pd.Timestamp("2024-12-31") - people["sign_up"]).dt.days,
    )
    events = shop.touchpoints
    both = events.assign(touch_channel=events["touchpoint"] + " " + events["channel"])
    journey = pd.concat(
        [counts(both, name, ids) for name in ("touchpoint", "channel", "touch_channel", "stage")],
        axis=1,
    )
    survey = shop.survey.set_index("customer_id").select_dtypes("number")
    for name in ATTITUDES:
        items = survey[[f"{name}_{number}" for number in (1, 2, 3)]].sum(axis=1)
        survey[f"{name}_scale"] = items - survey[f"{name}_4"]
    survey["responded"] = 1.0
    survey = survey.reindex(ids)
    survey["responded"] = survey["responded"].fillna(0)
    return {
        "attributes": attributes,
        "transactions": transaction_columns(shop.transactions, ids),
        "journey": journey,
        "survey": survey,
    }


def cross_validated(table: pd.DataFrame, segment: pd.Series) -> tuple[float, pd.Series]:
    """Return the accuracy and the AUC of each segment, for held-out customers."""
    model = make_pipeline(
        SimpleImputer(strategy="median"),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=2_000),
    )
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    chance = cross_val_predict(
        model, table.to_numpy(), segment.to_numpy(), cv=folds, method="predict_proba"
    )
    names = np.unique(segment)
    auc = {name: roc_auc_score(segment == name, chance[:, i]) for i, name in enumerate(names)}
    return float((names[chance.argmax(axis=1)] == segment).mean()), pd.Series(auc)


@pytest.mark.parametrize("random_state", [0, 1, 2])
def test_no_single_column_tells_any_segment_apart(random_state):
    shop = make_shop(5_000, random_state=random_state)
    table = pd.concat(customer_table(shop), axis=1)
    segment = shop.truth.set_index("customer_id")["segment"]
    assert table.shape[1] > 140
    worst = {}
    for column in table:
        known = table[column].dropna()
        ranks = known.rank().groupby(segment[known.index]).agg(["mean", "size"])
        # Mann and Whitney's U over the number of pairs is the area under the ROC curve.
        rest = len(known) - ranks["size"]
        auc = (ranks["mean"] - (ranks["size"] + 1) / 2) / rest
        worst |= {(column, name): max(area, 1 - area) for name, area in auc.items()}
    assert len(worst) == 6 * table.shape[1]
    assert max(worst.values()) < 0.9, max(worst, key=worst.get)


def test_two_families_together_tell_what_one_cannot(made):
    families = customer_table(made)
    segment = made.truth.set_index("customer_id")["segment"]
    answered = families["survey"]["responded"] == 1
    alone = {
        name: cross_validated(table[answered], segment[answered])[0]
        for name, table in families.items()
    }
    everything = pd.concat(families, axis=1)
    accuracy, auc = cross_validated(everything[answered], segment[answered])
    assert accuracy > 0.87
    assert auc.min() > 0.97
    assert max(alone.values()) < 0.8
    assert accuracy > max(alone.values()) + 0.1

    accuracy, auc = cross_validated(everything, segment)
    assert accuracy > 0.78
    assert auc.min() > 0.95


def test_segments_have_the_sizes_of_a_market(made):
    share = made.truth["segment"].value_counts(normalize=True)
    assert len(share) == 6
    assert share.between(0.08, 0.30).all()


def test_purchases_are_poisson_at_the_true_rate(big):
    """Those active all the time: the total, and the spread around each person's own rate."""
    truth = big.truth.merge(big.customers[["customer_id", "sign_up"]])
    always = truth[(truth["sign_up"] < "2023-01-01") & truth["dropout"].isna()]
    bought = big.transactions.query("quantity > 0").groupby("customer_id")["order_id"].nunique()
    orders = always["customer_id"].map(bought).fillna(0)
    expected = always["purchase_rate"] * DAYS / 365
    assert abs((orders.sum() - expected.sum()) / np.sqrt(expected.sum())) < 3.5
    pearson = ((orders - expected) ** 2 / expected).sum()
    assert 0.0005 < stats.chi2(len(always)).cdf(pearson) < 0.9995


def test_drop_out_is_exponential_at_the_true_rate(big):
    truth = big.truth.merge(big.customers[["customer_id", "sign_up"]])
    known = truth[truth["sign_up"] < "2023-01-01"]
    chance = 1 - np.exp(-known["dropout_rate"] * DAYS / 365)
    gone = known["dropout"].notna()
    assert abs(gone.sum() - chance.sum()) / np.sqrt((chance * (1 - chance)).sum()) < 3.5
    # Among those who left, the time is a truncated exponential: its transform is uniform.
    days = (known.loc[gone, "dropout"] - pd.Timestamp("2023-01-01")).dt.days + 0.5
    uniform = -np.expm1(-known.loc[gone, "dropout_rate"] * days / 365) / chance[gone]
    assert stats.kstest(uniform, "uniform").pvalue > 0.001


def test_rates_are_gamma_within_a_segment(big):
    for _, truth in big.truth.groupby("segment"):
        rate = truth["purchase_rate"]
        shape = 5.0
        test = stats.kstest(rate, stats.gamma(shape, scale=rate.mean() / shape).cdf)
        assert test.pvalue > 0.001


def test_strata_are_balanced_and_formed_before_the_campaign(made):
    campaign = made.campaign
    table = pd.crosstab(campaign["stratum"], campaign["arm"])
    assert table.shape == (15, 3)
    assert (table.max(axis=1) - table.min(axis=1)).max() <= 1
    assert table.sum().max() - table.sum().min() <= 1
    assert campaign["exposed"].min() > made.transactions["timestamp"].max()
    region = made.customers["region"]
    assert (campaign["stratum"].str.split(", ").str[0] == region).all()


def test_pre_spend_is_the_net_amount_of_the_year_before(made):
    lines = made.transactions[made.transactions["timestamp"] >= "2024-01-08"]
    spent = lines.groupby("customer_id")["amount"].sum()
    expected = made.campaign["customer_id"].map(spent).fillna(0)
    np.testing.assert_allclose(made.campaign["pre_spend"], expected, atol=1e-9)
    assert made.campaign["pre_spend"].corr(made.campaign["spend"]) > 0.3


def test_arms_are_assigned_at_random():
    """Over many draws every customer of a stratum of any size lands in every arm equally often."""
    stratum = np.repeat([0, 1, 2], [1, 4, 7])
    arms = np.column_stack([assign_arms(stratum, np.random.default_rng(i)) for i in range(3_000)])
    for arm in range(3):
        hits = (arms == arm).sum(axis=1)
        deviate = (hits - 1_000) / np.sqrt(3_000 * 2 / 9)
        assert np.abs(deviate).max() < 4


def test_outcomes_are_consistent(made):
    campaign = made.campaign
    assert (campaign["conversion"] <= campaign["visit"]).all()
    assert ((campaign["spend"] > 0) == (campaign["conversion"] == 1)).all()


@pytest.mark.parametrize(
    ("outcome", "prefix"),
    [("visit", "visit_effect"), ("conversion", "conversion_effect"), ("spend", "effect")],
)
def test_outcomes_differ_as_the_truth_says(big, outcome, prefix):
    """Each arm's observed minus expected outcome, by segment: six standard normal deviates."""
    data = big.campaign.merge(big.truth, on="customer_id", validate="one_to_one")
    for arm in ("control", *OFFERS):
        treated = data[data["arm"] == arm]
        effect = 0 if arm == "control" else treated[f"{prefix}_{arm}"]
        surprise = treated[outcome] - treated[f"{outcome}_control"] - effect
        by = surprise.groupby(treated["segment"])
        z = by.mean() / by.std() * np.sqrt(by.size())
        assert stats.chi2(6).sf((z**2).sum()) > 0.001, (arm, z)


def test_differences_of_arms_recover_the_planted_effects_without_bias():
    """The difference of means in a segment, over 20 shops, has the truth as its mean."""
    z = []
    for seed in range(20):
        shop = make_shop(3_000, random_state=100 + seed)
        data = shop.campaign.merge(shop.truth, on="customer_id")
        for offer in OFFERS:
            groups = data.groupby(["segment", "arm"])["spend"].agg(["mean", "var", "size"])
            mean, var = groups["mean"].unstack(), (groups["var"] / groups["size"]).unstack()
            truth = data.groupby("segment")[f"effect_{offer}"].mean()
            difference = mean[offer] - mean["control"] - truth
            z.append(difference / np.sqrt(var[offer] + var["control"]))
    z = np.concatenate(z)
    assert abs(z.mean()) * np.sqrt(len(z)) < 4
    assert 0.85 < z.std() < 1.15


def test_one_offer_harms_one_segment_and_no_other(made):
    effect = made.truth.groupby("segment")[[f"effect_{offer}" for offer in OFFERS]].agg(
        ["mean", "max", "min"]
    )
    assert effect["effect_discount", "max"]["Loyal Regulars"] < 0
    others = effect.drop(index="Loyal Regulars")
    assert others["effect_discount", "min"].min() > 0
    assert effect["effect_early_access", "min"].min() > 0
    best = effect.xs("mean", axis=1, level=1).idxmax(axis=1)
    assert set(best) == {"effect_discount", "effect_early_access"}
