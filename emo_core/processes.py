"""Jobs spread over processes of their own, whose death is an error and never an endless wait."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context
from typing import TypeVar

from emo_core.errors import ConfigError, EmoBenchError

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class WorkerDiedError(EmoBenchError):
    """A process ended before its job was done."""

    code = "worker_died"


def results_of(work: Callable[[Job], Answer], jobs: Sequence[Job], *, workers: int) -> Generator[Answer]:
    """The results of all jobs, each as soon as it is there, in the order in which they become ready.

    Each process is a fresh interpreter, since forking one that has threads can deadlock. They end when the generator is
    closed, which whoever stops early must see to, or with their parent.

    Args:
        work: A function of a module; it and the jobs travel to the processes.
        jobs: What it is called with.
        workers: How many processes at most.

    Raises:
        ConfigError: in a process that imports the script which started it and comes here again.
        WorkerDiedError: when a process ends early, for want of memory for example.
        Exception: what ``work`` raises.
    """
    if getattr(current_process(), "_inheriting", False):
        raise ConfigError(
            "the script that starts this work was imported by a worker and would start it again",
            fix='put the call below `if __name__ == "__main__":`',
        )
    pool = ProcessPoolExecutor(
        max(1, min(workers, len(jobs))),
        mp_context=get_context("spawn"),
        initializer=die_with_parent,
        initargs=(os.getpid(),),
    )
    try:
        for done in as_completed([pool.submit(work, job) for job in jobs]):
            yield done.result()
    except BrokenProcessPool as error:
        raise WorkerDiedError(
            "a worker process ended before its work was done",
            expected="enough memory for every worker, and in a script of your own the call below "
            '`if __name__ == "__main__":`',
            found="see above for what it wrote, if anything",
            fix="run it again with fewer workers; what is finished is kept",
        ) from error
    except BaseException:
        for process in tuple((pool._processes or {}).values()):  # they would finish their jobs first
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def die_with_parent(parent: int) -> None:
    """Ends this process soon after its parent: a killed parent cannot tell its children, who would live on."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
