"""The rule for ties: relative, blind to the last digits, the first label wins, nobody is lost."""

import numpy as np
import pytest

from custseg.clustering._ties import TIE, first_likeliest, first_nearest
from custseg.errors import DataError


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_distances_tie_within_a_billionth_in_any_unit(unit):
    apart = np.array([[1 + 0.5 * TIE, 1.0], [1 + 2 * TIE, 1.0], [1.0, 1.0], [0.0, 0.0]]) * unit
    assert first_nearest(apart).tolist() == [0, 1, 0, 0]
    assert first_likeliest(1 / (apart[:3] / unit)).tolist() == [0, 1, 0]


def test_a_segment_that_cannot_be_compared_is_not_the_nearest():
    assert first_nearest(np.array([[np.nan, 3.0, 2.0], [1.0, np.nan, np.nan]])).tolist() == [2, 0]
    with pytest.raises(DataError, match="1 of 2 customers have no value in common"):
        first_nearest(np.array([[np.nan, np.nan], [1.0, np.nan]]))


def test_infinite_distances_go_to_the_first_segment():
    assert first_nearest(np.array([[np.inf, np.inf], [np.inf, 1.0]])).tolist() == [0, 1]
