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
        workers: Number of actors; each asks for one processor, and one GPU when the suite's device is CUDA.
        timeout_s: A unit that takes longer has its actor killed and fails with the code 'timeout'.

    Raises:
        ConfigError: when the extra ``ray`` is not installed.
        WorkStoppedError: when the file system refuses to write.
    """
    waiting = list(units)
    if not waiting:
        return
    ray = _ray()
    waiting.reverse()
    gpus = 1 if spec.config.execution.device.startswith("cuda") else 0
    actor_class = ray.remote(num_cpus=1, num_gpus=gpus)(UnitWorker)
    busy: dict[Any, tuple[Any, Unit, float]] = {}
    actors: list[Any] = []

    def start() -> Any:
        actors.append(actor_class.remote(spec, str(Path.cwd())))
        return actors[-1]

    def give(actor: Any) -> None:
        if waiting:
            unit = waiting.pop()
            busy[actor.work.remote(unit)] = (actor, unit, time.monotonic() + timeout_s)

    try:
        for _ in range(min(workers, len(waiting))):
            give(start())
        while busy:
            ready, _ = ray.wait(list(busy), num_returns=1, timeout=1.0)
            for reference in ready:
                actor, unit, _ = busy.pop(reference)
                try:
                    answer = ray.get(reference)
                except ray.exceptions.RayError as error:
                    reason = f"the Ray actor was lost: {type(error).__name__}"
                    yield Outcome(unit, code="worker_died", reason=reason, stage=unit.stage)
                    actor = start() if waiting else actor
                else:
                    if isinstance(answer, str):
                        raise WorkStoppedError(answer)
                    yield answer
                give(actor)
            yield from _overdue(ray, busy, start, give, timeout_s)
    finally:
        for actor in actors:
            ray.kill(actor)


def _overdue(
    ray: Any, busy: dict[Any, tuple[Any, Unit, float]], start: Any, give: Any, timeout_s: float
) -> Iterator[Outcome]:
    for reference, (actor, unit, deadline) in list(busy.items()):
        if time.monotonic() > deadline:
            del busy[reference]
            ray.kill(actor)
            reason = f"took longer than {timeout_s:g} s and was stopped"
            yield Outcome(unit, code="timeout", reason=reason, stage=unit.stage)
            give(start())


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
