"""The training loop: stages in order, each resumable at any step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, extract_model_from_parallel
from torch import Tensor, nn

from emo_models.averaged_training import rise_and_fall
from emo_models.averaging import Average
from emo_models.checkpoints import Checkpoint, complete_checkpoints, read_checkpoint, write_checkpoint
from emo_models.emo.conditions import ConditionMask
from emo_models.emo.model import EMOModel
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training.batches import Batch, LatentClips
from emo_models.emo.training.built_in_guidance import guided_target
from emo_models.emo.training.clips import step_generator
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.loss import denoising_loss, draw_timesteps
from emo_models.emo.training.muon import MuonAdamW, split_matrices
from emo_models.emo.training.own_motion import own_motion_frames
from emo_models.emo.training.stages import STAGES, describe, parameter_groups
from emo_models.precision import fast_bfloat16
from emo_models.workers import ALONE, Workers

Report = Callable[[str], None]
Diagnose = Callable[[EMOModel, int, str], dict[str, float]]
"""(model with averaged weights, step over all stages, stage) -> named values."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands: stage, step within it, step over all stages."""

    stage: int = 0
    step: int = 0
    total: int = 0


class Trainer:
    """Runs the stages of a config on prepared clips.

    Args:
        config: The settings.
        model: Fresh or pretrained; trained in place.
        clips: Prepared clips.
        schedule: The noise schedule that sampling uses too.
        out: Folder for checkpoints.
        report: Called with lines for the user.
        diagnose: Called every ``diagnostics_every`` steps and at the end of a stage.
        accelerator: accelerate's; by default `make_accelerator`.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: EMOModel,
        clips: LatentClips,
        schedule: NoiseSchedule,
        out: Path,
        *,
        report: Report,
        diagnose: Diagnose | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.accelerator = accelerator or make_accelerator(config)
        self.workers = workers_of(self.accelerator)
        self.config, self.clips, self.schedule, self.out = config, clips, schedule, out
        self.report, self.diagnose = report, diagnose
        self.model = model
        # Moved before anything is made of its weights: averages lie where they do.
        nn.Module.to(model, self.accelerator.device)
        nn.Module.to(model, memory_format=torch.channels_last)
        if config.gradient_checkpointing:
            model.enable_gradient_checkpointing()
        self.average = Average(self.model, config.ema)
        self.history: list[list[float]] = []
        self.values: list[dict[str, Any]] = []
        self.progress = Progress()

    def run(self) -> None:
        """Trains to the end, going on from the latest checkpoint below ``out`` if there is one."""
        found = complete_checkpoints(self.out / "checkpoints")
        saved = read_checkpoint(found[-1]) if found else None
        if saved is not None:
            self._restore(saved)
        for index in range(self.progress.stage, len(self.config.stages)):
            resumed = saved.optimizer if saved is not None and index == self.progress.stage else None
            if index != self.progress.stage:
                self.progress = Progress(stage=index, step=0, total=self.progress.total)
            self._stage(self.config.stages[index], resumed)
            saved = None

    def _stage(self, stage: StageConfig, resumed: dict[str, Any] | None) -> None:
        if self.progress.step >= stage.steps:
            return
        if self.progress.step == 0 and self.progress.total:
            # Averaged weights are what a stage leaves behind; parts that the next one freezes stay as they are then.
            self.model.load_state_dict(self.average.tensors)
        self.report(describe(self.model, stage.name, backbone_lr_scale=stage.backbone_lr_scale))
        self.report(f"  mixed precision: {self.accelerator.mixed_precision}")
        groups = parameter_groups(self.model, stage.name, backbone_lr_scale=stage.backbone_lr_scale)
        optimizer = make_optimizer(self.config, groups, lr=stage.lr, workers=self.workers)
        if resumed:
            optimizer.load_state_dict(resumed)
        scales = [group["lr_scale"] for group in optimizer.param_groups]
        model, prepared = self.accelerator.prepare(self.model, optimizer)
        model.train()
        began = time.monotonic()
        first = self.progress.step
        while self.progress.step < stage.steps:
            step = self.progress.step
            for group, scale in zip(prepared.param_groups, scales, strict=True):
                group["lr"] = scale * stage_lr(step, stage)
            # All of it in one precision: guidance is the difference of two predictions.
            with self.accelerator.autocast():
                loss = self._loss(model, stage, step)
            prepared.zero_grad(set_to_none=True)
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(model.parameters(), self.config.grad_clip)
            prepared.step()
            self.progress = Progress(stage=self.progress.stage, step=step + 1, total=self.progress.total + 1)
            self.average.update(self.accelerator.unwrap_model(model), self.progress.step)
            self.history.append([self.progress.total, float(loss.detach())])
            self._after_step(stage, prepared, began, first)

    def _loss(self, model: Any, stage: StageConfig, step: int) -> Tensor:
        config = self.model.architecture.segment
        frames = stage.frames or config.frames
        batch = self.clips.batch(
            stage,
            frames=frames,
            motion_frames=config.motion_frames,
            seed=self.config.seed,
            step=step,
            rank=self.accelerator.process_index,
        )
        return clip_loss(model, batch, stage, self.schedule, generator=self._generator(stage, step),
                         device=self.accelerator.device)  # fmt: skip

    def _generator(self, stage: StageConfig, step: int) -> torch.Generator:
        rank = self.accelerator.process_index
        seed = int(step_generator(self.config.seed, f"noise-{stage.name}", step, rank).integers(2**62))
        return torch.Generator().manual_seed(seed)

    def _after_step(self, stage: StageConfig, optimizer: Any, began: float, first: int) -> None:
        config, step, total = self.config, self.progress.step, self.progress.total
        last = step == stage.steps
        if step % config.log_every == 0 or last:
            recent = [value for _, value in self.history[-config.log_every :]]
            rate = (step - first) / max(time.monotonic() - began, 1e-6)
            self.report(
                f"stage {stage.name}: step {step}/{stage.steps}, loss {sum(recent) / len(recent):.4f}, "
                f"{rate:.2f} steps/s, {(stage.steps - step) / max(rate, 1e-6) / 60:.1f} min left"
            )
        due = config.diagnostics_every and step % config.diagnostics_every == 0
        if self.diagnose is not None and (due or last) and self.accelerator.is_main_process:
            with self.average.applied(self.model):
                self.model.eval()
                values = self.diagnose(self.model, total, stage.name)
                self.model.train()
            self.values.append({"step": total, "stage": stage.name, **values})
            shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            self.report(f"stage {stage.name}: step {step}: {shown}")
        if (step % config.checkpoint_every == 0 or last) and self.accelerator.is_main_process:
            self._save(optimizer)

    def _save(self, optimizer: Any) -> None:
        progress = self.progress
        tensors = {"model": self.model.state_dict(), "average": self.average.tensors}
        write_checkpoint(
            self.out / "checkpoints",
            Checkpoint(
                tensors=tensors,
                optimizer=optimizer.state_dict(),
                state={
                    "stage": progress.stage,
                    "step": progress.step,
                    "total": progress.total,
                    "history": self.history,
                    "values": self.values,
                },
                rng=torch.get_rng_state(),
            ),
            step=progress.total,
        )

    def _restore(self, saved: Checkpoint) -> None:
        self.model.load_state_dict(dict(saved.tensors["model"]))
        self.average.load(saved.tensors["average"])
        torch.set_rng_state(saved.rng)
        state = saved.state
        self.progress = Progress(stage=state["stage"], step=state["step"], total=state["total"])
        self.history, self.values = state["history"], state["values"]
        name = self.config.stages[self.progress.stage].name
        self.report(f"going on from stage {name}, step {self.progress.step}")


def make_accelerator(config: TrainConfig) -> Accelerator:
    """One process, or as many as torchrun started, each with its own batches and with averaged gradients (DDP)."""
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # The others wait while the first process draws samples.
    patience = InitProcessGroupKwargs(timeout=timedelta(hours=12))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Accelerator(
        mixed_precision=precision_on(device, config.mixed_precision),
        cpu=device == "cpu",
        kwargs_handlers=[unused, patience],
    )


def workers_of(accelerator: Accelerator) -> Workers:
    """The processes of an accelerator as what small networks are trained with."""
    return Workers(rank=accelerator.process_index, count=accelerator.num_processes, device=str(accelerator.device))


def precision_on(device: str, asked: str) -> str:
    """Accelerate's word for a config's ``mixed_precision``, where ``"auto"`` depends on the device."""
    if asked != "auto":
        return asked
    return "bf16" if fast_bfloat16(device) else "no"


def make_optimizer(
    config: TrainConfig, groups: list[dict[str, Any]], *, lr: float, workers: Workers = ALONE
) -> torch.optim.Optimizer:
    """The config's optimizer for groups as `parameter_groups` gives them."""
    if config.optimizer == "muon":
        return MuonAdamW(split_matrices(groups), lr=lr, weight_decay=config.weight_decay, workers=workers)
    return torch.optim.AdamW(groups, lr=lr, weight_decay=config.weight_decay, fused=True)


def stage_lr(step: int, stage: StageConfig) -> float:
    """Linear rise over ``warmup`` steps, then a linear fall to ``final_lr`` of the highest rate."""
    return stage.lr * rise_and_fall(step, steps=stage.steps, warmup=stage.warmup, final=stage.final_lr)


def clip_loss(
    model: Any,
    batch: Batch,
    stage: StageConfig,
    schedule: NoiseSchedule,
    *,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Loss of one batch: time and noise are drawn on the CPU from ``generator``.

    With temporal modules all frames of a clip share a time; independent images have their own.
    """
    declared = STAGES[stage.name]
    b, f = batch.latents.shape[:2]
    times = draw_timesteps(
        (b,) if declared.temporal else (b, f),
        kind=stage.timesteps,
        train_steps=schedule.config.train_steps,
        mean=stage.logit_mean,
        std=stage.logit_std,
        generator=generator,
    ).to(device)
    noise = torch.randn(batch.latents.shape, generator=generator).to(device)
    batch = batch.to(device)
    reference, motion, mask = batch.reference, batch.motion, batch.mask
    parts: EMOModel = extract_model_from_parallel(model)
    clean = parts.to_residual(batch.latents, reference)
    gates = ConditionMask(**batch.gates)
    if batch.earlier is not None:
        motion = own_motion_frames(
            parts, batch.earlier, schedule, reference=reference, mask=mask, condition_mask=gates, generator=generator
        )
        # Older PyTorch keeps what autocast rounded without gradients, and uses it where there should be some.
        torch.clear_autocast_cache()
    elif motion is not None and stage.motion_noise:
        motion = noisy_motion(parts, motion, reference, largest=stage.motion_noise, generator=generator)
    noisy = schedule.add_noise(clean, noise, times)
    given: dict[str, Any] = {
        "reference": reference,
        "motion": motion,
        "audio": batch.audio,
        "mask": mask,
        "speed": batch.speed,
        "condition_mask": gates,
    }
    target = schedule.target(clean, noise, times)
    if stage.built_in_guidance == 1.0:
        prediction = model(noisy, times, **given, temporal=declared.temporal)
    else:
        prediction, deaf = model(noisy, times, **given, temporal=declared.temporal, with_unconditional=True)
        target = guided_target(target, prediction, deaf, scale=stage.built_in_guidance)
    snr = None if stage.min_snr_gamma is None else schedule.min_snr_weight(times, gamma=stage.min_snr_gamma)
    return denoising_loss(
        prediction,
        target,
        mouth=batch.mouth,
        eyes=batch.eyes,
        mouth_weight=stage.mouth_weight,
        eye_weight=stage.eye_weight,
        snr_weight=snr,
    )


def noisy_motion(
    model: EMOModel, motion: Tensor, reference: Tensor, *, largest: float, generator: torch.Generator
) -> Tensor:
    """Motion frames ``[b, n, c, h, w]`` a little wrong, as the network's own are from the second clip on.

    The noise is measured in what is diffused: latents differ between people far more than from frame to frame.
    """
    size = largest * torch.rand(len(motion), 1, 1, 1, 1, generator=generator)
    noise = (size * torch.randn(motion.shape, generator=generator)).to(motion.device)
    return model.from_residual(model.to_residual(motion, reference) + noise, reference)
