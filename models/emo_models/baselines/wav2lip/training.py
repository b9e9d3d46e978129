"""Training of the sync expert, and of the generator with or without expert and discriminator; resumes exactly."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from emo_models.baselines.wav2lip.config import Wav2LipConfig
from emo_models.baselines.wav2lip.discriminator import (
    QualityDiscriminator,
    discriminator_loss,
    generator_quality_loss,
)
from emo_models.baselines.wav2lip.generator import Generator
from emo_models.baselines.wav2lip.sync_expert import SyncExpert, lower_halves, sync_loss
from emo_models.baselines.wav2lip.training_config import TrainOptions
from emo_models.baselines.wav2lip.windows import WindowSampler
from emo_models.initial_weights import initial_weights
from emo_models.precision import bfloat16_where_fast
from emo_models.training.loop import Losses, Tensors
from emo_models.training.network import clipped_gradients, finite, set_rate


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
        with initial_weights(options.seed):
            self.expert = SyncExpert(config)
        self.optimizer = torch.optim.Adam(self.expert.parameters(), lr=options.learning_rate)

    def train_step(self, step: int) -> Losses:
        """One optimizer step; returns the loss and how many pairs were judged rightly."""
        mel, mouths, labels = self.sampler.expert_batch(step, batch_size=self.options.batch_size)
        self.expert.train()
        set_rate(self.optimizer, self.options.rate_at(step))
        audio, face = self.expert(mel, mouths)
        loss = sync_loss(audio, face, labels)
        value = finite(loss.item(), step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clipped_gradients(self.expert, step)
        self.optimizer.step()
        right = ((F.cosine_similarity(audio, face) > 0.5) == (labels > 0.5)).float().mean()
        return {"sync": value, "accuracy": right.item()}

    def tensors(self) -> Tensors:
        """See `Trainee`."""
        return {"expert": self.expert.state_dict()}

    def optimizers(self) -> dict[str, Any]:
        """See `Trainee`."""
        return {"optimizer": self.optimizer.state_dict()}

    def restore(self, tensors: Tensors, optimizers: dict[str, Any], *, step: int) -> None:
        """See `Trainee`."""
        self.expert.load_state_dict(dict(tensors["expert"]))
        self.optimizer.load_state_dict(optimizers["optimizer"])

    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be continued."""
        return {"kind": "expert", **self.expert.config.to_dict(), **self.options.model_dump()}


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
        for clip in sampler.clips:
            if min(len(clip.faces) - 1, clip.heard(config.window_start)) < options.window_frames:
                raise ValueError(
                    f"clip {clip.clip.id}: expected window_frames = {options.window_frames} frames with their whole "
                    f"audio windows, and another window for the reference: {len(clip.faces)} frames"
                )
        self.options, self.sampler = options, sampler
        with initial_weights(options.seed):
            self.generator = Generator(config).to(memory_format=torch.channels_last)
            self.discriminator = QualityDiscriminator(config) if options.quality_weight > 0 else None
        self.expert = expert.eval().requires_grad_(False) if expert is not None else None
        # Published: beside a discriminator both have a shorter momentum.
        betas = (0.5, 0.999) if self.discriminator is not None else (0.9, 0.999)
        self.optimizer = torch.optim.Adam(self.generator.parameters(), lr=options.learning_rate, betas=betas)
        self.judge_optimizer = (
            torch.optim.Adam(self.discriminator.parameters(), lr=options.learning_rate, betas=betas)
            if self.discriminator is not None
            else None
        )

    def train_step(self, step: int) -> Losses:
        """One optimizer step of the generator (and then of the discriminator); returns the losses."""
        options = self.options
        batch = self.sampler.generator_batch(step, batch_size=options.batch_size, frames=options.window_frames)
        self.generator.train()
        set_rate(self.optimizer, options.rate_at(step))
        with bfloat16_where_fast(wanted=options.precision == "bfloat16"):
            painted = self.generator.forward_windows(batch.frame_mel, batch.inputs)
        painted = painted.float()
        losses: dict[str, Tensor] = {"l1": reconstruction_loss(painted, batch.target, options.lower_weight)}
        total = options.reconstruction_weight * losses["l1"]
        if self.expert is not None and options.sync_weight > 0 and step >= options.sync_from:
            audio, face = self.expert(batch.window_mel, lower_halves(painted))
            losses["sync"] = sync_loss(audio, face, torch.ones(len(audio)))
            total = total + options.sync_weight * losses["sync"]
        if self.discriminator is not None:
            losses["quality"] = generator_quality_loss(self.discriminator, painted)
            total = total + options.quality_weight * losses["quality"]
        finite(total.item(), step)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        clipped_gradients(self.generator, step)
        self.optimizer.step()
        if self.discriminator is not None and self.judge_optimizer is not None:
            losses["judge"] = self._train_judge(batch.target, painted.detach(), step)
        return {name: finite(value.item(), step) for name, value in losses.items()}

    def _train_judge(self, real: Tensor, painted: Tensor, step: int) -> Tensor:
        if self.discriminator is None or self.judge_optimizer is None:
            raise RuntimeError("no discriminator")
        set_rate(self.judge_optimizer, self.options.rate_at(step))
        loss = discriminator_loss(self.discriminator, real, painted)
        self.judge_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clipped_gradients(self.discriminator, step)
        self.judge_optimizer.step()
        return loss.detach()

    def tensors(self) -> Tensors:
        """See `Trainee`."""
        judge = {"discriminator": self.discriminator.state_dict()} if self.discriminator is not None else {}
        return {"generator": self.generator.state_dict(), **judge}

    def optimizers(self) -> dict[str, Any]:
        """See `Trainee`."""
        judge = {"judge_optimizer": self.judge_optimizer.state_dict()} if self.judge_optimizer is not None else {}
        return {"optimizer": self.optimizer.state_dict(), **judge}

    def restore(self, tensors: Tensors, optimizers: dict[str, Any], *, step: int) -> None:
        """See `Trainee`."""
        self.generator.load_state_dict(dict(tensors["generator"]))
        self.optimizer.load_state_dict(optimizers["optimizer"])
        if self.discriminator is not None and self.judge_optimizer is not None:
            self.discriminator.load_state_dict(dict(tensors["discriminator"]))
            self.judge_optimizer.load_state_dict(optimizers["judge_optimizer"])

    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be continued."""
        return {"kind": "generator", **self.generator.config.to_dict(), **self.options.model_dump()}


def reconstruction_loss(painted: Tensor, target: Tensor, lower_weight: float = 0.0) -> Tensor:
    """Mean absolute difference (paper, eq. 2), with ``lower_weight`` times that of the lower half added."""
    loss = F.l1_loss(painted, target)
    if lower_weight > 0:
        half = target.shape[-2] // 2
        loss = loss + lower_weight * F.l1_loss(painted[..., half:, :], target[..., half:, :])
    return loss
