"""EMO's stages in order, each resumable at any step, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, extract_model_from_parallel
from torch import Tensor, nn

from emo_models.emo.conditions import ConditionMask
from emo_models.emo.model import EMOModel
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training.batches import Batch, LatentClips
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.guidance_distillation import guided_target
from emo_models.emo.training.loss import denoising_loss, draw_timesteps
from emo_models.emo.training.self_forcing import generated_motion_frames
from emo_models.emo.training.stages import STAGES, describe, parameter_groups
from emo_models.precision import fast_bfloat16
from emo_models.training.averaging import Average
from emo_models.training.clips import step_generator
from emo_models.training.loop import Loop, LoopConfig, Losses, Report, Tensors
from emo_models.training.muon import MuonAdamW, split_matrices
from emo_models.training.network import finite, rise_and_fall
from emo_models.training.workers import ALONE, Workers

Diagnose = Callable[[EMOModel, int, str], dict[str, float]]
"""(model with averaged weights, step over all stages, stage) -> named values."""

SCALER = "scaler"
"""In a checkpoint beside the optimizer's state: the scale of float16 gradients, which outlives stages."""


class Trainer:
    """Trains the stages of a config on prepared clips, as one `Trainee` of the loop.

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
        self.config, self.clips, self.schedule = config, clips, schedule
        self.report, self.diagnose = report, diagnose
        self.model = model
        # Moved before anything is made of its weights: averages lie where they do.
        nn.Module.to(model, self.accelerator.device)
        nn.Module.to(model, memory_format=torch.channels_last)
        if config.gradient_checkpointing:
            model.enable_gradient_checkpointing()
        self.average = Average(self.model, config.ema)
        self.values: list[dict[str, Any]] = []
        self._running: _RunningStage | None = None
        self.loop = Loop(
            self,
            LoopConfig(
                name="EMO",
                steps=sum(stage.steps for stage in config.stages),
                checkpoint_every=config.checkpoint_every,
                log_every=config.log_every,
                also_save=tuple(accumulate(stage.steps for stage in config.stages)),
            ),
            out / "checkpoints",
            report=report,
            after_step=self._after_step,
            state={"values": self.values},
            workers=self.workers,
        )

    def run(self) -> None:
        """Trains to the end, resuming from the latest checkpoint if there is one."""
        self.loop.run()
        self.values = self.loop.state["values"]

    @property
    def history(self) -> list[tuple[int, float]]:
        """The loss of each step over all stages."""
        return [(step, losses["loss"]) for step, losses in self.loop.history]

    def train_step(self, step: int) -> Losses:
        """See `Trainee`."""
        index, inner = self._place(step)
        running = self._running
        if running is None or running.index != index:
            if step:
                # Averaged weights are what a stage leaves behind; parts that the next one freezes stay as they are.
                self.model.load_state_dict(self.average.tensors)
            running = self._enter(index)
        stage = running.stage
        for group, scale in zip(running.optimizer.param_groups, running.scales, strict=True):
            group["lr"] = scale * stage_lr(inner, stage)
        # All of it in one precision: guidance is the difference of two predictions.
        with self.accelerator.autocast():
            loss = self._loss(running.model, stage, inner)
        running.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(running.model.parameters(), self.config.grad_clip)
        value = float(loss.detach())
        # In float16 a step that does not come out is skipped, and the next one is scaled less.
        if self.accelerator.scaler is None:
            finite(value, step)
            finite(float(norm), step, what="gradient")
        running.optimizer.step()
        self.average.update(self.accelerator.unwrap_model(running.model), inner + 1)
        return {"loss": value}

    def tensors(self) -> Tensors:
        """See `Trainee`."""
        return {"model": self.model.state_dict(), "average": self.average.tensors}

    def optimizers(self) -> dict[str, Any]:
        """See `Trainee`."""
        if self._running is None:
            raise RuntimeError("expected a step before a checkpoint, found none")
        state: dict[str, Any] = self._running.optimizer.state_dict()
        scaler = self.accelerator.scaler
        return state if scaler is None else {**state, SCALER: scaler.state_dict()}

    def restore(self, tensors: Tensors, optimizers: dict[str, Any], *, step: int) -> None:
        """See `Trainee`."""
        self.model.load_state_dict(dict(tensors["model"]))
        self.average.load(tensors["average"])
        if self.accelerator.scaler is not None and SCALER in optimizers:
            self.accelerator.scaler.load_state_dict(optimizers.pop(SCALER))
        index, inner = self._place(step)
        if inner and index < len(self.config.stages):
            self._enter(index, resumed=optimizers)

    def _place(self, step: int) -> tuple[int, int]:
        """Stage and step within it."""
        for index, stage in enumerate(self.config.stages):
            if step < stage.steps:
                return index, step
            step -= stage.steps
        return len(self.config.stages), 0

    def _enter(self, index: int, *, resumed: dict[str, Any] | None = None) -> _RunningStage:
        stage = self.config.stages[index]
        self.report(describe(self.model, stage.name, backbone_lr_scale=stage.backbone_lr_scale))
        self.report(f"  mixed precision: {self.accelerator.mixed_precision}")
        # What the stage before left in parts that are frozen now would count in the norm that gradients are clipped to.
        self.model.zero_grad(set_to_none=True)
        # accelerate keeps what it prepared: an optimizer's state in memory, and float16 gradients unscaled for each.
        self._running = None
        self.accelerator.free_memory()
        groups = parameter_groups(self.model, stage.name, backbone_lr_scale=stage.backbone_lr_scale)
        optimizer = make_optimizer(self.config, groups, lr=stage.lr, workers=self.workers)
        if resumed:
            optimizer.load_state_dict(resumed)
        scales = [group["lr_scale"] for group in optimizer.param_groups]
        model, prepared = self.accelerator.prepare(self.model, optimizer)
        model.train()
        self._running = _RunningStage(index, stage, model, prepared, scales)
        return self._running

    def _loss(self, model: Any, stage: StageConfig, step: int) -> Tensor:
        config = self.model.architecture.segment
        frames = stage.frames or config.frames
        batch = self.clips.batch(
            stage,
            frames=frames,
            motion_frames=config.motion_frames,
            seed=self._seed(stage),
            step=step,
            rank=self.accelerator.process_index,
        )
        return clip_loss(model, batch, stage, self.schedule, generator=self._generator(stage, step),
                         device=self.accelerator.device)  # fmt: skip

    def _generator(self, stage: StageConfig, step: int) -> torch.Generator:
        rank = self.accelerator.process_index
        seed = int(step_generator(self._seed(stage), f"noise-{stage.name}", step, rank).integers(2**62))
        return torch.Generator().manual_seed(seed)

    def _seed(self, stage: StageConfig) -> int:
        """The seed of a stage's draws: another one where an earlier stage has its name, which draws depend on."""
        running = self._running
        before = 0 if running is None else [s.name for s in self.config.stages[: running.index]].count(stage.name)
        seed = self.config.seed
        return seed if not before else int(step_generator(seed, "stage", before).integers(2**62))

    def _after_step(self, total: int, losses: Losses) -> None:
        running = self._running
        if running is None or self.diagnose is None or not self.accelerator.is_main_process:
            return
        stage, step = running.stage, self._place(total - 1)[1] + 1
        due = self.config.diagnostics_every and step % self.config.diagnostics_every == 0
        if not due and step != stage.steps:
            return
        with self.average.applied(self.model):
            self.model.eval()
            values = self.diagnose(self.model, total, stage.name)
            self.model.train()
        self.loop.state["values"].append({"step": total, "stage": stage.name, **values})
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.report(f"stage {stage.name}: step {step}: {shown}")


@dataclass(frozen=True, eq=False)
class _RunningStage:
    """The stage that is being trained: model and optimizer as accelerate prepared them, and the groups' rates."""

    index: int
    stage: StageConfig
    model: Any
    optimizer: Any
    scales: list[float]


def make_accelerator(config: TrainConfig) -> Accelerator:
    """One process, or as many as torchrun started, each with its own batches and with averaged gradients (DDP)."""
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # The others wait while the first process generates samples.
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


def precision_on(device: str, wanted: str) -> str:
    """Accelerate's word for a config's ``mixed_precision``, where ``"auto"`` depends on the device."""
    if wanted != "auto":
        return wanted
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
    condition_mask = ConditionMask(**batch.condition_mask)
    if batch.earlier is not None:
        motion = generated_motion_frames(
            parts,
            batch.earlier,
            schedule,
            reference=reference,
            mask=mask,
            condition_mask=condition_mask,
            generator=generator,
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
        "eyelids": batch.eyelids,
        "condition_mask": condition_mask,
    }
    target = schedule.target(clean, noise, times)
    if stage.guidance_distillation == 1.0:
        prediction = model(noisy, times, **given, temporal=declared.temporal)
    else:
        prediction, unconditional = model(noisy, times, **given, temporal=declared.temporal, with_unconditional=True)
        target = guided_target(target, prediction, unconditional, scale=stage.guidance_distillation)
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
