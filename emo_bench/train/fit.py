"""One small training loop: resumable, repeatable, and quiet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import Field
from torch import nn

from emo_bench.config.schema import Frozen
from emo_core.atomic import atomic_path
from emo_core.rng import derive_seed, torch_generator
from emo_models.precision import bfloat16_where_fast

StepLoss = Callable[[torch.Generator], torch.Tensor]
Progress = Callable[[int, int, str], None]


class Fitting(Frozen):
    """How long and how fast one network learns."""

    steps: int = Field(ge=1, description="Steps of the optimiser")
    batch: int = Field(ge=2, description="Samples a step")
    rate: float = Field(default=2e-3, gt=0, description="Largest learning rate; one cycle, cosine down to zero")
    decay: float = Field(default=1e-2, ge=0, description="Weight decay of AdamW")
    checkpoint_every: int = Field(default=50, ge=1, description="Steps between checkpoints")


def repeatable(network: Callable[[], nn.Module], *, seed: int, purpose: str) -> nn.Module:
    """Builds a network whose first weights depend on (seed, purpose) only; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, f"initial weights of {purpose}"))
        return network()


def fit(
    name: str,
    network: nn.Module,
    loss_of: StepLoss,
    fitting: Fitting,
    *,
    seed: int,
    half: bool,
    work: Path,
    progress: Progress | None = None,
) -> None:
    """Trains ``network`` in place; an interrupted training goes on where its last checkpoint was taken.

    The randomness of a step depends on (seed, name, step) only, so that a resumed training equals an uninterrupted one.

    Args:
        name: Of the network; also of its checkpoint.
        network: With all heads; the caller's ``loss_of`` uses it.
        loss_of: Loss of one step from a generator.
        fitting: Steps and rates.
        seed: Of the whole training.
        half: bfloat16 in forward passes, on processors that have instructions for it.
        work: Folder of checkpoints.
        progress: Told (step, steps, text).
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=fitting.rate, weight_decay=fitting.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=fitting.rate, total_steps=fitting.steps, pct_start=0.1
    )
    checkpoint = work / f"{name}.pt"
    done = _resume(checkpoint, network, optimiser, schedule)
    network.train()
    smooth = 0.0
    for step in range(done, fitting.steps):
        optimiser.zero_grad(set_to_none=True)
        with bfloat16_where_fast(wanted=half):
            loss = loss_of(torch_generator(seed, f"{name} step {step}"))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        now = float(loss.detach())
        smooth = now if step == done else 0.95 * smooth + 0.05 * now
        if (step + 1) % fitting.checkpoint_every == 0 or step + 1 == fitting.steps:
            if progress is not None:
                progress(step + 1, fitting.steps, f"{name}: loss {smooth:.4f}")
            with atomic_path(checkpoint) as temporary:
                state = {"step": step + 1, "network": network.state_dict(), "optimiser": optimiser.state_dict()}
                torch.save({**state, "schedule": schedule.state_dict()}, temporary)
    network.eval()


def _resume(
    checkpoint: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> int:
    if not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    schedule.load_state_dict(state["schedule"])
    return int(state["step"])
