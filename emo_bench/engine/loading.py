"""The systems, protocols and extractors of a suite: which there are, whether they can run here, and their networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from emo_bench.config.schema import Execution, System
from emo_bench.engine.spec import RunSpec
from emo_bench.extract.catalogue import extractor_digest, extractors, load_catalogues, metrics, needed_extractors
from emo_bench.extract.single_pass import in_order
from emo_bench.extract.weights import WeightsFinder
from emo_bench.systems.device import require_device
from emo_bench.systems.system import SystemContext, SystemKind, build_system, system_digest
from emo_core.errors import ConfigError, EmoBenchError, WeightsError, without_home

if TYPE_CHECKING:
    from emo_metrics.contract import Extractor, Metric


@dataclass(frozen=True)
class Availability:
    """Whether a protocol can be computed here, and why not."""

    protocol: str
    ok: bool
    reason: str = ""


class Loader:
    """Makes the systems and extractors that a suite names; networks are loaded when first used, once per process."""

    def __init__(self, spec: RunSpec) -> None:
        load_catalogues()
        self.config = spec.config
        self.finder = WeightsFinder(
            folders=tuple(spec.base / folder for folder in spec.config.weights.folders),
            policy=spec.config.weights.licence_policy,
        )
        self.system_context = SystemContext(
            device=spec.config.execution.device,
            weights=self.finder,
            base=spec.base,
            clip_ids=tuple(entry.id for entry in spec.entries),
        )
        self.suite_systems: Mapping[str, System] = {system.name: system for system in spec.config.all_systems()}
        self.only_wild = bool(spec.entries) and all(entry.wild for entry in spec.entries)
        self._loaded: set[str] = set()
        self._seeded: dict[str, bool] = {}
        self.unusable: dict[str, str] = {}
        """Extractors that could not be loaded in this process, and why; they are not tried again for every clip."""

    @cached_property
    def systems(self) -> Mapping[str, SystemKind]:
        """Each system by name, its options checked."""
        return {name: build_system(system) for name, system in self.suite_systems.items()}

    @cached_property
    def system_digests(self) -> Mapping[str, str]:
        """Identity of each system by name."""
        context = self.system_context
        return {name: system_digest(system, self.systems[name], context) for name, system in self.suite_systems.items()}

    def loaded(self, name: str) -> SystemKind:
        """The system with its networks loaded."""
        system = self.systems[name]
        if name not in self._loaded:
            system.load(self.system_context)
            self._loaded.add(name)
        return system

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """The seeds that a system is run with: all, or only the first when it has no randomness."""
        return self.config.seeds if self.takes_seed(name) else self.config.seeds[:1]

    def takes_seed(self, name: str) -> bool:
        """Whether a system's frames follow from the seed."""
        if name not in self._seeded:
            self._seeded[name] = self.systems[name].takes_seed(self.system_context)
        return self._seeded[name]

    @cached_property
    def protocols(self) -> Mapping[str, type[Metric]]:
        """The suite's protocols in its order."""
        return {name: metrics.get(name) for name in self.config.metrics}

    @cached_property
    def availability(self) -> Mapping[str, Availability]:
        """Whether each protocol has its weights; files are hashed here."""
        return {name: self._available(name, metric) for name, metric in self.protocols.items()}

    def _available(self, name: str, metric: type[Metric]) -> Availability:
        try:
            for kind in needed_extractors([metric]).values():
                kind.check({file: self.finder.require(file) for file in kind.weights})
        except (WeightsError, ValueError) as error:
            return Availability(name, ok=False, reason=without_home(str(error)))  # it stands in the record
        return Availability(name, ok=True)

    @cached_property
    def extractor_kinds(self) -> Mapping[str, type[Extractor]]:
        """Every extractor of an available protocol, requirements before those who need them."""
        usable = [metric for name, metric in self.protocols.items() if self.availability[name].ok]
        kinds = needed_extractors(usable)
        return {name: kinds[name] for name in in_order(kinds)}

    @cached_property
    def extractor_digests(self) -> Mapping[str, str]:
        """Identity of each extractor."""
        engine = self.config.execution.inference
        return {name: extractor_digest(kind, self.finder, engine=engine) for name, kind in self.extractor_kinds.items()}

    @cached_property
    def _extractors(self) -> dict[str, Extractor]:
        return {}

    def extractor(self, name: str) -> Extractor:
        """The extractor, its weights verified and loaded once per process."""
        if name not in self._extractors:
            kind = extractors.get(name)
            paths = {file: self.finder.require(file) for file in kind.weights}
            execution = self.config.execution
            chosen = execution.inference != "torch" and execution.inference in kind.engines
            options = {"engine": execution.inference} if chosen else {}
            self._extractors[name] = kind(paths, device=execution.device, **options)
        return self._extractors[name]


def check_before_work(loader: Loader) -> list[Availability]:
    """Everything that can be found out before any work: systems complete, protocols available.

    Returns:
        The protocols that cannot be computed here, with reasons.

    Raises:
        EmoBenchError: when a system or the engine of the networks lacks something it needs.
    """
    execution = loader.config.execution
    problems = [*_engine_problems(execution), *_device_problems(execution)]
    for name, system in loader.suite_systems.items():
        if loader.only_wild and loader.systems[name].needs_driving and not loader.systems[name].anchor:
            problems.append(f"system {name!r} works on the ground truth's video, and no clip of the suite has one")
            continue
        try:
            _ = system_digest(system, loader.systems[name], loader.system_context)
        except EmoBenchError as error:
            problems.append(f"system {name!r}: {error}")
    if problems:
        raise EmoBenchError("\n".join(problems))
    return [entry for entry in loader.availability.values() if not entry.ok]


def _device_problems(execution: Execution) -> list[str]:
    # Workers of Ray may have what the machine that starts them has not.
    if execution.engine == "ray":
        return []
    try:
        require_device(execution.device)
    except ConfigError as error:
        return [f"execution.device: {error}"]
    return []


def _engine_problems(execution: Execution) -> list[str]:
    if execution.inference == "torch":
        return []
    if execution.device != "cpu":
        return [f"execution.inference {execution.inference!r} runs on the device cpu, not on {execution.device!r}"]
    if find_spec(execution.inference) is None:
        return [
            f"execution.inference {execution.inference!r} is not installed: pip install "
            f"'emo-bench[{execution.inference}]', or use torch"
        ]
    return []
