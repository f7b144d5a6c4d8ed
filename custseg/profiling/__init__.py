"""Who are they: segments described by the columns that made them and by those that did not."""

from custseg.profiling.profiles import Profile, profile

__all__ = ["Profile", "profile"]
