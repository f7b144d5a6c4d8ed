import numpy as np
import pandas as pd
import pytest
from scipy import stats

from custseg.campaigns import srm_test
from custseg.errors import DataError, ParameterError


def test_cookie_cats_is_suspect_as_published():
    found = srm_test([44_700, 45_489], [0.5, 0.5])
    assert found.statistic == pytest.approx(6.9024, abs=5e-5)
    assert found.p_value == pytest.approx(0.0086, abs=5e-5)
    assert found.status == "suspect"
    assert "suspect" in found.summary()


@pytest.mark.parametrize("expected", [[0.5, 0.3, 0.2], [50, 30, 20], [5_000, 3_000, 2_000]])
def test_equals_scipy_for_shares_and_counts(expected):
    observed = [5_101, 2_988, 2_011]
    found = srm_test(observed, expected)
    planned = np.sum(observed) * np.array(expected) / np.sum(expected)
    want = stats.chisquare(observed, planned)
    assert found.statistic == pytest.approx(want.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(want.pvalue, rel=1e-10)
    np.testing.assert_allclose(found.expected, planned)


@pytest.mark.parametrize(
    ("counts", "status"),
    [([500, 500], "ok"), ([460, 540], "ok"), ([455, 545], "suspect"), ([440, 560], "mismatch")],
)
def test_status_follows_from_the_p_value(counts, status):
    found = srm_test(counts, [1, 1])
    assert found.status == status
    p = found.p_value
    assert {"ok": p >= 0.01, "suspect": 0.001 <= p < 0.01, "mismatch": p < 0.001}[status]


def test_arms_are_matched_by_name_not_by_place():
    found = srm_test({"none": 900, "offer": 100}, {"offer": 0.1, "none": 0.9})
    assert found.statistic == 0
    assert found.p_value == 1
    want = pd.DataFrame(
        {"arm": ["none", "offer"], "observed": [900.0, 100], "expected": [900.0, 100], "ratio": 1.0}
    )
    pd.testing.assert_frame_equal(found.to_frame(), want)


def test_few_customers_make_the_p_value_rough():
    assert "fewer than 5" in srm_test([3, 2], [1, 1]).notes[0]
    assert srm_test([30, 20], [1, 1]).notes == ()


def test_wrong_input_is_refused():
    with pytest.raises(ParameterError, match="only one of them has 'ofer', 'offer'"):
        srm_test({"none": 1, "offer": 2}, {"none": 0.5, "ofer": 0.5})
    with pytest.raises(ParameterError, match="1 arms"):
        srm_test([10], [1])
    with pytest.raises(ParameterError, match="expected share"):
        srm_test([10, 10], [1, 0])
    with pytest.raises(DataError, match="observed must be counts"):
        srm_test([10, -1], [1, 1])
    with pytest.raises(DataError, match="observed must be counts"):
        srm_test([0, 0], [1, 1])


def test_false_alarms_come_as_rarely_as_the_level_says():
    rng = np.random.default_rng(11)
    counts = rng.multinomial(9_000, [0.5, 0.3, 0.2], size=2_000)
    p = np.array([srm_test(row, [0.5, 0.3, 0.2]).p_value for row in counts])
    for level in (0.01, 0.05):
        error = 3 * np.sqrt(level * (1 - level) / len(p))
        assert abs((p < level).mean() - level) <= error
