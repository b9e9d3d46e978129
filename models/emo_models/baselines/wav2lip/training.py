"""Training of the sync expert, and of the generator with or without expert and discriminator; resumes exactly."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from emo_core.atomic import write_bytes
from emo_models.baselines.wav2lip.config import SYNC_FRAMES, Wav2LipConfig
from emo_models.baselines.wav2lip.discriminator import (
    QualityDiscriminator,
    discriminator_loss,
    generator_quality_loss,
)
from emo_models.baselines.wav2lip.generator import Generator
from emo_models.baselines.wav2lip.sync_expert import SyncExpert, lower_halves, sync_loss
from emo_models.baselines.wav2lip.windows import WindowSampler
from emo_models.precision import bfloat16_where_fast

Losses = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How a network is trained; defaults are the paper's where it names a value.

    Attributes:
        steps: Optimiser steps.
        batch_size: Windows a step.
        learning_rate: Of Adam.
        final_rate: The learning rate falls linearly to this part of itself; 1 keeps it (published).
        window_frames: Frames of a window; 5 is published and needed by the losses of expert and discriminator.
        sync_weight: Weight of the expert's loss (published 0.03, once the generator draws faces).
        sync_from: Step from which the expert's loss counts.
        quality_weight: Weight of the discriminator's loss (published 0.07; 0 for the generator without it).
        lower_weight: Extra weight of the lower half in the reconstruction loss; 0 is published.
        mirror: Mirror half of the examples; published training does not.
        precision: 'bfloat16' computes the generator's layers in mixed precision where the processor has instructions
            for it (about twice as fast there).
        seed: Of initial weights and examples.
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 1e-4
    final_rate: float = 1.0
    window_frames: int = SYNC_FRAMES
    sync_weight: float = 0.0
    sync_from: int = 0
    quality_weight: float = 0.0
    lower_weight: float = 0.0
    mirror: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses combinations that cannot be trained."""
        if self.steps < 1 or self.batch_size < 1 or self.learning_rate <= 0 or not 0 <= self.final_rate <= 1:
            raise ValueError("expected steps >= 1, batch_size >= 1, learning_rate > 0 and final_rate in [0, 1]")
        if min(self.sync_weight, self.quality_weight, self.lower_weight) < 0 or self.reconstruction_weight < 0:
            raise ValueError("expected weights >= 0 whose sum is at most 1")
        if (self.sync_weight or self.quality_weight) and self.window_frames != SYNC_FRAMES:
            raise ValueError(f"expert and discriminator judge windows of {SYNC_FRAMES} frames")

    @property
    def reconstruction_weight(self) -> float:
        """What is left for the reconstruction loss."""
        return 1.0 - self.sync_weight - self.quality_weight

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.learning_rate * (1.0 - (1.0 - self.final_rate) * min(1.0, step / self.steps))


class ExpertTrainer:
    """Trains the sync expert with the loss of equation 1.

    Args:
        config: Size of the network.
        options: How it is trained.
        sampler: Where examples come from.
    """

    def __init__(self, config: Wav2LipConfig, options: TrainOptions, sampler: WindowSampler) -> None:
        if options.batch_size < 2:
            raise ValueError("expected batch_size >= 2: batch normalisation needs more than one pair")
        self.options, self.sampler = options, sampler
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.expert = SyncExpert(config)
        self.optimiser = torch.optim.Adam(self.expert.parameters(), lr=options.learning_rate)
        self.step = 0

    def train_step(self) -> Losses:
        """One optimiser step; returns the loss and how many pairs were judged rightly."""
        mel, mouths, labels = self.sampler.expert_batch(self.step, batch_size=self.options.batch_size)
        self.expert.train()
        _set_rate(self.optimiser, self.options.rate_at(self.step))
        audio, face = self.expert(mel, mouths)
        loss = sync_loss(audio, face, labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        right = ((F.cosine_similarity(audio, face) > 0.5) == (labels > 0.5)).float().mean()
        return {"sync": loss.item(), "accuracy": right.item()}

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {"expert": self.expert.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """The inverse of ``state``."""
        self.expert.load_state_dict(state["expert"])
        self.optimiser.load_state_dict(state["optimiser"])

    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be continued."""
        return {"kind": "expert", "config": self.expert.config.to_dict(), "options": asdict(self.options)}


class GeneratorTrainer:
    """Trains the generator: reconstruction, and with weights above 0 also expert and discriminator (paper, eq. 4).

    Args:
        config: Size of the networks.
        options: How it is trained.
        sampler: Where examples come from.
        expert: A trained expert, needed when ``sync_weight`` is above 0; it stays as it is.
    """

    def __init__(
        self, config: Wav2LipConfig, options: TrainOptions, sampler: WindowSampler, *, expert: SyncExpert | None = None
    ) -> None:
        if options.sync_weight > 0 and expert is None:
            raise ValueError("sync_weight is above 0: expected a trained sync expert, found none")
        if options.batch_size * options.window_frames < 2:
            raise ValueError("expected more than one frame a step: batch normalisation needs them")
        self.options, self.sampler = options, sampler
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.generator = Generator(config).to(memory_format=torch.channels_last)
            self.discriminator = QualityDiscriminator(config) if options.quality_weight > 0 else None
        self.expert = expert.eval().requires_grad_(False) if expert is not None else None
        self.optimiser = torch.optim.Adam(self.generator.parameters(), lr=options.learning_rate)
        self.judge_optimiser = (
            torch.optim.Adam(self.discriminator.parameters(), lr=options.learning_rate, betas=(0.5, 0.999))
            if self.discriminator
            else None
        )
        self.step = 0

    def train_step(self) -> Losses:
        """One optimiser step of the generator (and then of the discriminator); returns the losses."""
        options = self.options
        batch = self.sampler.generator_batch(self.step, batch_size=options.batch_size, frames=options.window_frames)
        self.generator.train()
        _set_rate(self.optimiser, options.rate_at(self.step))
        with bfloat16_where_fast(wanted=options.precision == "bfloat16"):
            painted = self.generator.forward_windows(batch.frame_mel, batch.inputs)
        painted = painted.float()
        losses: dict[str, Tensor] = {"l1": reconstruction_loss(painted, batch.target, options.lower_weight)}
        total = options.reconstruction_weight * losses["l1"]
        if self.expert is not None and options.sync_weight > 0 and self.step >= options.sync_from:
            audio, face = self.expert(batch.window_mel, lower_halves(painted))
            losses["sync"] = sync_loss(audio, face, torch.ones(len(audio)))
            total = total + options.sync_weight * losses["sync"]
        if self.discriminator is not None:
            losses["quality"] = generator_quality_loss(self.discriminator, painted)
            total = total + options.quality_weight * losses["quality"]
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        if self.discriminator is not None and self.judge_optimiser is not None:
            losses["judge"] = self._train_judge(batch.target, painted.detach())
        self.step += 1
        return {name: value.item() for name, value in losses.items()}

    def _train_judge(self, real: Tensor, painted: Tensor) -> Tensor:
        if self.discriminator is None or self.judge_optimiser is None:
            raise RuntimeError("no discriminator")
        _set_rate(self.judge_optimiser, self.options.rate_at(self.step))
        loss = discriminator_loss(self.discriminator, real, painted)
        self.judge_optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.judge_optimiser.step()
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        state: dict[str, Any] = {"generator": self.generator.state_dict(), "optimiser": self.optimiser.state_dict()}
        if self.discriminator is not None and self.judge_optimiser is not None:
            state["discriminator"] = self.discriminator.state_dict()
            state["judge_optimiser"] = self.judge_optimiser.state_dict()
        return state

    def load(self, state: Mapping[str, Any]) -> None:
        """The inverse of ``state``."""
        self.generator.load_state_dict(state["generator"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.discriminator is not None and self.judge_optimiser is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            self.judge_optimiser.load_state_dict(state["judge_optimiser"])

    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be continued."""
        return {"kind": "generator", "config": self.generator.config.to_dict(), "options": asdict(self.options)}


Trainer = ExpertTrainer | GeneratorTrainer


def reconstruction_loss(painted: Tensor, target: Tensor, lower_weight: float = 0.0) -> Tensor:
    """Mean absolute difference (paper, eq. 2), with ``lower_weight`` times that of the lower half added."""
    loss = F.l1_loss(painted, target)
    if lower_weight > 0:
        half = target.shape[-2] // 2
        loss = loss + lower_weight * F.l1_loss(painted[..., half:, :], target[..., half:, :])
    return loss


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Writes a checkpoint that is whole or absent."""
    stream = io.BytesIO()
    torch.save({"identity": trainer.identity(), "step": trainer.step, "state": trainer.state()}, stream)
    write_bytes(path, stream.getvalue())


def resume(trainer: Trainer, path: Path) -> bool:
    """Continues from a checkpoint; False when there is none.

    Raises:
        ValueError: when it belongs to other options, data seed or network size.
    """
    if not path.is_file():
        return False
    content = torch.load(path, map_location="cpu", weights_only=True)
    wanted, found = trainer.identity(), content["identity"]
    if wanted != found:
        different = [
            f"{part}.{key}"
            for part in ("config", "options")
            for key in wanted[part]
            if wanted[part][key] != found.get(part, {}).get(key)
        ]
        raise ValueError(
            f"{path} was made with other options ({', '.join(different) or 'another kind of network'}); "
            "delete it, or choose another output folder"
        )
    trainer.load(content["state"])
    trainer.step = int(content["step"])
    return True


def train(
    trainer: Trainer,
    *,
    checkpoint: Path,
    checkpoint_every: int = 500,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Losses]]:
    """Runs to the last step, resuming from ``checkpoint`` when it exists and saving there.

    Args:
        trainer: What is trained.
        checkpoint: Where its state is kept.
        checkpoint_every: Steps between saves; the end is always saved.
        should_stop: Asked after every step; True saves and ends early.

    Yields:
        Number of finished steps and the losses of the last one.
    """
    resume(trainer, checkpoint)
    stopped = False
    while trainer.step < trainer.options.steps and not stopped:
        losses = trainer.train_step()
        stopped = should_stop()
        if stopped or trainer.step % checkpoint_every == 0 or trainer.step == trainer.options.steps:
            save_checkpoint(trainer, checkpoint)
        yield trainer.step, losses


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
