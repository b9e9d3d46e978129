"""Named things that can be looked up without importing them: systems, metrics, extractors."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from emo_core.errors import ConfigError

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps a name to an object, or to ``"package.module:attribute"`` which is imported on first use.

    Lazy targets keep ``emo-bench --help`` fast: registering a network imports nothing.
    Packages outside emo-bench add theirs through an entry-point group of the same name.

    >>> colours: Registry[type] = Registry("colour", entry_point_group="emo_bench.example")
    >>> colours.add("counter", "collections:Counter")
    >>> colours.get("counter").__name__
    'Counter'
    >>> colours.get("conter")
    Traceback (most recent call last):
    ...
    emo_core.errors.ConfigError: unknown colour 'conter'
      expected: one of: counter
      to do:    did you mean 'counter'?
    """

    def __init__(self, kind: str, *, entry_point_group: str) -> None:
        self.kind = kind
        self.entry_point_group = entry_point_group
        self._targets: dict[str, T | str] = {}
        self._outside_loaded = False

    def add(self, name: str, target: T | str) -> None:
        """Registers ``name``; raises ``ConfigError`` when another target already has it."""
        known = self._targets.get(name)
        if known is not None and known != target:
            raise ConfigError(f"{self.kind} {name!r} is registered twice", expected=f"only {known}", found=f"{target}")
        self._targets[name] = target

    def names(self) -> list[str]:
        """All registered names in alphabetical order, those of entry points included."""
        self._load_outside()
        return sorted(self._targets)

    def target(self, name: str) -> T | str:
        """The registered target of ``name`` without importing it; raises ``ConfigError`` when unknown."""
        self._load_outside()
        if name not in self._targets:
            near = difflib.get_close_matches(name, self._targets, n=1)
            raise ConfigError(
                f"unknown {self.kind} {name!r}",
                expected=f"one of: {', '.join(sorted(self._targets)) or '(none registered)'}",
                fix=f"did you mean {near[0]!r}?" if near else "",
            )
        return self._targets[name]

    def get(self, name: str) -> T:
        """The object behind ``name``, imported now if it was registered lazily."""
        target = self.target(name)
        if not isinstance(target, str):
            return target
        module, _, attribute = target.partition(":")
        loaded: T = getattr(importlib.import_module(module), attribute)
        return loaded

    def __contains__(self, name: object) -> bool:
        self._load_outside()
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _load_outside(self) -> None:
        if self._outside_loaded:
            return
        self._outside_loaded = True
        for point in _installed(tuple(sys.path)).select(group=self.entry_point_group):
            self.add(point.name, point.value)


@cache
def _installed(_places: tuple[str, ...]) -> Any:
    """The entry points of all packages on ``sys.path``, read once for all registries."""
    return entry_points()
