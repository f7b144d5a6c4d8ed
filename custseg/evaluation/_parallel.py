"""Independent tasks in threads, with a bar, an order that does not change, and a clean stop."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from joblib import cpu_count
from threadpoolctl import threadpool_limits
from tqdm import tqdm

Task = TypeVar("Task")
Answer = TypeVar("Answer")


def _one_thread() -> None:
    threadpool_limits(limits=1, user_api="openmp")


def run(
    function: Callable[[Task], Answer],
    tasks: Sequence[Task],
    *,
    label: str,
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> Iterator[Answer]:
    """Yield the answer to each task, in their order.

    Parameters
    ----------
    function
        What is done with a task; it must not depend on which thread does it.
    tasks
        What is done.
    label
        The name on the bar.
    progress
        Whether to show a bar on stderr; ``None`` shows it on a terminal.
    n_jobs
        The number of threads; ``None`` takes every core. Each uses one thread of BLAS and OpenMP.
    """
    shown = sys.stderr.isatty() if progress is None else progress
    workers = ThreadPoolExecutor(n_jobs or cpu_count(), initializer=_one_thread)
    with threadpool_limits(limits=1), workers as pool:
        answers = pool.map(function, tasks)
        yield from tqdm(answers, desc=label, total=len(tasks), disable=not shown, file=sys.stderr)
