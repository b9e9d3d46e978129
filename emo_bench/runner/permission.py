"""Whether a suite may start programs of others: only its user knows where the folder around it comes from."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from emo_bench.extract.weights import WeightsFinder
from emo_bench.runner.suite import Suite
from emo_bench.systems.system import SystemContext, build_system
from emo_core.errors import ConfigError, EmoBenchError

OPTION = "--allow-system"


def refused_programs(suite: Suite, allowed: Collection[str], *, received: bool = False) -> Iterator[str]:
    """Sentences on programs that the suite would start and that nobody allowed; nothing is started to find out.

    Args:
        suite: The suite.
        allowed: Names of systems whose programs may start.
        received: The suite comes from a record, which may be anyone's: programs of this installation are asked for too.
    """
    context = SystemContext(device=suite.config.execution.device, weights=WeightsFinder(), base=suite.base, clip_ids=())
    for system in suite.config.systems:
        if system.name in allowed:
            continue
        try:
            program = build_system(system).program(context)
        except EmoBenchError:
            continue  # without a card there is nothing to start, and whoever builds the system says so
        if program is not None and (received or not program.own):
            yield f"System {system.name!r} would start a program ({program.text}); allow it: {OPTION} {system.name}"


def check_programs(suite: Suite, allowed: Collection[str]) -> None:
    """Stops before anything is started.

    Raises:
        ConfigError: naming every program that was not allowed.
    """
    unknown = sorted(set(allowed) - {system.name for system in suite.config.systems})
    if unknown:
        raise ConfigError(f"{OPTION} {unknown[0]}: the suite has no such system")
    if problems := list(refused_programs(suite, allowed)):
        raise ConfigError("\n".join(problems))
