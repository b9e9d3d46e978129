"""One network with one loss, as the loop trains it."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from emo_models.training.averaging import Average
from emo_models.training.loop import Loop, LoopConfig, Losses, Report, Tensors
from emo_models.training.workers import ALONE, Workers

BeforeStep = Callable[[int, Average | None], None]
"""(step, averaged weights so far), called before each step and again after a resume: for phases within a training."""


class NetworkTrainee:
    """A network, its loss and its optimizer.

    Args:
        network: Trained in place.
        loss_of: The loss of a step, a function of the step and the weights alone; of this process's share of the batch
            where several train together.
        optimizer: Of all weights: a phase may train fewer of them, and a checkpoint has one layout.
        rate: Learning rate of a step; ``None`` leaves it to ``schedule``.
        schedule: PyTorch's, stepped after each step.
        grad_clip: Largest gradient norm, if any.
        ema: Decay of the averaged weights, if there are to be some.
        before_step: Called before each step.
        workers: The processes that train together.
    """

    def __init__(
        self,
        network: nn.Module,
        loss_of: Callable[[int], Tensor],
        optimizer: torch.optim.Optimizer,
        *,
        rate: Callable[[int], float] | None = None,
        schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
        grad_clip: float | None = None,
        ema: float | None = None,
        before_step: BeforeStep | None = None,
        workers: Workers = ALONE,
    ) -> None:
        self.network, self.loss_of, self.optimizer = network, loss_of, optimizer
        self.rate, self.schedule, self.grad_clip = rate, schedule, grad_clip
        self.before_step, self.workers = before_step, workers
        self.average = None if ema is None else Average(network, ema)
        network.train()

    def train_step(self, step: int) -> Losses:
        """See `Trainee`."""
        if self.before_step is not None:
            self.before_step(step, self.average)
        if self.rate is not None:
            set_rate(self.optimizer, self.rate(step))
        loss = self.loss_of(step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        loss = loss.detach()
        self.workers.average([loss, *gradients(self.network), *measured(self.network)])
        value = finite(loss.item(), step)
        clipped_gradients(self.network, step, largest=self.grad_clip)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        if self.average is not None:
            self.average.update(self.network, step + 1)
        return {"loss": value}

    def tensors(self) -> Tensors:
        """See `Trainee`."""
        averages = {} if self.average is None else {"average": self.average.tensors}
        return {"network": self.network.state_dict(), **averages}

    def optimizers(self) -> dict[str, Any]:
        """See `Trainee`."""
        schedule = {} if self.schedule is None else {"schedule": self.schedule.state_dict()}
        return {"optimizer": self.optimizer.state_dict(), **schedule}

    def restore(self, tensors: Tensors, optimizers: dict[str, Any], *, step: int) -> None:
        """See `Trainee`."""
        self.network.load_state_dict(dict(tensors["network"]))
        self.optimizer.load_state_dict(optimizers["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(optimizers["schedule"])
        if self.average is not None:
            self.average.load(tensors["average"])

    def finish(self) -> None:
        """Leaves the averaged weights in the network, in eval mode."""
        if self.average is not None:
            self.network.load_state_dict(self.average.tensors)
        self.network.eval()


class ImageTraining(Protocol):
    """What the training of a small image network needs of its configuration."""

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        ...

    @property
    def lr(self) -> float:
        """Peak learning rate; falls to zero after ``warmup`` steps of rise."""
        ...

    @property
    def warmup(self) -> int:
        """Steps of linear warmup."""
        ...

    @property
    def ema(self) -> float:
        """Decay of the averaged weights, which are the result."""
        ...

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""
        ...


def train_image_network(
    network: nn.Module,
    loss_of: Callable[[int], Tensor],
    config: ImageTraining,
    out: Path,
    *,
    name: str,
    report: Report,
    workers: Workers = ALONE,
) -> None:
    """Trains a small image network in place, or resumes from the latest checkpoint below ``out``.

    Args:
        network: Ends with its averaged weights, in eval mode.
        loss_of: As for `NetworkTrainee`.
        config: Steps and rates.
        out: Gets ``checkpoints/``.
        name: For the user.
        report: Called with lines for the user.
        workers: The processes that train together.
    """
    nn.Module.to(network, memory_format=torch.channels_last)
    trainee = NetworkTrainee(
        network,
        loss_of,
        adamw(network),
        rate=lambda step: config.lr * rise_and_fall(step, steps=config.steps, warmup=config.warmup),
        grad_clip=1.0,
        ema=config.ema,
        workers=workers,
    )
    settings = LoopConfig(name=name, steps=config.steps, checkpoint_every=config.checkpoint_every)
    Loop(trainee, settings, out / "checkpoints", report=report, workers=workers).run()
    trainee.finish()


def adamw(network: nn.Module) -> torch.optim.AdamW:
    """As small image networks are trained here; the rate comes with each step."""
    return torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=1e-4)


def rise_and_fall(step: int, *, steps: int, warmup: int, final: float = 0.0) -> float:
    """Share of the highest learning rate: linear rise over ``warmup`` steps, linear fall to ``final`` at the end.

    >>> [round(rise_and_fall(step, steps=10, warmup=2), 2) for step in (0, 1, 5, 9)]
    [0.5, 0.9, 0.5, 0.1]
    """
    return min((step + 1) / max(warmup, 1), 1.0) * (1 - (1 - final) * step / max(steps, 1))


def finite(value: float, step: int, *, what: str = "loss") -> float:
    """The loss of a step, counted from 0, where it is a number; what is none spoils the weights.

    Raises:
        ValueError: It is none.
    """
    if not isfinite(value):
        raise ValueError(
            f"expected a finite {what} at step {step + 1}, found {value}; the last checkpoint is as it was: "
            "lower the learning rate, or train in full precision"
        )
    return value


def clipped_gradients(network: nn.Module, step: int, *, largest: float | None = None) -> None:
    """Clips the norm of the gradients of a step, counted from 0; a finite loss may have some that are no numbers.

    Raises:
        ValueError: There are such.
    """
    norm = nn.utils.clip_grad_norm_(network.parameters(), inf if largest is None else largest)
    finite(norm.item(), step, what="gradient")


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives all groups one learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def gradients(network: nn.Module) -> list[Tensor]:
    """Of all weights that have one."""
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def measured(network: nn.Module) -> list[Tensor]:
    """What layers measure of the data, such as running means.

    Averaged over processes, means are those of the whole batch and variances those within a share, as in PyTorch's DDP:
    a share should hold a dozen rows.
    """
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]
