"""Data to try custseg on: a shop with planted truth, and real public data sets."""

from custseg.datasets._shop import Shop, load_shop, make_shop

__all__ = ["Shop", "load_shop", "make_shop"]
