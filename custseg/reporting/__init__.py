"""Run the notebooks and turn them into pages that can be read, printed and sent."""
