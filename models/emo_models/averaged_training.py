"""The training loop that small networks share: averaged weights, checkpoints, and going on where a run stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from emo_models.averaging import Average
from emo_models.checkpoints import Checkpoint, complete_checkpoints, read_checkpoint, write_checkpoint
from emo_models.workers import ALONE, Workers

Report = Callable[[str], None]
BeforeStep = Callable[[int, Average], None]
"""(step, averaged weights so far), called before each step and again after a resume: for phases within a training."""


@dataclass(frozen=True, kw_only=True)
class AveragedTraining:
    """What the loop needs to know besides the loss.

    Attributes:
        name: What is trained, for the user.
        steps: Optimizer steps.
        rate: Learning rate of a step, from 0.
        ema: Decay of the averaged weights.
        checkpoint_every: Steps.
        report_every: Steps.
        also_save: Steps after which a checkpoint is written besides.
    """

    name: str
    steps: int
    rate: Callable[[int], float]
    ema: float
    checkpoint_every: int
    report_every: int = 50
    also_save: tuple[int, ...] = ()


def rise_and_fall(step: int, *, steps: int, warmup: int, final: float = 0.0) -> float:
    """Share of the highest learning rate: linear rise over ``warmup`` steps, linear fall to ``final`` at the end.

    >>> [round(rise_and_fall(step, steps=10, warmup=2), 2) for step in (0, 1, 5, 9)]
    [0.5, 0.9, 0.5, 0.1]
    """
    return min((step + 1) / max(warmup, 1), 1.0) * (1 - (1 - final) * step / max(steps, 1))


def train_averaged(
    model: nn.Module,
    loss_of: Callable[[int], Tensor],
    settings: AveragedTraining,
    out: Path,
    *,
    report: Report,
    before_step: BeforeStep | None = None,
    workers: Workers = ALONE,
) -> None:
    """Trains with AdamW, or goes on from the latest checkpoint below ``out``; leaves the averaged weights in the model.

    Args:
        model: Trained in place; channels last and in train mode from here on.
        loss_of: The loss of a step, a function of the step and the model's weights alone, so that a resumed run has
            the same curve; of this process's share of the batch where several train together.
        settings: Steps, rates, averages.
        out: Folder for checkpoints.
        report: Called with lines for the user.
        before_step: Called before each step.
        workers: The processes that train together; the first one writes the checkpoints.
    """
    nn.Module.to(model, memory_format=torch.channels_last).train()
    # Before anything is frozen: a phase may train fewer weights, and a checkpoint has one layout.
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.rate(0), betas=(0.9, 0.99), weight_decay=1e-4)
    average = Average(model, settings.ema)
    step, history = 0, []
    found = complete_checkpoints(out / "checkpoints")
    if found:
        saved = read_checkpoint(found[-1])
        model.load_state_dict(dict(saved.tensors["model"]))
        average.load(saved.tensors["average"])
        optimizer.load_state_dict(saved.optimizer)
        step, history = saved.state["step"], saved.state["history"]
        report(f"{settings.name}: going on from step {step}")
    began = time.monotonic()
    while step < settings.steps:
        if before_step is not None:
            before_step(step, average)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(step)
        loss = loss_of(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        loss = loss.detach()
        workers.average([loss, *gradients(model), *measured(model)])
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        average.update(model, step)
        history.append(round(loss.item(), 5))
        if step % settings.report_every == 0:
            recent = float(np.mean(history[-settings.report_every :]))
            seconds = time.monotonic() - began
            report(f"{settings.name}: step {step}/{settings.steps} loss {recent:.4f} ({seconds:.0f} s)")
        due = step % settings.checkpoint_every == 0 or step in (*settings.also_save, settings.steps)
        if due and workers.first:
            write_checkpoint(
                out / "checkpoints",
                Checkpoint(
                    tensors={"model": model.state_dict(), "average": average.tensors},
                    optimizer=optimizer.state_dict(),
                    state={"step": step, "history": history},
                    rng=torch.get_rng_state(),
                ),
                step=step,
            )
    model.load_state_dict(average.tensors)


def gradients(model: nn.Module) -> list[Tensor]:
    """Of all weights that have one."""
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def measured(model: nn.Module) -> list[Tensor]:
    """What layers measure of the data, such as running means.

    Averaged over processes, means are those of the whole batch and variances those within a share, as in PyTorch's DDP:
    a share should hold a dozen rows.
    """
    return [buffer for buffer in model.buffers() if buffer.is_floating_point()]
