"""The compiled loops; private. Each has a plain-NumPy twin in the tests.

The first call of a loop on a machine compiles it, which can take half a minute; numba keeps the
result in its cache. Whoever waits is told, once per process, unless ``CUSTSEG_QUIET`` is set.
"""

import os
import sys

from numba.core.event import Event, Listener, register


class _Announcer(Listener):
    """Say on stderr that a loop of custseg is being compiled, the first time that one is."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Event) -> None:
        """Say it, unless it was said, or the loop is somebody else's."""
        loop = getattr(event.data["dispatcher"], "py_func", None)
        ours = getattr(loop, "__module__", "").startswith(__name__)
        if ours and not self.said and not os.environ.get("CUSTSEG_QUIET"):
            self.said = True
            sys.stderr.write(
                "custseg: compiling for this machine; the next run finds it in the cache\n"
            )
            sys.stderr.flush()

    def on_end(self, event: Event) -> None:
        """Say nothing."""


register("numba:compile", _Announcer())
