"""Whoever waits for a loop to be compiled is told so, once, and only then."""

import os
import subprocess
import sys
from pathlib import Path

CODE = (
    "import numpy as np; from custseg._kernels.kmeans import nearest; "
    "nearest(np.ones((1, 3)), np.ones((1, 1))); nearest(np.ones((1, 3)), np.ones((2, 1)))"
)
FOREIGN = "from numba import njit; import custseg._kernels; njit(lambda x: x + 1)(1)"


def said(code: str, cache: Path, **environment: str) -> str:
    """Return what a fresh process says on stderr."""
    given = {**os.environ, "CUSTSEG_QUIET": "", "NUMBA_CACHE_DIR": str(cache), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


def test_the_first_run_says_that_it_compiles_and_the_second_is_silent(tmp_path):
    assert said(CODE, tmp_path).count("custseg: compiling for this machine") == 1
    assert said(CODE, tmp_path) == ""


def test_it_can_be_silenced_and_says_nothing_of_other_code(tmp_path):
    assert said(CODE, tmp_path / "quiet", CUSTSEG_QUIET="1") == ""
    assert said(FOREIGN, tmp_path / "foreign") == ""
