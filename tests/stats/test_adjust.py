import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from custseg.errors import DataError
from custseg.stats import benjamini_hochberg, holm

FAMILIES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(FAMILIES)
def test_adjusted_p_values_equal_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-14)
    want = multipletests(p, method="fdr_bh")[1]
    np.testing.assert_allclose(benjamini_hochberg(p), want, atol=1e-14)


@given(FAMILIES, st.randoms(use_true_random=False))
def test_the_order_of_the_family_does_not_matter(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    shuffled = np.array(p)[order]
    for adjust in (holm, benjamini_hochberg):
        np.testing.assert_array_equal(adjust(shuffled), adjust(p)[order])


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_missing_p_values_stay_missing_and_do_not_count(adjust):
    adjusted = adjust([0.01, np.nan, 0.04])
    np.testing.assert_array_equal(adjusted[[0, 2]], adjust([0.01, 0.04]))
    assert np.isnan(adjusted[1])
    assert np.isnan(adjust([np.nan, np.nan])).all()
    assert adjust([]).shape == (0,)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_what_is_not_a_p_value_is_refused(adjust):
    with pytest.raises(DataError, match="between 0 and 1"):
        adjust([0.1, 1.2])
    with pytest.raises(DataError, match="one list"):
        adjust([[0.1, 0.2]])
