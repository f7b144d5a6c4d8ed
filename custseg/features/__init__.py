"""What do I know of each customer: features from raw tables, one row per customer."""

from custseg.features.dictionary import describe_columns
from custseg.features.encoder import Encoder
from custseg.features.transactions import rfm

__all__ = ["Encoder", "describe_columns", "rfm"]
