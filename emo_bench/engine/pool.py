"""Worker processes that may die: a unit that kills its worker is reported, the others go on.

Processes are spawned, not forked, so that networks and decoders start clean; each dies with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from emo_bench.core.errors import EmoBenchError
from emo_bench.engine.context import RunContext, RunSpec
from emo_bench.engine.units import NO_ROOM, Outcome, Unit, work


class WorkStoppedError(EmoBenchError):
    """The work cannot go on, because of a full disk for example."""

    code = "stopped"


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    unit: Unit | None = None
    deadline: float = 0.0


def run_units(spec: RunSpec, units: Iterable[Unit], *, workers: int, timeout_s: float) -> Iterator[Outcome]:
    """Carries out units and yields their outcomes in the order in which they finish.

    Args:
        spec: The run.
        units: What to do; their order never changes a number.
        workers: Number of processes; with 1 the work is done in this process.
        timeout_s: A unit that takes longer has its worker killed and fails with the code 'timeout'.

    Raises:
        WorkStoppedError: when the file system refuses to write.
        KeyboardInterrupt: passed on after all workers were stopped.
    """
    waiting = list(units)
    if not waiting:
        return
    if workers == 1:
        yield from _in_this_process(spec, waiting)
        return
    crew = [_start(spec) for _ in range(min(workers, len(waiting)))]
    waiting.reverse()
    try:
        for worker in crew:
            _give(worker, waiting, timeout_s)
        while any(worker.unit is not None for worker in crew):
            yield from _collect(spec, crew, waiting, timeout_s)
    finally:
        _stop(crew)


def _in_this_process(spec: RunSpec, units: list[Unit]) -> Iterator[Outcome]:
    context = RunContext(spec)
    for unit in units:
        try:
            yield work(context, unit)
        except OSError as error:
            raise WorkStoppedError(explain(error)) from None


def _collect(spec: RunSpec, crew: list[_Worker], waiting: list[Unit], timeout_s: float) -> Iterator[Outcome]:
    busy = {worker.pipe: worker for worker in crew if worker.unit is not None}
    patience = max(0.05, min(worker.deadline for worker in busy.values()) - time.monotonic())
    ready = connection.wait(list(busy), timeout=min(patience, 1.0))
    for pipe in ready:
        assert isinstance(pipe, Connection)  # noqa: S101 - for the type checker
        worker = busy[pipe]
        assert worker.unit is not None  # noqa: S101
        try:
            answer = pipe.recv()
        except (EOFError, OSError):
            yield Outcome(worker.unit, code="worker_died", reason=_cause_of_death(worker), stage=worker.unit.stage)
            _replace(spec, worker)
        else:
            if isinstance(answer, str):
                raise WorkStoppedError(answer)
            yield answer
        _give(worker, waiting, timeout_s)
    for worker in crew:
        if worker.unit is not None and time.monotonic() > worker.deadline and worker.pipe not in ready:
            reason = f"took longer than {timeout_s:g} s and was stopped"
            yield Outcome(worker.unit, code="timeout", reason=reason, stage=worker.unit.stage)
            _replace(spec, worker)
            _give(worker, waiting, timeout_s)


def _start(spec: RunSpec) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_worker_main, args=(spec, theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, waiting: list[Unit], timeout_s: float) -> None:
    worker.unit = waiting.pop() if waiting else None
    worker.deadline = time.monotonic() + timeout_s
    if worker.unit is not None:
        try:
            worker.pipe.send(worker.unit)
        except OSError:
            return  # it is dead; reading from its pipe will say so


def _replace(spec: RunSpec, worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
    fresh = _start(spec)
    worker.process, worker.pipe, worker.unit = fresh.process, fresh.pipe, None


def _cause_of_death(worker: _Worker) -> str:
    worker.process.join(timeout=5)
    code = worker.process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (often: out of memory)" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}"
    return f"the worker process ended with exit code {code}"


def _stop(crew: list[_Worker]) -> None:
    for worker in crew:
        worker.pipe.close()
    for worker in crew:
        if worker.unit is not None:
            worker.process.terminate()
    for worker in crew:
        worker.process.join(timeout=5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _worker_main(spec: RunSpec, pipe: Connection, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.Thread(target=_die_with_parent, args=(parent,), daemon=True).start()
    context = RunContext(spec)
    while True:
        try:
            unit = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Outcome | str = work(context, unit)
        except OSError as error:
            answer = explain(error)
        try:
            pipe.send(answer)
        except OSError:
            return


def _die_with_parent(parent: int) -> None:
    # A killed parent cannot tell its children; without this they would go on computing for nobody.
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


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
