"""People of HDTF-Synth in random states: any expression on any face, so that none is learned from who it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emo_bench.train.labelled_clip import labelled_clip
from emo_core.atomic import write_bytes
from emo_core.hashing import digest_of, sha256_bytes
from emo_core.rng import numpy_generator
from emo_models.training.clips import TrainingClip

_SPREAD: Final = (12.0, 6.0, 4.5, 0.09, 0.06, 0.05)
"""Standard deviations of yaw, pitch, roll (degrees), x, y (head units) and scale."""
_LIMIT: Final = (28.0, 14.0, 12.0, 0.25, 0.2, 0.12)


def posed_portraits(clip: TrainingClip, count: int, *, seed: int, cache: Path) -> TrainingClip:
    """The person of a clip in ``count`` random states, as a silent clip of as many unrelated frames with labels.

    Each expression coefficient is 0 in about half of the frames and uniform otherwise; the lids and lips of both sides
    move together in half of them.

    Args:
        clip: Says who, and at which size.
        count: Number of portraits.
        seed: Of the states.
        cache: Where they are kept, by the digest of the clip, so that a changed renderer makes new ones.
    """
    from safetensors.numpy import load_file, save

    size = clip.frames.shape[1]
    kept = cache / f"portraits-{digest_of([clip.digest, clip.identity, size, count, seed])}.safetensors"
    if not kept.is_file():
        write_bytes(kept, save(_rendered(clip.identity, size, count, seed)))
    arrays = dict(load_file(kept))
    frames = arrays.pop("frames")
    return labelled_clip(
        arrays,
        id=f"{clip.identity}-portraits",
        digest=sha256_bytes(kept.read_bytes()),
        identity=clip.identity,
        frames=frames,
        audio=np.zeros(0, np.float32),
        reference_index=0,
    )


def _rendered(name: str, size: int, count: int, seed: int) -> dict[str, NDArray[Any]]:
    from hdtf_synth.identity import identity_from_seed
    from hdtf_synth.motion import Motion
    from hdtf_synth.render import Painter
    from hdtf_synth.truth import truth_of

    who = identity_from_seed(int(name.rsplit("-", 1)[1]))
    pose, expression = _states(count, numpy_generator(seed, "portraits", name))
    nothing = np.zeros(count, np.int32)
    motion = Motion(pose=pose, expression=expression, viseme=nothing, phoneme=nothing, mood="neutral")
    painter = Painter(who, size)
    frames = np.stack([painter.paint(motion.state(frame)) for frame in range(count)])
    return {**truth_of(who, motion, size), "frames": frames}


def _states(count: int, generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from hdtf_synth.state import EXPRESSION_NAMES

    pose = np.clip(generator.standard_normal((count, 6)) * _SPREAD, -np.array(_LIMIT), _LIMIT)
    pose[:, 5] += 1.0
    values = generator.random((count, len(EXPRESSION_NAMES)))
    values *= generator.random(values.shape) < 0.5
    together = generator.random(count) < 0.5
    for index, column in enumerate(EXPRESSION_NAMES):
        if column.endswith("_right"):
            other = EXPRESSION_NAMES.index(column.replace("_right", "_left"))
            values[together, index] = values[together, other]
        if column.startswith("look_"):
            values[:, index] = 2.0 * generator.random(count) - 1.0
    return pose, values
