from collections.abc import Callable

import pandas as pd
import pytest

from custseg.datasets import Shop, make_shop


@pytest.fixture(scope="session")
def made() -> Shop:
    return make_shop(5_000, random_state=0)


@pytest.fixture(scope="session")
def big() -> Shop:
    return make_shop(20_000, random_state=7)


@pytest.fixture
def same_tables() -> Callable:
    def check(one: Shop, other: Shop, tables: tuple[str, ...]) -> None:
        for name in tables:
            pd.testing.assert_frame_equal(
                getattr(one, name), getattr(other, name), check_exact=True, obj=name
            )

    return check
