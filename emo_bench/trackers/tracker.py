"""The one hook that mirrors a run or a training to experiment trackers; a tracker never stops the work."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from emo_core.errors import ConfigError
from emo_core.progress import Display
from emo_core.registry import Registry
from emo_core.text import printable

Status = Literal["finished", "failed"]
Say = Callable[[str], None]


class Tracker(Protocol):
    """What a backend can do. It may raise anything, at any time; see `Guarded`."""

    def start(self, *, name: str, settings: Mapping[str, float | int | str | bool], folder: Path, where: str) -> None:
        """Opens one mirrored run.

        Args:
            name: Of the run or training.
            settings: Flat; numbers, switches and digests, never a path or a text of the user.
            folder: Where the run's own files lie.
            where: What the user wrote behind the tracker's name: a folder, an address or a project; may be empty.
        """
        ...

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """Finite numbers by name at a step."""
        ...

    def close(self, *, status: Status) -> None:
        """Ends the mirrored run."""
        ...


trackers: Registry[Callable[[], Tracker]] = Registry("tracker", entry_point_group="emo_bench.trackers")
trackers.add("tensorboard", "emo_bench.trackers.tensorboard:TensorBoard")
trackers.add("mlflow", "emo_bench.trackers.mlflow:MLflow")
trackers.add("wandb", "emo_bench.trackers.wandb:WandB")
trackers.add("trackio", "emo_bench.trackers.trackio:Trackio")


class Guarded:
    """A tracker whose first failure is reported and disables it; the work continues.

    Args:
        name: Of the tracker, for messages.
        tracker: The backend.
        say: Called with the message.
    """

    def __init__(self, name: str, tracker: Tracker, say: Say) -> None:
        self.name, self.failed = name, False
        self._tracker, self._say = tracker, say

    def start(self, *, name: str, settings: Mapping[str, float | int | str | bool], folder: Path, where: str) -> None:
        """As `Tracker.start`."""
        self._try(lambda: self._tracker.start(name=name, settings=settings, folder=folder, where=where))

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """As `Tracker.scalars`; numbers that are none are left out."""
        finite = {key: float(value) for key, value in values.items() if math.isfinite(value)}
        if finite:
            self._try(lambda: self._tracker.scalars(finite, step=step))

    def close(self, *, status: Status) -> None:
        """As `Tracker.close`."""
        self._try(lambda: self._tracker.close(status=status))

    def _try(self, call: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            call()
        except Exception as error:  # whatever a tracker does, it is no part of the work
            self.failed = True
            text = printable(" ".join(str(error).split()))[:300]
            self._say(f"tracker {self.name} failed and gets nothing more: {type(error).__name__}: {text}")
            # What has been started there must not stay "running" for ever.
            with contextlib.suppress(Exception):
                self._tracker.close(status="failed")


class Mirror:
    """All trackers of one run or training, as a context; without any it does nothing.

    It can stand in for the function that gets lines for the user (`say`): the training loop then hands it losses too.

    Args:
        wanted: ``NAME`` or ``NAME=WHERE`` for each tracker.
        name: Of the run or training.
        settings: See `numbers_of`.
        folder: Where the run's own files lie.
        say: Gets lines for the user.

    Raises:
        ConfigError: for an unknown name or a library that is not installed; before any work.
    """

    def __init__(
        self,
        wanted: Sequence[str],
        *,
        name: str,
        settings: Mapping[str, float | int | str | bool],
        folder: Path,
        say: Say,
    ) -> None:
        self._say = say
        self._start = {"name": name, "settings": settings, "folder": folder}
        self._all: list[tuple[Guarded, str]] = []
        self._steps: dict[str, int] = {}
        for text in wanted:
            kind, _, where = text.partition("=")
            self._all.append((Guarded(kind, _backend(kind), say), where))

    def __enter__(self) -> Mirror:
        for tracker, where in self._all:
            tracker.start(**self._start, where=where)  # type: ignore[arg-type]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker, _ in self._all:
            tracker.close(status="finished" if kind is None else "failed")

    def __call__(self, text: str) -> None:
        """A line for the user."""
        self._say(text)

    def scalars(self, name: str, step: int, values: Mapping[str, float]) -> None:
        """Numbers of one part of the work at its step.

        Args:
            name: Of the part, for example a training stage.
            step: Of that part.
            values: By name.
        """
        named = {f"{name}/{key}": value for key, value in values.items()}
        for tracker, _ in self._all:
            tracker.scalars(named, step=step)

    def display(self, shown: Display) -> Display:
        """``shown``, which also mirrors how far each stage is when there are trackers."""
        return _MirroredDisplay(self, shown) if self._all else shown


def _backend(kind: str) -> Tracker:
    try:
        return trackers.get(kind)()
    except ImportError as error:
        raise ConfigError(
            f"the tracker {kind} is not installed",
            expected="its library",
            found=str(error),
            fix=f"pip install 'emo-bench[{kind}]'",
        ) from None


class _MirroredDisplay:
    """Counts steps of stages; about a hundred numbers a stage are sent, however many steps it has."""

    def __init__(self, mirror: Mirror, shown: Display) -> None:
        self._mirror, self._shown = mirror, shown
        self._name, self._total, self._done = "", 0, 0

    def stage(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._shown.stage(name, total)

    def step(self, text: str = "") -> None:
        self._done += 1
        self._shown.step(text)
        every = max(1, self._total // 100)
        if self._done % every == 0 or self._done == self._total:
            self._mirror.scalars("progress", self._done, {self._name: self._done / max(1, self._total)})

    def say(self, text: str) -> None:
        self._shown.say(text)

    def __enter__(self) -> _MirroredDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def numbers_of(values: Mapping[str, Any], prefix: str = "") -> dict[str, float | int | bool]:
    """The numbers and switches of nested settings, flat; paths, names and texts stay at home.

    >>> numbers_of({"a": 1, "b": {"c": True, "d": "/home/me"}, "e": [0.5, "x"]})
    {'a': 1, 'b.c': True, 'e.0': 0.5}
    """
    found: dict[str, float | int | bool] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= numbers_of(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            found |= numbers_of({str(index): item for index, item in enumerate(value)}, f"{name}.")
        elif isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
            found[name] = value
    return found
