"""What do I know of each customer: features from raw tables, one row per customer."""

from custseg.features.transactions import rfm

__all__ = ["rfm"]
