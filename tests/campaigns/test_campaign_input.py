import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.errors import ColumnError, DataError, MissingFileError, ParameterError


@pytest.fixture
def sent():
    return pd.DataFrame(
        {
            "customer_id": np.arange(12),
            "mail": ["none", "offer"] * 6,
            "region": ["north", "south", "south", "north"] * 3,
            "visit": [0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0],
            "spend": [0.0, 20.0, 0.0, 5.0, 8.0, 9.0, 0.0, 0.0, 0.0, 30.0, 4.0, 0.0],
            "history": np.linspace(10.0, 120.0, 12),
        }
    )


def declare(**changes):
    parts = {"arm": "mail", "control": "none", "metrics": {"spend": cs.Mean("spend")}}
    return cs.CampaignTest(**(parts | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": {}}, "metrics must be a dictionary"),
        ({"metrics": {"spend": "spend"}}, r"metrics\['spend'\] is 'spend', but a metric is"),
        ({"metrics": {"spend": cs.Mean}}, "but a metric is Proportion"),
        ({"arm": None}, "arm is None"),
        ({"control": None}, "control is None"),
        ({"customer_id": 3}, "customer_id is 3"),
        ({"segments": ["north", "south"]}, "segments is a list"),
        ({"segments": pd.Series(["north"])}, "customer_id must name the column"),
        ({"allocation": {"none": 1.0}}, "at least two arms"),
        ({"allocation": {"none": 0.5, "offer": 0.4}}, "add up to 0.9, but must add up to 1"),
        ({"allocation": {"none": 1.5, "offer": -0.5}}, r"allocation\['none'\] is 1.5"),
        ({"allocation": {"non": 0.5, "offer": 0.5}}, "control is 'none'.*Did you mean 'non'"),
    ],
)
def test_a_wrong_declaration_is_refused_before_any_data(changes, message):
    with pytest.raises(ParameterError, match=message):
        declare(**changes)


def test_a_metric_is_checked_when_it_is_made():
    with pytest.raises(ParameterError, match="the outcome itself"):
        cs.Mean("spend", covariate="spend")
    with pytest.raises(ParameterError, match="column is 3"):
        cs.Proportion(3)
    with pytest.raises(ParameterError, match="covariate is"):
        cs.Mean("spend", covariate=[])


def test_segments_must_name_each_customer_once_and_assign_some():
    twice = pd.Series(["north", "south"], index=[1, 1])
    with pytest.raises(DataError, match="1 repeated customer ids"):
        declare(segments=twice, customer_id="customer_id")
    with pytest.raises(DataError, match="no customer to any segment"):
        declare(segments=pd.Series([None, None], dtype="str"), customer_id="customer_id")
    with pytest.raises(DataError, match=r"called '\(all\)'"):
        declare(segments=pd.Series(["(all)", "north"]), customer_id="customer_id")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": "mial"}, "no column 'mial'. Did you mean 'mail'"),
        ({"segments": "regoin"}, "no column 'regoin'. Did you mean 'region'"),
        ({"customer_id": "customer"}, "no column 'customer'. Did you mean 'customer_id'"),
        ({"metrics": {"money": cs.Mean("spent")}}, "metric 'money'.*Did you mean 'spend'"),
        ({"metrics": {"money": cs.Mean("spend", covariate="histroy")}}, "Did you mean 'history'"),
    ],
)
def test_a_missing_column_names_the_nearest(sent, changes, message):
    with pytest.raises(ColumnError, match=message):
        declare(**changes).analyze(sent)


def test_an_unknown_control_arm_names_the_arms_and_the_nearest(sent):
    with pytest.raises(ParameterError, match=r"'none', 'offer'\. Did you mean 'none'"):
        declare(control="no").analyze(sent)


def test_a_table_without_rows_arms_or_a_second_arm_is_refused(sent):
    with pytest.raises(DataError, match="have no rows"):
        declare().analyze(sent.head(0))
    with pytest.raises(DataError, match="arm 'none' only"):
        declare().analyze(sent[sent["mail"] == "none"])
    with pytest.raises(DataError, match="no arm at all"):
        declare().analyze(sent.assign(mail=pd.Series([None] * 12, dtype="str")))


def test_a_proportion_must_be_zeros_and_ones(sent):
    test = declare(metrics={"visit": cs.Proportion("visit")})
    with pytest.raises(DataError, match=r"'visit'.*also holds -1, 2.5 in 3 rows"):
        test.analyze(sent.assign(visit=[0, 1, 2.5, 2.5, -1, 0, 0, 1, 1, 0, 1, 0]))
    with pytest.raises(DataError, match=r"holds 2, 3, 4, 5, 6, … in 9 rows"):
        test.analyze(sent.assign(visit=np.arange(12) % 11))


def test_text_infinity_and_nothing_are_no_numbers(sent):
    with pytest.raises(DataError, match="column 'spend' of metric 'spend' is of type String"):
        declare().analyze(sent.assign(spend=sent["spend"].astype(str)))
    with pytest.raises(DataError, match="'spend' holds 2 infinite values"):
        declare().analyze(
            sent.assign(
                spend=sent["spend"].replace(0.0, np.nan).replace(9, np.inf).replace(8, -np.inf)
            )
        )
    adjusted = declare(metrics={"spend": cs.Mean("spend", covariate="history")})
    with pytest.raises(DataError, match="'history' holds 1 infinite"):
        adjusted.analyze(sent.assign(history=sent["history"].replace(10.0, np.inf)))
    with pytest.raises(DataError, match="'spend' holds no value at all"):
        declare().analyze(sent.assign(spend=np.nan))


def test_arms_and_allocation_must_agree(sent):
    with pytest.raises(DataError, match="arm 'offer' is in the data, but not in the allocation"):
        declare(allocation={"none": 0.5, "voucher": 0.5}).analyze(sent)
    with pytest.raises(DataError, match="arm 'voucher' is in the allocation, but not in the data"):
        declare(allocation={"none": 0.4, "offer": 0.4, "voucher": 0.2}).analyze(sent)


def test_a_segment_called_all_is_refused(sent):
    with pytest.raises(DataError, match=r"a segment is called '\(all\)'"):
        declare(segments="region").analyze(sent.replace({"region": {"north": "(all)"}}))


def test_a_number_for_every_customer_is_no_segment_and_no_arm(sent):
    many = pd.concat([sent] * 100, ignore_index=True)
    many = many.assign(history=np.arange(1_200) / 7)
    with pytest.raises(DataError, match="'history' has 1,200 values: it does not name segments"):
        declare(segments="history").analyze(many)
    with pytest.raises(DataError, match="'history' has 1,200 values: it does not name the arms"):
        declare(arm="history", control=0.0).analyze(many)


@pytest.mark.parametrize("role", ["arm", "segment", "customer id"])
def test_labels_must_be_single(role):
    data = pd.DataFrame({"arm": ["c", "t"] * 9, "y": 1.0})
    data["odd"] = [[1, 2]] * len(data)
    named = {"arm": "arm", "segments": None, "customer_id": None}
    named[{"segment": "segments", "customer id": "customer_id"}.get(role, role)] = "odd"
    test = cs.CampaignTest(control="c", metrics={"y": cs.Mean("y")}, **named)
    with pytest.raises(DataError, match=f"column 'odd', the {role}, holds lists or records"):
        test.analyze(data)


def test_a_customer_has_one_row_and_one_arm(sent):
    test = declare(customer_id="customer_id")
    test.analyze(sent)
    repeated = pd.concat([sent, sent.iloc[[0, 1]], sent.iloc[[2]].assign(mail="offer")])
    with pytest.raises(DataError, match="3 customers have more than one row, 1 of them in two"):
        test.analyze(repeated)
    with pytest.raises(DataError, match="3 customers have more than one row"):
        declare().analyze(cs.Experiment(repeated, arm="mail", customer_id="customer_id"))


def test_rows_without_arm_or_id_are_no_second_row_of_a_customer(sent):
    extra = pd.concat([sent, sent.iloc[[0]].assign(mail=None)])
    unknown = extra.assign(customer_id=extra["customer_id"].where(extra["customer_id"] > 3))
    impact = declare(customer_id="customer_id").analyze(unknown)
    assert impact.account.loc["spend", ["rows_in", "no_arm", "rows_used"]].tolist() == [13, 1, 12]


def test_segments_of_other_customers_are_refused(sent):
    strangers = pd.Series(["north", "south"], index=[100, 101])
    with pytest.raises(DataError, match="none of the customers in the data"):
        declare(segments=strangers, customer_id="customer_id").analyze(sent)
    as_text = pd.Series(["north", "south"], index=["0", "1"])
    with pytest.raises(DataError, match="of type Int64 in the data, but of type"):
        declare(segments=as_text, customer_id="customer_id").analyze(sent)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"campaign.parquet"):
        declare().analyze(tmp_path / "campaign.parquet")


def test_a_group_with_one_customer_in_an_arm_is_a_row_without_answer(sent):
    tiny = sent.assign(region=["west", "west", *sent["region"][2:]])
    impact = declare(
        segments="region",
        metrics={
            "visit": cs.Proportion("visit"),
            "spend": cs.Mean("spend", covariate="history"),
        },
    ).analyze(tiny)
    frame = impact.to_frame().set_index(["metric", "segment"])
    for metric in ("visit", "spend"):
        west = frame.loc[(metric, "west")]
        assert west[["n_control", "n_treatment"]].tolist() == [1, 1]
        assert west.drop(["arm", "n_control", "n_treatment"]).isna().all()
        assert f"{metric}: in west fewer than 2 customers in an arm: no answer." in impact.notes
        assert frame.loc[(metric, "south"), "p_value"] <= 1
    assert "correct for the 2 tests of a metric" in impact.notes[-1]


def test_a_segment_that_one_arm_never_reached_is_a_row_without_answer(sent):
    lost = sent.assign(region=np.where(sent["mail"] == "offer", "north", sent["region"]))
    frame = declare(segments="region").analyze(lost).to_frame().set_index("segment")
    assert frame.loc["south", ["n_control", "n_treatment"]].tolist() == [3, 0]
    assert np.isnan(frame.loc["south", "effect"])


def test_an_outcome_that_does_not_vary_has_no_interval(sent):
    idle = sent.assign(spend=np.where(sent["region"] == "south", 0.1, sent["spend"]))
    impact = declare(segments="region").analyze(idle)
    south = impact.to_frame().set_index("segment").loc["south"]
    assert south["control"] == south["treatment"] == 0.1
    assert south["effect"] == south["se"] == 0
    assert south[["ci_low", "ci_high", "p_value", "p_holm"]].isna().all()
    assert any("in south the outcome does not vary" in note for note in impact.notes)


def test_nobody_converting_is_no_evidence_of_a_difference(sent):
    impact = declare(metrics={"visit": cs.Proportion("visit")}).analyze(sent.assign(visit=0))
    row = impact.to_frame().iloc[0]
    assert row[["effect", "se"]].tolist() == [0, 0]
    assert row["p_value"] == 1
    assert row["ci_low"] == -row["ci_high"] < 0


def test_a_control_mean_of_zero_has_no_relative_effect(sent):
    free = sent.assign(spend=sent["spend"].where(sent["mail"] == "offer", 0.0))
    impact = declare().analyze(free)
    row = impact.to_frame().iloc[0]
    assert row["control"] == 0
    assert row["effect"] > 0
    assert row[["relative_effect", "relative_ci_low", "relative_ci_high"]].isna().all()
    assert "spend: in (all) control is 0: no relative effect." in impact.notes


def test_a_covariate_that_does_not_vary_changes_nothing(sent):
    flat = sent.assign(history=0.1)
    plain = declare().analyze(flat).to_frame()
    impact = declare(metrics={"spend": cs.Mean("spend", covariate="history")}).analyze(flat)
    pd.testing.assert_frame_equal(impact.to_frame(), plain)
    assert any("does not vary: no adjustment" in note for note in impact.notes)


def test_a_covariate_that_explains_everything_leaves_no_spread(sent):
    exact = sent.assign(spend=3 * sent["history"] + 2 * (sent["mail"] == "offer"))
    impact = declare(metrics={"spend": cs.Mean("spend", covariate="history")}).analyze(exact)
    row = impact.to_frame().iloc[0]
    assert row["effect"] == pytest.approx(2, abs=1e-10)
    assert row["se"] == pytest.approx(0, abs=1e-5)
