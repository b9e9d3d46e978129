"""What the portrait refiner learns from: real clips as EMO generates them.

EMO generates real clips again from half-way noise (`regenerate`), each clip going on from its own last frames, so pose
and mouth stay where they were and everything else fades as it does in use. Generating takes longer than learning; so
processes share it, and the frames are kept on disk for a run that resumes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from emo_models.autoencoder.small_autoencoder import to_bytes, to_signed
from emo_models.emo.codec import decode_latents, encode_images
from emo_models.emo.conditions import ConditionMask
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.model import EMOModel
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training.batches import LatentClip, LatentClips, closure_around
from emo_models.emo.training.config import RefinerTraining
from emo_models.emo.training.self_forcing import regenerate
from emo_models.training.clips import TrainingClip, step_generator
from emo_models.training.workers import ALONE, Workers

Report = Callable[[str], None]
TOGETHER = 4
"""Clips that are generated at once."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GeneratedFrames:
    """A clip as EMO generates it.

    Attributes:
        record: The real one.
        first: Index of the first frame generated.
        frames: ``uint8 [t, H, W, 3]``.
        coded: The real frames through the autoencoder alone, the same shape.
        reference: Index of the portrait.
        shares: From which share of the noise schedule each frame was generated, ``float64 [t]``.
        weight: How often it is chosen relative to the others.
    """

    record: TrainingClip
    first: int
    frames: NDArray[np.uint8]
    coded: NDArray[np.uint8]
    reference: int
    shares: NDArray[np.float64]
    weight: float = 1.0


@torch.no_grad()
def generate_clips(
    model: EMOModel,
    vae: Any,
    clips: LatentClips,
    schedule: NoiseSchedule,
    config: RefinerTraining,
    folder: Path,
    *,
    report: Report,
    workers: Workers = ALONE,
    together: int = TOGETHER,
) -> list[GeneratedFrames]:
    """EMO's own frames of clips spread evenly over ``clips``, by their weights.

    Args:
        model: In eval mode.
        vae: The autoencoder, on the model's device.
        clips: Prepared clips.
        schedule: The noise schedule.
        config: The settings.
        folder: Frames are kept there under a name made of weights, settings and clips, and found again.
        report: Called with lines for the user.
        workers: Each makes its share; all return all.
        together: Clips that are generated at once.
    """
    segment = model.architecture.segment
    least = segment.frames + segment.motion_frames
    long = [clip for clip in clips.clips if len(clip.latents) >= least]
    if not long:
        raise ValueError(f"expected clips of at least {least} frames for the refiner, found none")
    chosen = [long[place] for place in spread([clip.record.weight for clip in long], config.clips)]
    # The first process names it: weights averaged on unlike devices may differ in their last bits.
    plan = repr((config, together, schedule.config, sorted(dict(model.config).items())))
    folder = folder / workers.agree(_digest(plan, (model, vae), chosen))
    folder.mkdir(parents=True, exist_ok=True)
    groups = [chosen[at : at + together] for at in range(0, len(chosen), together)]
    began, done = time.monotonic(), 0
    for number in np.array_split(range(len(groups)), workers.count)[workers.rank].tolist():
        path = _path(folder, number)
        if not path.is_file():
            rng = step_generator(config.seed, "refiner-draw", number * together)
            guided = Guidance(audio=config.audio_guidance if number % 2 else 1.0)
            group = groups[number]
            generated = _generate_group(
                model, vae, group, schedule, config, rng=rng, guidance=guided, window=clips.window
            )
            aside = path.with_suffix(".writing")
            save_file(generated, aside)
            aside.replace(path)
        done += len(groups[number])
        report(f"refiner: {done} of {len(chosen)} clips generated ({time.monotonic() - began:.0f} s){_beside(workers)}")
    workers.wait()
    # Of fewer than all, heavy clips were chosen more often already.
    weights = [clip.record.weight if config.clips >= len(long) else 1.0 for clip in chosen]
    found = [
        clip for number, group in enumerate(groups) for clip in _frames_of(load_file(_path(folder, number)), group)
    ]
    return [replace(clip, weight=weight) for clip, weight in zip(found, weights, strict=True)]


def spread(weights: Sequence[float], count: int) -> list[int]:
    """At most ``count`` places spread over clips by their weights: heavy clips may be there several times.

    >>> spread([1.0, 1.0, 1.0, 1.0, 1.0], 3), spread([0.1, 0.1, 0.1, 0.3], 2), spread([0.1, 0.5], 2)
    ([0, 2, 4], [1, 3], [0, 1])
    """
    if count >= len(weights) or len(set(weights)) == 1:
        return [int(place) for place in np.linspace(0, len(weights) - 1, min(count, len(weights))).astype(int)]
    reached = np.cumsum(weights)
    places = np.searchsorted(reached, (np.arange(count) + 0.5) / count * reached[-1])
    return [min(int(place), len(weights) - 1) for place in places]


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:03d}.safetensors"


def _beside(workers: Workers) -> str:
    return "" if workers.count == 1 else f"; {workers.count - 1} more processes make others"


def _digest(plan: str, networks: Sequence[Any], clips: Sequence[LatentClip]) -> str:
    digest = hashlib.sha256(plan.encode())
    for module in networks:
        weights = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
        digest.update(save(weights))
    for clip in clips:
        # Latents follow from frames and autoencoder.
        digest.update(clip.record.frames.tobytes())
        digest.update(save({str(voice): audio.contiguous() for voice, audio in enumerate(clip.audio)}))
    return digest.hexdigest()[:16]


def _generate_group(
    model: EMOModel,
    vae: Any,
    group: Sequence[LatentClip],
    schedule: NoiseSchedule,
    config: RefinerTraining,
    *,
    rng: np.random.Generator,
    guidance: Guidance,
    window: int,
) -> dict[str, Tensor]:
    """What a `GeneratedFrames` holds besides the record, for each clip of a group, stacked."""
    device = next(model.parameters()).device
    f, n = model.architecture.segment.frames, model.architecture.segment.motion_frames
    length = min(len(clip.latents) for clip in group)
    rounds = min(config.rounds, (length - n) // f)
    if rounds < 1:
        raise ValueError(f"expected clips of at least {f + n} frames, found one of {length}")
    first = int(rng.integers(n, length - rounds * f + 1))
    references = [int(rng.integers(len(clip.latents))) for clip in group]
    reference = torch.stack([clip.latents[i].float() for clip, i in zip(group, references, strict=True)]).to(device)
    motion = torch.stack([clip.latents[first - n : first].float() for clip in group]).to(device)
    # As in the stages: a clip without audio is no silent one.
    heard = torch.tensor([float(len(clip.record.audio) > 0) for clip in group], device=device)
    voices = [int(rng.integers(len(clip.audio))) for clip in group]
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    pieces: list[Tensor] = []
    shares = rng.uniform(config.least, config.most, (len(group), rounds))
    for index, place in enumerate(range(first, first + rounds * f, f)):
        # Features are kept with `window` frames before the first.
        audio = [clip.audio[v][place : place + f + 2 * window] for clip, v in zip(group, voices, strict=True)]
        chosen = np.arange(place, place + f)
        eyelids = [closure_around(clip.record, chosen, window) for clip in group]
        conditions = model.prepare(
            reference=reference,
            motion=motion if n else None,
            audio=torch.stack(audio).to(device),
            eyelids=torch.stack(eyelids).to(device),
            condition_mask=ConditionMask(audio=heard),
        )
        latents = regenerate(
            model,
            torch.stack([clip.latents[place : place + f].float() for clip in group]).to(device),
            conditions,
            schedule,
            reference=reference,
            share=torch.from_numpy(shares[:, index]),
            generator=generator,
            steps=config.sampling_steps,
            guidance=guidance,
        )
        images = to_bytes(decode_latents(vae, latents.flatten(0, 1)))
        pieces.append(torch.unflatten(images, 0, (len(group), f)))
        if n:
            again = encode_images(vae, to_signed(pieces[-1][:, -n:]).flatten(0, 1))
            motion = torch.unflatten(again, 0, (len(group), n))
    real = [clip.latents[first : first + rounds * f].float().to(device) for clip in group]
    return {
        "frames": torch.cat(pieces, 1).cpu().contiguous(),
        "coded": torch.stack([to_bytes(decode_latents(vae, latents)).cpu() for latents in real]),
        "shares": torch.from_numpy(np.repeat(shares, f, axis=1)),
        "first": torch.tensor(first).repeat(len(group)),
        "reference": torch.tensor(references),
    }


def _frames_of(kept: dict[str, Tensor], group: Sequence[LatentClip]) -> list[GeneratedFrames]:
    return [
        GeneratedFrames(
            record=clip.record,
            first=int(kept["first"][i]),
            frames=kept["frames"][i].numpy(),
            coded=kept["coded"][i].numpy(),
            reference=int(kept["reference"][i]),
            shares=kept["shares"][i].numpy(),
        )
        for i, clip in enumerate(group)
    ]
