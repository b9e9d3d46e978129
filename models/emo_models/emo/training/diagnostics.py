"""Cheap measurements that show early whether EMO learns what it should: audio, motion, segment boundaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.emo.conditions import ConditionMask
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import EMOPipeline, recommended_sampling
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training.batches import Batch, LatentClips
from emo_models.emo.training.config import StageConfig
from emo_models.emo.training.guidance_distillation import guidance_found
from emo_models.emo.training.loss import region_mean
from emo_models.training.clips import TrainingClip, TrainingClips
from emo_models.training.mouth_reader import MouthReader, box_middle, correlation, lag_curve, read_opening


@torch.no_grad()
def audio_gap(model: EMOModel, batch: Batch, schedule: NoiseSchedule, *, seed: int = 0) -> dict[str, float]:
    """How much the audio matters, at the middle of the schedule.

    Returns:
        ``audio_gap``: loss in the mouth box with the right audio minus with another clip's, relative to the latter;
        must become negative; left out of a batch of one, which has no other clip. ``guidance_energy``: change of the
        prediction when audio is left out, inside the mouth box over outside; above 1 when audio moves the mouth first
        of all.
    """
    batch = batch.to(model.device)
    if batch.audio is None:
        return {}
    times, noise = _middle_noise(batch, schedule, seed)
    clean = model.to_residual(batch.latents, batch.reference)
    target = schedule.target(clean, noise, times)
    temporal = batch.motion is not None

    def predict(audio: Tensor | None) -> Tensor:
        prediction: Tensor = model(
            schedule.add_noise(clean, noise, times), times, reference=batch.reference, motion=batch.motion,
            audio=audio, mask=batch.mask, speed=batch.speed, eyelids=batch.eyelids,
            temporal=temporal,
        )  # fmt: skip
        return prediction

    right, none = predict(batch.audio), predict(None)

    def mouth_loss(prediction: Tensor) -> float:
        return float(region_mean((prediction - target).square().mean(2), batch.mouth).mean())

    change = (right - none).square().mean(2)
    inside = float(region_mean(change, batch.mouth).mean())
    outside = float(region_mean(change, 1 - batch.mouth).mean())
    found = {"guidance_energy": inside / max(outside, 1e-12)}
    if len(batch.audio) > 1:
        loss_wrong = mouth_loss(predict(batch.audio.roll(1, 0)))
        found["audio_gap"] = (mouth_loss(right) - loss_wrong) / max(loss_wrong, 1e-9)
    return found


def _middle_noise(batch: Batch, schedule: NoiseSchedule, seed: int) -> tuple[Tensor, Tensor]:
    """Times at the middle of the schedule and noise, on the batch's device."""
    device = batch.latents.device
    times = torch.full(batch.latents.shape[:1], schedule.config.train_steps // 2, device=device)
    noise = torch.randn(batch.latents.shape, generator=torch.Generator().manual_seed(seed))
    return times, noise.to(device)


@torch.no_grad()
def motion_dependence(model: EMOModel, batch: Batch, schedule: NoiseSchedule, *, seed: int = 0) -> float:
    """Relative change of the prediction when the motion frames become zero maps, in the mode the model is in."""
    if batch.motion is None:
        return 0.0
    batch = batch.to(model.device)
    times, noise = _middle_noise(batch, schedule, seed)
    noisy = schedule.add_noise(model.to_residual(batch.latents, batch.reference), noise, times)

    def predict(gate: float) -> Tensor:
        condition_mask = ConditionMask(motion=torch.full((len(noisy),), gate, device=noisy.device))
        prediction: Tensor = model(
            noisy,
            times,
            reference=batch.reference,
            motion=batch.motion,
            audio=batch.audio,
            mask=batch.mask,
            eyelids=batch.eyelids,
            condition_mask=condition_mask,
        )
        return prediction

    kept, zeroed = predict(1.0), predict(0.0)
    return float((kept - zeroed).norm() / kept.norm())


@torch.no_grad()
def guidance_reached(
    model: EMOModel, batches: Iterable[Batch], schedule: NoiseSchedule, *, seed: int = 0
) -> float | None:
    """The audio guidance that weights have built in, by `guidance_found`; a little over 1 in ordinary weights.

    Args:
        model: The network.
        batches: Clips with audio; times are spread over the middle of the schedule, where audio matters.
        schedule: The noise schedule.
        seed: Of times and noise.

    Returns:
        The scale; ``None`` where audio changes nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    sums = np.zeros(2)
    for batch in (batch.to(model.device) for batch in batches):
        shares = 0.3 + 0.6 * torch.rand(len(batch.latents), generator=generator)
        times = (shares * schedule.config.train_steps).long().to(model.device)
        noise = torch.randn(batch.latents.shape, generator=generator).to(model.device)
        clean = model.to_residual(batch.latents, batch.reference)
        noisy = schedule.add_noise(clean, noise, times)
        given: dict[str, Any] = {
            "reference": batch.reference,
            "motion": batch.motion,
            "audio": batch.audio,
            "mask": batch.mask,
            "eyelids": batch.eyelids,
            "condition_mask": ConditionMask(speed=torch.zeros(len(noisy), device=noisy.device)),
        }
        conditional, unconditional = model(noisy, times, **given, with_unconditional=True)
        sums += guidance_found(schedule.target(clean, noise, times), conditional, unconditional)
    return float(sums[0] / sums[1]) if sums[0] else None


def boundary_score(frames: NDArray[np.uint8], *, segment_frames: int) -> float:
    """Mean frame difference across segment boundaries over the mean inside segments; 1 is no boundary to be seen.

    Raises:
        ValueError: The video is no longer than one clip.
    """
    steps = np.abs(np.diff(frames.astype(np.float32), axis=0)).mean((1, 2, 3))
    boundaries = np.arange(len(steps)) % segment_frames == segment_frames - 1
    if not boundaries.any() or boundaries.all():
        raise ValueError(f"expected a video of more than {segment_frames} frames, found {len(frames)}")
    return float(steps[boundaries].mean() / max(float(steps[~boundaries].mean()), 1e-9))


@dataclass(frozen=True, eq=False, kw_only=True)
class SpeechCheck:
    """What generated videos of known clips show.

    Attributes:
        correlation: Mean over clips of the correlation of generated and true mouth opening.
        per_clip: The same per clip.
        lag: Peak of the lag curve in frames; positive is late.
        curve: Correlation per lag.
        reader_correlation: The reader's own correlation on the real frames of the same clips.
        boundary: Mean boundary score.
        videos: The frames, in order of clips.
    """

    correlation: float
    per_clip: tuple[float, ...]
    lag: int
    curve: dict[int, float]
    reader_correlation: float
    boundary: float
    videos: tuple[NDArray[np.uint8], ...]


def check_speech(
    pipeline: EMOPipeline,
    clips: Sequence[TrainingClip],
    reader: MouthReader,
    *,
    steps: int = 16,
    audio_guidance: float = 1.0,
    seconds: float | None = None,
    seed: int = 0,
) -> SpeechCheck:
    """Animates each clip's portrait with its audio and reads the mouth."""
    made, truth, own, videos, scores = [], [], [], [], []
    options = replace(recommended_sampling(pipeline.facts), steps=steps, guidance=Guidance(audio=audio_guidance))
    for clip in clips:
        audio = clip.audio if seconds is None else clip.audio[: int(seconds * 16_000)]
        output = pipeline(clip.frames[clip.reference_index], audio, seed=seed, options=options,
                          face_region=_region(clip))  # fmt: skip
        count = min(len(output.frames), len(clip.frames))
        frames = output.frames[:count]
        if clip.mouth_opening is None:
            raise ValueError(f"expected a clip with known mouth opening, found {clip.id}")
        # The generated head may stand elsewhere than the real one: look where the mouth is on average.
        middle = box_middle(clip.mouth_boxes).mean(0, keepdims=True)
        made.append(read_opening(reader, frames, middle))
        truth.append(clip.mouth_opening[:count].astype(np.float64))
        own.append(correlation(read_opening(reader, np.asarray(clip.frames[:count]), middle), truth[-1]))
        videos.append(frames)
        if count > pipeline.model.architecture.segment.frames:
            scores.append(boundary_score(frames, segment_frames=pipeline.model.architecture.segment.frames))
    per_clip = tuple(correlation(a, b) for a, b in zip(made, truth, strict=True))
    curve = lag_curve(made, truth)
    return SpeechCheck(
        correlation=float(np.mean(per_clip)),
        per_clip=per_clip,
        lag=max(curve, key=lambda lag: curve[lag]),
        curve=curve,
        reader_correlation=float(np.mean(own)),
        boundary=float(np.mean(scores)) if scores else float("nan"),
        videos=tuple(videos),
    )


def _region(clip: TrainingClip) -> tuple[float, float, float, float]:
    height, width = clip.frames.shape[1:3]
    low, high = clip.face_boxes[:, :2].min(0), clip.face_boxes[:, 2:].max(0)
    return (
        float(max(low[0] / width, 0.0)),
        float(max(low[1] / height, 0.0)),
        float(min(high[0] / width, 1.0)),
        float(min(high[1] / height, 1.0)),
    )


def frame_motion(frames: NDArray[np.uint8]) -> float:
    """Mean absolute change from frame to frame, in grey levels; tells head speed where no pose is known."""
    return float(np.abs(np.diff(frames.astype(np.float32), axis=0)).mean())


def probe_batch(clips: LatentClips, stage: StageConfig, model: Any, *, seed: int = 0, number: int = 0) -> Batch:
    """A fixed batch for diagnostics, no step's own, with every condition given; each ``number`` is another."""
    return clips.batch(
        stage,
        frames=stage.frames or model.architecture.segment.frames,
        motion_frames=model.architecture.segment.motion_frames,
        seed=seed,
        step=-1 - number,
    )


def spread_clips(clips: TrainingClips, count: int) -> list[TrainingClip]:
    """``count`` clips spread evenly over a set."""
    return [clips[int(i)] for i in np.linspace(0, len(clips) - 1, min(count, len(clips)))]
