"""The compiled loops; private."""
