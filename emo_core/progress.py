"""What the user sees during a run: a bar with time left on a terminal, plain lines elsewhere; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, TextIO

from emo_core.text import printable


class Display(Protocol):
    """Something that can show how far the work is."""

    def stage(self, name: str, total: int) -> None:
        """Begins a stage of ``total`` steps."""

    def step(self, text: str = "") -> None:
        """One step of the stage is done."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def __enter__(self) -> Display:
        """Starts showing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops showing."""


class Silent:
    """Shows nothing."""

    def stage(self, name: str, total: int) -> None:
        """Does nothing."""

    def step(self, text: str = "") -> None:
        """Does nothing."""

    def say(self, text: str) -> None:
        """Does nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Plain:
    """One line about every tenth of a stage, and every kept line; for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._name, self._total, self._done, self._shown, self._started = "", 0, 0, 0, 0.0

    def stage(self, name: str, total: int) -> None:
        """Names the stage and its size."""
        self._name, self._total, self._done, self._shown, self._started = name, total, 0, 0, time.monotonic()
        self.say(f"{name}: {total}")

    def step(self, text: str = "") -> None:
        """Says how far it is, and how long the rest will take, about every tenth."""
        del text
        self._done += 1
        tenth = self._done * 10 // max(1, self._total)
        if tenth > self._shown:
            self._shown = tenth
            spent = time.monotonic() - self._started
            left = spent / self._done * (self._total - self._done)
            self.say(f"{self._name}: {self._done}/{self._total}, {spent:.0f} s, about {left:.0f} s left")

    def say(self, text: str) -> None:
        """Writes a line."""
        self._stream.write(printable(text) + "\n")
        self._stream.flush()

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Bars:
    """A progress bar per stage, with steps, rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[text]}"),
            console=Console(stderr=True),
        )
        self._task = None if not self._progress else self._progress.add_task("", total=1, visible=False, text="")

    def stage(self, name: str, total: int) -> None:
        """Starts a bar."""
        self._task = self._progress.add_task(name, total=max(1, total), completed=0 if total else 1, text="")

    def step(self, text: str = "") -> None:
        """Moves the bar."""
        from rich.markup import escape

        assert self._task is not None  # noqa: S101 - for the type checker
        self._progress.update(self._task, advance=1, text=escape(printable(text)[:40]))

    def say(self, text: str) -> None:
        """Prints above the bars."""
        from rich.text import Text

        self._progress.console.print(Text(printable(text)))

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


@contextmanager
def display(*, quiet: bool = False) -> Iterator[Display]:
    """The right display for where stderr goes."""
    chosen: Display = Silent() if quiet else Bars() if sys.stderr.isatty() else Plain()
    with chosen:
        yield chosen
