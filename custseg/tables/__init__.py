"""What are my columns, can I trust the rows: raw tables with roles, their audit and cleaning.

A raw table names its columns once, as roles. `audit` says what is odd in its rows, `clean` sets
rows aside by the same rules; both account for every row.
"""

from custseg.tables._purchases import last_day, nets_returns, plain_ids
from custseg.tables._roles import require_roles
from custseg.tables.customers import Customers
from custseg.tables.experiment import Experiment
from custseg.tables.survey import Survey
from custseg.tables.touchpoints import Touchpoints
from custseg.tables.transactions import Transactions

__all__ = [
    "Customers",
    "Experiment",
    "Survey",
    "Touchpoints",
    "Transactions",
    "last_day",
    "nets_returns",
    "plain_ids",
    "require_roles",
]
