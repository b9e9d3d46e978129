"""The same units on Ray: one actor per worker, on this machine or on the cluster that ``RAY_ADDRESS`` names.

Units are content-keyed and their files atomic, so retries and duplicates are harmless and numbers equal those of the
local engine. The store must lie on a file system that all nodes see.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from emo_bench.engine.context import RunContext
from emo_bench.engine.pool import WorkStoppedError, explain
from emo_bench.engine.spec import RunSpec
from emo_bench.engine.unit import Outcome, Unit
from emo_bench.engine.units import work
from emo_core.errors import ConfigError


class UnitWorker:
    """What an actor holds: the context of the run, with networks loaded once."""

    def __init__(self, spec: RunSpec, folder: str) -> None:
        import os

        os.chdir(folder)  # relative paths of the suite mean the same on every worker
        self._context = RunContext(spec)

    def ready(self) -> None:
        """Answers as soon as the actor runs."""

    def work(self, unit: Unit) -> Outcome | str:
        """Carries out a unit; a text is the reason why the whole work must stop."""
        try:
            return work(self._context, unit)
        except OSError as error:
            return explain(error)


def run_units_on_ray(spec: RunSpec, units: Iterable[Unit], *, workers: int, timeout_s: float) -> Iterator[Outcome]:
    """Carries out units on Ray and yields their outcomes in the order in which they finish.

    Args:
        spec: The run.
        units: What to do.
        workers: Number of actors; each asks for one processor, and one GPU when the suite's device is CUDA. Where Ray
            has less, fewer of them work.
        timeout_s: A unit that takes longer has its actor killed and fails with the code 'timeout'.

    Raises:
        ConfigError: when the extra ``ray`` is not installed.
        WorkStoppedError: when the file system refuses to write, or Ray starts no actor for ``timeout_s``.
    """
    waiting = list(units)
    if not waiting:
        return
    crew = _Crew(_ray(), spec, waiting, timeout_s)
    try:
        yield from crew.run(min(workers, len(waiting)))
    finally:
        crew.stop()


class _Crew:
    """Actors, the units that they have, and who replaces them.

    Only an actor that runs is given a unit: Ray starts no more of them than it has room for, and a unit that lay with
    one of the others would be overdue without having begun.
    """

    def __init__(self, ray: Any, spec: RunSpec, units: list[Unit], timeout_s: float) -> None:
        self._ray, self._spec, self._timeout_s = ray, spec, timeout_s
        gpus = 1 if spec.config.execution.device.startswith("cuda") else 0
        self._actor_class = ray.remote(num_cpus=1, num_gpus=gpus)(UnitWorker)
        self._asked = "one processor and one GPU" if gpus else "one processor"
        self._waiting = units[::-1]
        self._actors: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._busy: dict[Any, tuple[Any, Unit, float]] = {}
        self._since = time.monotonic()
        """When somebody worked last."""

    def run(self, workers: int) -> Iterator[Outcome]:
        """Starts actors and gives them units until all are answered."""
        for _ in range(workers):
            self._start()
        while self._waiting or self._busy:
            ready, _ = self._ray.wait([*self._busy, *self._starting], num_returns=1, timeout=1.0)
            for reference in ready:
                yield from self._started(reference) if reference in self._starting else self._answered(reference)
            yield from self._overdue()
            self._check_anybody_works()

    def stop(self) -> None:
        """Ends all actors."""
        for actor in self._actors:
            self._ray.kill(actor)

    def _start(self) -> None:
        actor = self._actor_class.remote(self._spec, str(Path.cwd()))
        self._actors.append(actor)
        self._starting[actor.ready.remote()] = actor

    def _give(self, actor: Any) -> None:
        if self._waiting:
            unit = self._waiting.pop()
            self._busy[actor.work.remote(unit)] = (actor, unit, time.monotonic() + self._timeout_s)

    def _started(self, reference: Any) -> Iterator[Outcome]:
        actor = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            # Each try costs a unit, so that there is an end when none succeeds.
            yield from self._lost(self._waiting.pop(), error) if self._waiting else ()
        else:
            self._give(actor)

    def _answered(self, reference: Any) -> Iterator[Outcome]:
        actor, unit, _ = self._busy.pop(reference)
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            yield from self._lost(unit, error)
            return
        if isinstance(answer, str):
            raise WorkStoppedError(answer)
        yield answer
        self._give(actor)

    def _lost(self, unit: Unit, error: Exception) -> Iterator[Outcome]:
        reason = f"the Ray actor was lost: {type(error).__name__}"
        yield Outcome(unit, code="worker_died", reason=reason, stage=unit.stage)
        if self._waiting:
            self._start()

    def _overdue(self) -> Iterator[Outcome]:
        for reference, (actor, unit, deadline) in list(self._busy.items()):
            if time.monotonic() > deadline:
                del self._busy[reference]
                self._ray.kill(actor)
                reason = f"took longer than {self._timeout_s:g} s and was stopped"
                yield Outcome(unit, code="timeout", reason=reason, stage=unit.stage)
                if self._waiting:
                    self._start()

    def _check_anybody_works(self) -> None:
        if self._busy:
            self._since = time.monotonic()
        elif self._waiting and time.monotonic() - self._since > self._timeout_s:
            raise WorkStoppedError(
                f"Ray has started no worker for {self._timeout_s:g} s",
                expected=f"{self._asked} that nobody else uses",
                fix="wait until others have finished, or set execution.engine: local",
            )


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise ConfigError(
            "execution.engine is 'ray', but Ray is not installed",
            expected="the extra 'ray'",
            fix="install emo-bench[ray], or set execution.engine: local",
        ) from None
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    return ray
