"""Batches for each stage, chosen so that a step's batch depends on seed, stage and step only."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.autoencoder.small_autoencoder import to_signed
from emo_models.emo.audio_encoders import AudioEncoder
from emo_models.emo.codec import encode_in_pieces
from emo_models.emo.face_locator import union_mask
from emo_models.emo.training.clip_store import ClipStore
from emo_models.emo.training.config import StageConfig
from emo_models.emo.training.stages import STAGES
from emo_models.training.clips import CLOSED, Chooser, TrainingClip, TrainingClips, chooser, step_generator


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Tensors of one step: b clips, f frames, n motion frames, m neighbours.

    Attributes:
        latents: Clean latents ``[b, f, c, h, w]``.
        reference: ``[b, c, h, w]``.
        motion: ``[b, n, c, h, w]`` or ``None``.
        audio: ``[b, f + 2m, layers, width]`` for video; ``[b, f, 2m + 1, layers, width]`` for single frames.
        speed: ``[b, f + 2m]`` or ``None``.
        eyelids: How far the eyes are closed around each frame, ``[b, f, 2m + 1]``; 0 where nobody knows.
        mask: ``[b, 1, H, W]``.
        mouth: Share of each latent cell inside the mouth box, ``[b, f, h, w]``.
        eyes: The same for the eyes.
        condition_mask: Per condition 1 (given) or 0 (dropped), ``[b]``.
        earlier: The f frames before these, for the network to make motion frames of itself, or ``None``.
    """

    latents: Tensor
    reference: Tensor
    motion: Tensor | None
    audio: Tensor | None
    speed: Tensor | None
    eyelids: Tensor
    mask: Tensor
    mouth: Tensor
    eyes: Tensor
    condition_mask: dict[str, Tensor]
    earlier: EarlierFrames | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        return replace(self, **{field.name: _moved(getattr(self, field.name), device) for field in fields(self)})


@dataclass(frozen=True, eq=False, kw_only=True)
class EarlierFrames:
    """The f frames before a batch's.

    Attributes:
        latents: ``[b, f, c, h, w]``; the last n of them are the batch's motion frames.
        motion: The n frames before those, ``[b, n, c, h, w]``.
        audio: ``[b, f + 2m, layers, width]`` or ``None``.
        eyelids: ``[b, f, 2m + 1]``.
    """

    latents: Tensor
    motion: Tensor
    audio: Tensor | None
    eyelids: Tensor

    def to(self, device: torch.device | str) -> EarlierFrames:
        """The same frames on a device."""
        return replace(self, **{field.name: _moved(getattr(self, field.name), device) for field in fields(self)})


@dataclass(frozen=True, eq=False)
class LatentClip:
    """A clip, its latents ``float16 [T, c, h, w]`` and per voice its speech features, with ``window`` frames around.

    ``portrait`` are the latents ``[c, h, w]`` of the still that a re-enacted clip was made of.
    """

    record: TrainingClip
    latents: Tensor
    audio: tuple[Tensor, ...]
    portrait: Tensor | None = None


class LatentClips:
    """Clips with their latents and speech features, computed once.

    Args:
        clips: The data.
        vae: The autoencoder.
        encoder: The speech encoder.
        window: m; that many neighbours are kept on each side.
        downsample: Pixels per latent pixel.
        vtlp_factors: Factors on the frequencies of the audio; a sample uses one of them.
        store: Where latents and features are kept and found again; ``None`` makes them anew.
    """

    def __init__(
        self,
        clips: TrainingClips,
        vae: Any,
        encoder: AudioEncoder,
        *,
        window: int,
        downsample: int,
        vtlp_factors: tuple[float, ...] = (1.0,),
        store: ClipStore | None = None,
    ) -> None:
        self.window, self.downsample = window, downsample
        self.voices = tuple(encoder if s == 1 else perturbed(encoder, s) for s in vtlp_factors)
        self._choosers: dict[tuple[object, ...], tuple[list[LatentClip], Chooser]] = {}
        self.clips = [self._prepare(clips[index], vae, store) for index in range(len(clips))]

    def _prepare(self, record: TrainingClip, vae: Any, store: ClipStore | None) -> LatentClip:
        def make() -> dict[str, Tensor]:
            return self._made(record, vae)

        made = make() if store is None else store.found_or_made(record, make)
        voices = tuple(made[f"audio.{i}"] for i in range(len(self.voices)))
        return LatentClip(record, made["latents"], voices, made.get("portrait"))

    def _made(self, record: TrainingClip, vae: Any) -> dict[str, Tensor]:
        pieces = [
            encode_in_pieces(vae, to_signed(torch.from_numpy(np.array(record.frames[i : i + 32])))).half()
            for i in range(0, len(record.frames), 32)
        ]
        last = len(record.frames) + self.window
        audio = {
            f"audio.{i}": encoder.window(record.audio, -self.window, last) for i, encoder in enumerate(self.voices)
        }
        made = {"latents": torch.cat(pieces), **audio}
        if record.portrait is not None:
            still = to_signed(torch.from_numpy(np.array(record.portrait)[None]))
            made["portrait"] = encode_in_pieces(vae, still)[0].half()
        return made

    def batch(
        self, stage: StageConfig, *, frames: int, motion_frames: int, seed: int, step: int, rank: int = 0
    ) -> Batch:
        """The batch of a step; ``rank`` tells processes apart."""
        # One draw for all processes: a step with frames before takes longer, and nobody should wait for the others.
        own = STAGES[stage.name].temporal and motion_frames > 0 and stage.self_forcing > 0
        own = own and step_generator(seed, f"own-{stage.name}", step).random() < stage.self_forcing
        blinks = stage.blink_share * max(1 - step / stage.steps, 0)
        rngs = [step_generator(seed, f"batch-{stage.name}", step, rank, i) for i in range(stage.clips)]
        samples = [self._sample(stage, frames, motion_frames, rng, own=own, blink_share=blinks) for rng in rngs]
        merged: dict[str, Any] = {}
        for name in samples[0]:
            parts = [part for part in (sample[name] for sample in samples) if part is not None]
            merged[name] = torch.stack(parts) if parts else None
        masks = {name.removeprefix("keep_"): merged.pop(name) for name in list(merged) if name.startswith("keep_")}
        before = {name: merged.pop(f"earlier_{name}") for name in ("latents", "motion", "audio", "eyelids")}
        earlier = EarlierFrames(**before) if before["latents"] is not None else None
        return Batch(**merged, condition_mask=masks, earlier=earlier)

    def _sample(
        self,
        stage: StageConfig,
        frames: int,
        motion_frames: int,
        rng: np.random.Generator,
        *,
        own: bool,
        blink_share: float,
    ) -> dict[str, Tensor | None]:
        declared = STAGES[stage.name]
        room = motion_frames + (frames if own else 0) if declared.temporal else 0
        clip = self._choose_clip(stage, frames + room if declared.temporal else 1, rng)
        count = len(clip.latents)
        if declared.temporal:
            start = _first_frame(clip.record, range(room, count - frames + 1), frames, blink_share, rng)
            chosen = np.arange(start, start + frames)
        else:
            chosen = np.sort(rng.choice(count, size=frames, replace=count < frames))
        reference = clip.latents[_reference(chosen, count, stage.reference_margin, rng)]
        if clip.portrait is not None and stage.portrait_reference and rng.random() < stage.portrait_reference:
            reference = clip.portrait
        motion = None
        if declared.temporal and motion_frames:
            before = np.arange(chosen[0] - motion_frames, chosen[0])
            if not own and rng.random() < stage.still_motion:
                before[:] = before[-1]
            motion = clip.latents[before].float()
        around = np.arange(-self.window, self.window + 1)
        spread = np.arange(chosen[0] - self.window, chosen[-1] + self.window + 1)
        if not declared.temporal:
            spread = (chosen[:, None] + around).reshape(-1)
        speed = clip.record.head_speed[np.clip(spread, 0, count - 1)]
        features = clip.audio[int(rng.integers(len(clip.audio)))]
        audio = features[spread + self.window] if declared.use_audio else None
        if audio is not None and not declared.temporal:
            audio = torch.unflatten(audio, 0, (frames, len(around)))
        past = chosen - frames
        return {
            "earlier_latents": clip.latents[past].float() if own else None,
            "earlier_motion": clip.latents[past[0] - motion_frames : past[0]].float() if own else None,
            "earlier_audio": features[spread - frames + self.window] if own and declared.use_audio else None,
            "earlier_eyelids": closure_around(clip.record, past, self.window) if own else None,
            "latents": clip.latents[chosen].float(),
            "reference": reference.float(),
            "motion": motion,
            "audio": audio,
            "speed": torch.from_numpy(np.array(speed)) if declared.use_speed else None,
            "eyelids": closure_around(clip.record, chosen, self.window),
            "mask": self._region(clip.record, white=rng.random() < stage.white_region, rng=rng),
            "mouth": self._cover(clip.record.mouth_boxes[chosen], clip),
            "eyes": self._cover(clip.record.eye_boxes[chosen], clip),
            "keep_reference": _keep(rng, stage.drop_reference),
            "keep_audio": _keep(rng, stage.drop_audio if len(clip.record.audio) else 1.0),
            "keep_motion": _keep(rng, stage.drop_motion),
            "keep_speed": _keep(rng, stage.drop_speed),
        }

    def _choose_clip(self, stage: StageConfig, least: int, rng: np.random.Generator) -> LatentClip:
        """A clip by the weights of sets and styles; with audio where the stage uses it, and long enough."""
        key = (stage.name, least, *sorted(stage.style_weights.items()))
        if key not in self._choosers:
            use_audio = STAGES[stage.name].use_audio
            fit = [c for c in self.clips if len(c.latents) >= least and not (use_audio and _is_still(c.record))]
            if not fit:
                longest = max(len(clip.latents) for clip in self.clips)
                raise ValueError(f"expected clips of at least {least} frames, found none longer than {longest}")
            weights = [clip.record.weight * stage.style_weights.get(clip.record.style, 1.0) for clip in fit]
            self._choosers[key] = (fit, chooser(weights))
        fit, choose = self._choosers[key]
        return fit[choose(rng)]

    def _region(self, record: TrainingClip, *, white: bool, rng: np.random.Generator) -> Tensor:
        height, width = record.frames.shape[1:3]
        grow = rng.uniform(0.0, 0.2)
        if white:
            return torch.ones(1, height, width)
        boxes = record.face_boxes.astype(np.float64)
        low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
        extra = (high - low) * grow / 2
        union = np.concatenate([low - extra, high + extra])[None, None]
        return union_mask(torch.from_numpy(union), height=height, width=width)[0]

    def _cover(self, boxes: NDArray[np.float32], clip: LatentClip) -> Tensor:
        height, width = clip.latents.shape[2:]
        return cell_cover(boxes / self.downsample, height=height, width=width)


def cell_cover(boxes: NDArray[np.floating], *, height: int, width: int) -> Tensor:
    """Share of each cell of a grid that a box covers, ``float32 [t, height, width]``; boxes in cells.

    >>> cell_cover(np.array([[0.5, 0.0, 2.0, 1.0]]), height=1, width=2).tolist()
    [[[0.5, 1.0]]]
    """
    left, top, right, bottom = (boxes[:, i, None].astype(np.float32) for i in range(4))
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[None]
    across = np.clip(np.minimum(right, x + 1) - np.maximum(left, x), 0, 1)
    down = np.clip(np.minimum(bottom, y + 1) - np.maximum(top, y), 0, 1)
    return torch.from_numpy(down[:, :, None] * across[:, None, :])


def perturbed(encoder: AudioEncoder, factor: float) -> AudioEncoder:
    """The encoder, with all frequencies of its input times ``factor``.

    Raises:
        ValueError: It cannot.
    """
    change = getattr(encoder, "with_vtlp", None)
    if change is None:
        raise ValueError(f"expected vtlp_factors: [1] for a {type(encoder).__name__}, found the factor {factor}")
    other: AudioEncoder = change(factor)
    return other


def _first_frame(
    record: TrainingClip, allowed: range, frames: int, blink_share: float, rng: np.random.Generator
) -> int:
    """Where a window of ``frames`` begins: anywhere, or, ``blink_share`` of the time, so that eyes are closed in it."""
    if blink_share and record.eye_closure is not None and rng.random() < blink_share:
        closed = np.flatnonzero(record.eye_closure > CLOSED)
        starts = [first for first in allowed if ((closed >= first) & (closed < first + frames)).any()]
        if starts:
            return int(rng.choice(starts))
    return int(rng.integers(allowed.start, allowed.stop))


def closure_around(record: TrainingClip, chosen: NDArray[np.int64], window: int) -> Tensor:
    """How far the eyes are closed around each chosen frame, ``float32 [f, 2 * window + 1]``; open where unknown."""
    around = chosen[:, None] + np.arange(-window, window + 1)
    if record.eye_closure is None:
        return torch.zeros(around.shape)
    return torch.from_numpy(record.eye_closure[np.clip(around, 0, len(record.eye_closure) - 1)].astype(np.float32))


def _is_still(record: TrainingClip) -> bool:
    return len(record.frames) == 1


def _moved(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, dict):
        return {name: tensor.to(device) for name, tensor in value.items()}
    return None if value is None else value.to(device)


def _keep(rng: np.random.Generator, drop: float) -> Tensor:
    return torch.tensor(0.0 if rng.random() < drop else 1.0)


def _reference(chosen: NDArray[np.int64], count: int, margin: int, rng: np.random.Generator) -> int:
    """A frame at least ``margin`` away from every target, or as far as the clip allows."""
    distance = np.abs(np.arange(count)[:, None] - chosen[None]).min(1)
    allowed = np.flatnonzero(distance >= min(margin, int(distance.max())))
    return int(rng.choice(allowed))
