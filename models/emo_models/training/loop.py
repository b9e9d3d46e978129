"""The training loop of every network here: resumes bit-identically, saves atomically, logs, and stops on request."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor

from emo_models.training.checkpoints import Checkpoint, complete_checkpoints, read_checkpoint, write_checkpoint
from emo_models.training.workers import ALONE, Workers

Report = Callable[[str], None]
"""Called with lines for the user; one with a method ``scalars(name, step, values)`` gets mean losses as well."""

Losses = Mapping[str, float]
Tensors = Mapping[str, Mapping[str, Tensor]]
AfterStep = Callable[[int, Losses], None]
"""(finished steps, losses of the last one), called before a checkpoint is written."""


class Trainee(Protocol):
    """What the loop trains. A step depends on its number and the state alone, so that a resumed run is the same run."""

    def train_step(self, step: int) -> Losses:
        """One update of the weights; steps count from 0. The first loss is the one that is reported."""
        ...

    def tensors(self) -> Tensors:
        """Weights by group."""
        ...

    def optimizers(self) -> dict[str, Any]:
        """State of all optimizers and schedules."""
        ...

    def restore(self, tensors: Tensors, optimizers: dict[str, Any], *, step: int) -> None:
        """Takes over a state that was saved after ``step`` steps."""
        ...


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What the loop needs to know besides the trainee.

    Attributes:
        name: What is trained, for the user.
        steps: Optimizer steps.
        checkpoint_every: Steps between checkpoints; the last step is always saved.
        log_every: Steps between lines.
        also_save: Steps after which a checkpoint is written besides.
        identity: What must be equal for a checkpoint to be continued.
    """

    name: str
    steps: int
    checkpoint_every: int
    log_every: int = 50
    also_save: tuple[int, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)


class Loop:
    """Trains to the last step, from the latest checkpoint below ``folder`` if there is one.

    Args:
        trainee: Trained in place.
        config: Steps and names.
        folder: Of checkpoints.
        report: Called with lines for the user.
        after_step: Called after each step.
        should_stop: Asked after each step; ``True`` saves and ends early.
        state: Saved and restored besides, in place; anything JSON holds.
        workers: The processes that train together; the first one writes the checkpoints.

    Attributes:
        step: Finished steps.
        history: Of each step its number, from 1, and its losses.
    """

    def __init__(
        self,
        trainee: Trainee,
        config: LoopConfig,
        folder: Path,
        *,
        report: Report,
        after_step: AfterStep | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        state: dict[str, Any] | None = None,
        workers: Workers = ALONE,
    ) -> None:
        self.trainee, self.config, self.folder = trainee, config, folder
        self.report, self.after_step, self.should_stop, self.workers = report, after_step, should_stop, workers
        self.state = {} if state is None else state
        self.step = 0
        self.history: list[tuple[int, dict[str, float]]] = []

    def run(self) -> None:
        """Resumes and trains.

        Raises:
            ValueError: The checkpoint was made with other settings.
            KeyboardInterrupt: Somebody asked to stop; the last step is saved.
        """
        self.resume()
        config = self.config
        began, first = time.monotonic(), self.step
        with stop_requests() as signals:
            while self.step < config.steps:
                losses = dict(self.trainee.train_step(self.step))
                self.step += 1
                self.history.append((self.step, losses))
                if self.step % config.log_every == 0 or self.step == config.steps:
                    self._log(began, first)
                if self.after_step is not None:
                    self.after_step(self.step, losses)
                # A signal reaches processes between different steps, so those that train together do not wait for it.
                stop = self.should_stop() or (bool(signals) and self.workers.count == 1)
                due = self.step % config.checkpoint_every == 0 or self.step in (*config.also_save, config.steps)
                if (due or stop) and self.workers.first:
                    self._save()
                if signals and stop:
                    raise KeyboardInterrupt
                if stop:
                    return
            # One that came while the last step was saved is for whatever comes after the training.
            if signals and self.workers.count == 1:
                raise KeyboardInterrupt

    def resume(self) -> None:
        """Takes over the latest checkpoint, if there is one."""
        found = complete_checkpoints(self.folder)
        if not found:
            return
        saved = read_checkpoint(found[-1])
        self._check_identity(saved.state["identity"], found[-1])
        self.step = saved.state["step"]
        self.history = [(step, losses) for step, losses in saved.state["history"]]
        self.state.update(saved.state["more"])
        self.trainee.restore(saved.tensors, saved.optimizer, step=self.step)
        torch.set_rng_state(saved.rng)
        if self.step < self.config.steps:
            self.report(f"{self.config.name}: resuming from step {self.step}")

    def _check_identity(self, found: Mapping[str, Any], path: Path) -> None:
        wanted = self.config.identity
        # What an earlier version did not write down cannot be compared.
        different = sorted(key for key in found if wanted.get(key) != found[key])
        if different:
            raise ValueError(
                f"{path} was made with other settings ({', '.join(different)}); "
                "delete it, or choose another output folder"
            )

    def _log(self, began: float, first: int) -> None:
        config = self.config
        recent = [next(iter(losses.values())) for _, losses in self.history[-config.log_every :]]
        rate = (self.step - first) / max(time.monotonic() - began, 1e-6)
        scalars = getattr(self.report, "scalars", None)
        if scalars is not None and self.workers.first:
            scalars(config.name, self.step, self._means(config.log_every))
        self.report(
            f"{config.name}: step {self.step}/{config.steps}, loss {sum(recent) / len(recent):.4f}, "
            f"{rate:.2f} steps/s, {(config.steps - self.step) / max(rate, 1e-6) / 60:.1f} min left"
        )

    def _means(self, n_steps: int) -> dict[str, float]:
        """Mean of every loss over the last steps; steps without a loss do not count for it."""
        found: dict[str, list[float]] = {}
        for _, losses in self.history[-n_steps:]:
            for name, value in losses.items():
                found.setdefault(name, []).append(float(value))
        return {name: sum(values) / len(values) for name, values in found.items()}

    def _save(self) -> None:
        write_checkpoint(
            self.folder,
            Checkpoint(
                tensors=self.trainee.tensors(),
                optimizer=self.trainee.optimizers(),
                state={
                    "step": self.step,
                    "history": self.history,
                    "identity": dict(self.config.identity),
                    "more": self.state,
                },
                rng=torch.get_rng_state(),
            ),
            step=self.step,
        )


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """A list that gets the first Ctrl-C or SIGTERM; a second one has its usual effect."""
    signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        for other, handler in usual.items():
            signal.signal(other, handler)

    for number in usual:
        signal.signal(number, ask)
    try:
        yield signals
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
