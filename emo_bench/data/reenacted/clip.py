"""One re-enacted clip: which portrait, which driver, which part of it; rendered, labelled and written."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emo_bench.data.labels import mouth_opening
from emo_bench.data.manifest import ManifestEntry
from emo_bench.data.prepare.disk import Quality
from emo_bench.data.reenacted.blinks import seeded_blinks
from emo_bench.data.reenacted.drivers import FPS, RATE, Driver
from emo_bench.data.reenacted.labels import (
    head_velocity,
    motion_facts,
    reenacted_labels,
    write_reenacted_labels,
)
from emo_bench.data.reenacted.motion import MotionRules, move_portrait
from emo_bench.data.reenacted.portraits import Portrait, PortraitRules, Still, crop_portrait
from emo_bench.data.reenacted.warp import render
from emo_bench.media.types import Audio
from emo_core.errors import TooShortError
from emo_core.hashing import sha256_bytes
from emo_core.rng import numpy_generator

LEAST_SECONDS = 0.4


@dataclass(frozen=True, kw_only=True)
class ReenactOptions:
    """How clips are made.

    Attributes:
        size: Side of the square clips.
        seconds: Length of a clip; a shorter driver gives a shorter clip.
        seed: All choices derive from it and the clip's number.
        framing: Smallest and largest side of the square over the height of the face (forehead to chin).
        opening: Smallest and largest factor of the mouth's motion.
        turning: Smallest and largest factor of the head's rotation.
        blinks_per_minute: Mean rate of seeded blinks beside the driver's own; 0 adds none.
        quality: Of the encoding.
        portraits: Which stills are left out.
        motion: Limits of the motion.
    """

    size: int = 128
    seconds: float = 3.0
    seed: int = 0
    framing: tuple[float, float] = (1.65, 1.9)
    opening: tuple[float, float] = (1.0, 1.3)
    turning: tuple[float, float] = (0.8, 1.1)
    blinks_per_minute: float = 0.0
    quality: Quality = "near-lossless"
    portraits: PortraitRules = field(default_factory=PortraitRules)
    motion: MotionRules = field(default_factory=MotionRules)

    def plain(self) -> dict[str, Any]:
        """Everything that the bytes of a clip depend on."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What clip number ``number`` is made of.

    Attributes:
        number: Of the clip.
        still: The portrait.
        driver: Id of the driver.
    """

    number: int
    still: Still
    driver: str

    @property
    def clip(self) -> str:
        """The clip's id."""
        return f"{self.number:06d}_{self.still.id}"[:110].rstrip(". ")


def make_clip(
    target: Path, given: Assignment, portrait: Portrait, driver: Driver, options: ReenactOptions, *, split: str
) -> tuple[ManifestEntry, float]:
    """Draws and writes one clip.

    Returns:
        Its line of the manifest, and the processor seconds that rendering took.

    Raises:
        TooShortError: when the driver has no stretch with a face on every frame.
        UnfitPortraitError: when the portrait is too small.
    """
    rng = numpy_generator(options.seed, "re-enacted clip", f"{given.number}")
    framing, opening, turning = (
        float(rng.uniform(*span)) for span in (options.framing, options.opening, options.turning)
    )
    offset = (float(rng.uniform(-0.03, 0.03)), float(rng.uniform(-0.03, 0.03)))
    frames = _stretch(driver, round(options.seconds * FPS), rng)
    blinks = numpy_generator(options.seed, "re-enacted blinks", f"{given.number}")
    lids = seeded_blinks(len(frames), blinks, per_minute=options.blinks_per_minute, fps=float(FPS))
    started = time.process_time()
    crop = crop_portrait(portrait, size=options.size, framing=framing, offset=offset, rules=options.portraits)
    moved = move_portrait(
        crop.points, driver.motion, frames, opening=opening, turning=turning, lids=lids, rules=options.motion
    )
    rendered = render(crop.image, crop.points, moved, driver.frames[frames], driver.tracks.points[frames])
    spent = time.process_time() - started
    step = int(RATE / FPS)
    samples = driver.samples[int(frames[0]) * step : (int(frames[-1]) + 1) * step]
    labels = reenacted_labels(
        moved,
        rendered.flow,
        samples,
        rotation=portrait.rotation,
        translation=portrait.translation,
        picture_height=portrait.image.shape[0] * options.size / crop.window[2],
    )
    digests = _write(target, given.clip, rendered.frames, samples, labels, crop.image, options.quality)
    box = np.asarray(labels["box"], np.float64)
    low, high = box[:, :2].min(0), box[:, 2:].max(0)
    entry = ManifestEntry(
        id=given.clip,
        video=f"clips/{given.clip}.mkv",
        truth=f"labels/{given.clip}.safetensors",
        identity=given.still.id[:120].rstrip(". "),
        split=split,
        reference_frame=int(np.abs(rendered.flow).mean((1, 2, 3)).argmin()),
        face_box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        sha256={"video": digests["clips"], "truth": digests["labels"]},
        meta={
            "reenacted": True,
            "style": given.still.style,
            "licence": given.still.licence,
            "portrait": f"portraits/{given.clip}.png",
            "portrait_sha256": digests["portraits"],
            "portrait_window": list(crop.window),
            "enlarged": round(options.size / crop.window[2], 3),
            "driver": driver.clip.id,
            "driver_person": driver.clip.person,
            "driver_licence": driver.clip.licence,
            "driver_frames": [int(frames[0]), int(frames[-1]) + 1],
            "opening_factor": round(opening, 4),
            "turning_factor": round(turning, 4),
            "portrait_lip_gap": round(portrait.lip_gap, 4),
            "size": options.size,
            "fps": int(FPS),
            "labels": f"labels/{given.clip}.safetensors",
            "labels_sha256": digests["labels"],
            "motion": motion_facts(
                np.asarray(labels["mouth_opening"]), np.asarray(labels["head_velocity"]), moved.eyes, float(FPS)
            ),
            "driver_motion": _driver_facts(driver, frames),
        },
    )
    return entry, spent


def _stretch(driver: Driver, wanted: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A stretch of the driver's frames that all show a face: as long as wanted, or as there is."""
    valid = driver.tracks.valid
    length = min(wanted, _longest_run(valid))
    if length < LEAST_SECONDS * float(FPS):
        raise TooShortError(
            f"driver {driver.clip.id} has no {LEAST_SECONDS:g} s with a face on every frame",
            expected=f"at least {LEAST_SECONDS:g} s",
            found=f"{length / float(FPS):.2f} s; {valid.sum()} of {len(valid)} frames with a face",
        )
    starts = np.flatnonzero(np.convolve(valid, np.ones(length, int), "valid") == length)
    start = int(rng.choice(starts))
    return np.arange(start, start + length, dtype=np.int64)


def _longest_run(valid: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    lost = np.flatnonzero(np.concatenate([[True], ~valid, [True]]))
    return int(np.diff(lost).max()) - 1


def _driver_facts(driver: Driver, frames: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, float]:
    import cv2

    from emo_metrics.faces.landmark_sets import ibug_68

    points = np.stack([ibug_68(row[:, :2].astype(np.float32)) for row in driver.tracks.points[frames]])
    rotation = np.stack([cv2.Rodrigues(row)[0] for row in driver.motion.rotation[frames]])
    return motion_facts(mouth_opening(points), head_velocity(rotation), driver.motion.eyes[frames], float(FPS))


def _write(
    target: Path, clip: str, frames: Any, samples: Any, labels: Any, portrait: Any, quality: Quality
) -> dict[str, str]:
    """Writes video, labels and portrait; returns their digests."""
    import io

    from PIL import Image

    from emo_bench.data.prepare.folder import QUALITIES
    from emo_bench.media.lossless import write_clip
    from emo_core.atomic import write_bytes

    file = write_clip(
        target / "clips" / f"{clip}.mkv", [frames], Audio(samples, RATE), fps=FPS, quality=QUALITIES[quality]
    )
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, format="PNG")
    write_bytes(target / "portraits" / f"{clip}.png", buffer.getvalue(), durable=False)
    return {
        "clips": file.sha256,
        "labels": write_reenacted_labels(target / "labels" / f"{clip}.safetensors", labels),
        "portraits": sha256_bytes(buffer.getvalue()),
    }
