"""Worker processes that may die: a job that kills its worker is reported, the others continue.

Processes are spawned, not forked, so that networks and decoders start clean; each dies with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from emo_bench.engine.context import RunContext
from emo_bench.engine.spec import RunSpec
from emo_bench.engine.unit import Outcome, Unit
from emo_bench.engine.units import NO_ROOM, work
from emo_core.errors import EmoBenchError
from emo_core.processes import die_with_parent


class WorkStoppedError(EmoBenchError):
    """The work cannot continue, because of a full disk for example."""

    code = "stopped"


Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class JobKind(Generic[Job, Answer]):
    """What a kind of worker does.

    Attributes:
        init: Called once per process with the run; returns what carries out one job. Must be a function of a module,
            since it travels to other processes by name. What it returns may raise OSError, which stops the work.
        fail: The answer to a job that was not carried out, from the job, a status word and a reason.
    """

    init: Callable[[RunSpec], Callable[[Job], Answer]]
    fail: Callable[[Job, str, str], Answer]


@dataclass
class _Worker(Generic[Job]):
    process: BaseProcess
    pipe: Connection
    job: Job | None = None
    deadline: float = 0.0


def run_units(spec: RunSpec, units: Iterable[Unit], *, workers: int, timeout_s: float) -> Iterator[Outcome]:
    """Carries out units and yields their outcomes in the order in which they finish; see `run_jobs`."""
    return run_jobs(spec, units, JobKind(_unit_worker, _failed_unit), workers=workers, timeout_s=timeout_s)


def _unit_worker(spec: RunSpec) -> Callable[[Unit], Outcome]:
    return partial(work, RunContext(spec))


def _failed_unit(unit: Unit, code: str, reason: str) -> Outcome:
    return Outcome(unit, code=code, reason=reason, stage=unit.stage)


def run_jobs(
    spec: RunSpec, jobs: Iterable[Job], job_kind: JobKind[Job, Answer], *, workers: int, timeout_s: float
) -> Iterator[Answer]:
    """Carries out jobs and yields the answers in the order in which they finish.

    Args:
        spec: The run.
        jobs: What to do; their order never changes a number.
        job_kind: How a job is done.
        workers: Number of processes; with 1 the work is done in this process, where only Python can be stopped.
        timeout_s: A job that takes longer has its worker killed and fails with the code 'timeout'.

    Raises:
        WorkStoppedError: when the file system refuses to write.
        KeyboardInterrupt: passed on after all workers were stopped.
    """
    waiting = list(jobs)
    if not waiting:
        return
    if workers == 1:
        yield from _in_this_process(spec, waiting, job_kind, timeout_s)
        return
    pool = _Pool(spec, job_kind, timeout_s)
    try:
        yield from pool.run(waiting, min(workers, len(waiting)))
    finally:
        pool.stop()


def _in_this_process(
    spec: RunSpec, jobs: list[Job], job_kind: JobKind[Job, Answer], timeout_s: float
) -> Iterator[Answer]:
    execute = job_kind.init(spec)
    for job in jobs:
        try:
            with _limited(timeout_s):
                answer = execute(job)
        except _OverdueError:
            answer = job_kind.fail(job, "timeout", f"took longer than {timeout_s:g} s and was stopped")
        except OSError as error:
            raise WorkStoppedError(explain(error)) from None
        yield answer


class _OverdueError(BaseException):
    """A job in this process took too long; no Exception, so that nothing in the job catches it."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Interrupts what takes longer, between two instructions of Python; only a worker process can be stopped anywhere.

    Without effect outside the main thread, and on systems without such a timer.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: object) -> None:
        del number, frame
        raise _OverdueError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second, should a destructor swallow the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Pool(Generic[Job, Answer]):
    """Workers, the jobs they have, and who replaces them when they die."""

    def __init__(self, spec: RunSpec, job_kind: JobKind[Job, Answer], timeout_s: float) -> None:
        self._spec, self._job_kind, self._timeout_s = spec, job_kind, timeout_s
        self._crew: list[_Worker[Job]] = []
        self._waiting: list[Job] = []

    def run(self, jobs: list[Job], workers: int) -> Iterator[Answer]:
        """Starts the workers and gives them jobs until all are answered."""
        self._waiting = jobs[::-1]
        self._crew = [self._start() for _ in range(workers)]
        for worker in self._crew:
            self._give(worker)
        while any(worker.job is not None for worker in self._crew):
            yield from self._collect()

    def stop(self) -> None:
        """Ends all workers, busy or not."""
        for worker in self._crew:
            worker.pipe.close()
        for worker in self._crew:
            if worker.job is not None:
                worker.process.terminate()
        for worker in self._crew:
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _collect(self) -> Iterator[Answer]:
        busy = {worker.pipe: worker for worker in self._crew if worker.job is not None}
        patience = max(0.05, min(worker.deadline for worker in busy.values()) - time.monotonic())
        ready = connection.wait(list(busy), timeout=min(patience, 1.0))
        for pipe in ready:
            assert isinstance(pipe, Connection)  # noqa: S101 - for the type checker
            worker = busy[pipe]
            assert worker.job is not None  # noqa: S101
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                yield self._job_kind.fail(worker.job, "worker_died", _cause_of_death(worker.process))
                self._replace(worker)
            else:
                if isinstance(answer, _Stop):
                    raise WorkStoppedError(answer.reason)
                yield answer
            self._give(worker)
        for worker in self._crew:
            if worker.job is not None and time.monotonic() > worker.deadline and worker.pipe not in ready:
                reason = f"took longer than {self._timeout_s:g} s and was stopped"
                yield self._job_kind.fail(worker.job, "timeout", reason)
                self._replace(worker)
                self._give(worker)

    def _start(self) -> _Worker[Job]:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_worker_main, args=(self._spec, self._job_kind.init, theirs, os.getpid()), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _give(self, worker: _Worker[Job]) -> None:
        worker.job = self._waiting.pop() if self._waiting else None
        worker.deadline = time.monotonic() + self._timeout_s
        if worker.job is not None:
            try:
                worker.pipe.send(worker.job)
            except OSError:
                return  # it is dead; reading from its pipe will say so

    def _replace(self, worker: _Worker[Job]) -> None:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        fresh = self._start()
        worker.process, worker.pipe, worker.job = fresh.process, fresh.pipe, None


def _cause_of_death(process: BaseProcess) -> str:
    process.join(timeout=5)
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (often: out of memory)" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}"
    return f"the worker process ended with exit code {code}"


@dataclass(frozen=True)
class _Stop:
    """A worker's message that nothing more can be done."""

    reason: str


def _worker_main(
    spec: RunSpec, init: Callable[[RunSpec], Callable[[Job], Answer]], pipe: Connection, parent: int
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    die_with_parent(parent)
    execute = init(spec)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Answer | _Stop = execute(job)
        except OSError as error:
            answer = _Stop(explain(error))
        try:
            pipe.send(answer)
        except OSError:
            return


def explain(error: OSError) -> str:
    """Why the file system stops the work, in a sentence for the user."""
    if error.errno in NO_ROOM:
        return f"the disk is full: {error.filename or error}; nothing finished is lost, run again when there is room"
    return f"the file system refused: {error}"


def limit_threads(workers: int) -> None:
    """Shares the processors among workers; must be called before any numerical library is loaded.

    Each worker inherits the environment, so that two workers on two cores do not start four threads. A number that the
    user set for OpenMP counts for the other libraries too.
    """
    if "torch" in sys.modules:
        return
    share = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // max(1, workers)))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, share)
