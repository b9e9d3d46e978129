"""The statistics and figures of the datasheet: ``python -m hdtf_synth.datasheet DOCS``.

Everything is computed from the recordings and the renderer; nothing needs to have been made
before. Figures and ``hdtf_synth_statistics.json`` go to the folder ``DOCS``.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_core.atomic import atomic_path, write_json
from hdtf_synth.identity import STYLES, identity_from_seed
from hdtf_synth.motion import FPS, Motion, motion_from_speech
from hdtf_synth.plan import SLICES, ClipPlan, clips_of, identities_of
from hdtf_synth.recordings import Recording, recording
from hdtf_synth.render import Painter
from hdtf_synth.truth import landmarks68
from hdtf_synth.visemes import VISEME_NAMES, visemes_of

LAGS = range(-10, 11)


@dataclass(frozen=True, eq=False)
class ClipNumbers:
    """What the statistics need of one clip."""

    plan: ClipPlan
    speech: Recording
    motion: Motion
    opening: NDArray[np.float64]


def clip_numbers(plan: ClipPlan) -> ClipNumbers:
    """Moves a clip without painting it."""
    from hdtf_synth.draw.mouth import mouth_shape

    who = identity_from_seed(plan.identity)
    speech = recording(plan.slice, plan.number)
    motion = motion_from_speech(speech.phonemes, speech.pitch, speech.loudness(), who, plan.id, speech.n_frames)
    opening = [mouth_shape(who, motion.state(frame)).opening for frame in range(speech.n_frames)]
    return ClipNumbers(plan, speech, motion, np.asarray(opening, np.float64))


def lag_curve(clips: Sequence[ClipNumbers]) -> dict[int, float]:
    """Mean correlation of mouth opening and loudness when the mouth is taken ``lag`` frames later."""
    curve: dict[int, list[float]] = {lag: [] for lag in LAGS}
    for clip in clips:
        loudness = clip.speech.loudness()
        n = len(loudness)
        for lag in LAGS:
            mouth = clip.opening[max(lag, 0) : n + min(lag, 0)]
            sound = loudness[max(-lag, 0) : n + min(-lag, 0)]
            curve[lag].append(float(np.corrcoef(mouth, sound)[0, 1]))
    return {lag: float(np.mean(values)) for lag, values in curve.items()}


def head_velocity(motion: Motion) -> NDArray[np.float64]:
    """Change of (yaw, pitch, roll) from frame to frame: its length in degrees a frame, ``float64 [T - 1]``."""
    step = np.diff(motion.pose[:, :3], axis=0)
    return np.asarray(np.sqrt((step * step).sum(axis=1)), np.float64)


def statistics(clips: Sequence[ClipNumbers]) -> dict[str, Any]:
    """Counts, correlations and velocities of a list of clips."""
    phonemes = Counter(p.symbol.strip("ˈˌ") for c in clips for p in c.speech.phonemes)
    visemes = Counter(VISEME_NAMES[v] for c in clips for v in c.motion.viseme.tolist())
    segments = Counter(name for c in clips for p in c.speech.phonemes for name in visemes_of(p.symbol))
    velocities = [head_velocity(clip.motion) for clip in clips]
    means = np.asarray([v.mean() for v in velocities])
    blinks = sum(_count_blinks(clip.motion) for clip in clips)
    seconds = sum(clip.speech.n_frames for clip in clips) / FPS
    return {
        "clips": len(clips),
        "seconds": seconds,
        "languages": dict(Counter(c.speech.language for c in clips).most_common()),
        "voices": len({c.speech.voice for c in clips}),
        "moods": dict(Counter(c.motion.mood for c in clips).most_common()),
        "styles": dict(Counter(identity_from_seed(c.plan.identity).style for c in clips).most_common()),
        "identities": len({c.plan.identity for c in clips}),
        "phonemes": dict(phonemes.most_common()),
        "viseme_frames": dict(visemes.most_common()),
        "viseme_segments": dict(segments.most_common()),
        "mouth_audio_correlation": lag_curve(clips),
        "blinks_per_second": blinks / seconds,
        "head_velocity": {
            "mean": float(means.mean()),
            "mean_within_clip_variance": float(np.mean([v.var() for v in velocities])),
            "variance_of_clip_means": float(means.var()),
            "quantiles": {str(q): float(np.quantile(np.concatenate(velocities), q)) for q in (0.05, 0.5, 0.95)},
        },
    }


def _count_blinks(motion: Motion) -> int:
    from hdtf_synth.state import EXPRESSION_NAMES

    closed = motion.expression[:, EXPRESSION_NAMES.index("blink_left")] > 0.7
    return int(np.sum(closed[1:] & ~closed[:-1]))


def contact_sheet(indices: Sequence[int], *, size: int, columns: int) -> NDArray[np.uint8]:
    """One talking frame of each identity, ``uint8 [H, W, 3]``."""
    plans = {plan.identity: plan for plan in reversed(clips_of("all"))}
    pictures = []
    for place, index in enumerate(indices):
        clip = clip_numbers(plans[index])
        # A different moment of speech for each, with open eyes.
        blink = clip.motion.expression[:, _column("blink_left")]
        order = np.argsort(clip.opening + 5.0 * (blink > 0.3), kind="stable")
        frame = int(order[int(len(order) * (0.25 + 0.14 * (place % 5)))])
        pictures.append(Painter(identity_from_seed(index), size).paint(clip.motion.state(frame)))
    rows = [np.concatenate(pictures[r : r + columns], axis=1) for r in range(0, len(pictures), columns)]
    return np.concatenate(rows, axis=0)


def film_strip(plan: ClipPlan, *, size: int, frames: Sequence[int]) -> NDArray[np.uint8]:
    """Frames of a clip side by side."""
    clip = clip_numbers(plan)
    painter = Painter(identity_from_seed(plan.identity), size)
    return np.concatenate([painter.paint(clip.motion.state(frame)) for frame in frames], axis=1)


def landmark_picture(index: int, *, size: int) -> NDArray[np.uint8]:
    """A talking frame with its 68 landmarks as dots."""
    plans = {plan.identity: plan for plan in reversed(clips_of("all"))}
    clip = clip_numbers(plans[index])
    state = clip.motion.state(int(np.argmax(clip.opening)))
    who = identity_from_seed(index)
    picture = Painter(who, size).paint(state)
    for x, y in landmarks68(who, [state], size)[0]:
        row, column = int(y), int(x)
        picture[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = (40, 230, 90)
    return picture


def _column(name: str) -> int:
    from hdtf_synth.state import EXPRESSION_NAMES

    return EXPRESSION_NAMES.index(name)


def _figure(clips: Sequence[ClipNumbers], target: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
    curve = lag_curve(clips)
    left.plot(list(curve), list(curve.values()), "o-", color="#1b6ca8")
    left.axvline(0, color="0.6", lw=0.8)
    left.set(xlabel="mouth later by (frames)", ylabel="correlation", title="Mouth opening and loudness")
    visemes = Counter(name for c in clips for p in c.speech.phonemes for name in visemes_of(p.symbol))
    names = [name for name, _ in visemes.most_common()]
    middle.bar(names, [visemes[name] for name in names], color="#c77d3a")
    middle.tick_params(axis="x", rotation=70)
    middle.set(ylabel="segments", title="Visemes")
    velocities = np.concatenate([head_velocity(clip.motion) for clip in clips])
    right.hist(velocities, bins=60, range=(0, 3), density=True, color="#5b8c5a")
    right.axvline(1.365, color="0.3", ls="--", lw=1, label="EMO, Table 2: no speed layers")
    right.axvline(0.878, color="0.3", ls=":", lw=1, label="EMO, Table 2: speed 0.1")
    right.legend(fontsize=7)
    right.set(xlabel="degrees a frame", ylabel="density", title="Head rotation velocity")
    with atomic_path(target) as path:
        figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _save_picture(pixels: NDArray[np.uint8], target: Path) -> None:
    from PIL import Image

    with atomic_path(target) as path:
        Image.fromarray(pixels).save(path, optimize=True)


def _all_clips() -> Iterator[ClipNumbers]:
    for plan in clips_of("all"):
        yield clip_numbers(plan)


def main(arguments: Sequence[str]) -> None:
    """Writes statistics and figures."""
    docs = Path(arguments[0])
    clips = list(_all_clips())
    by_slice = {name: statistics([c for c in clips if c.plan.slice == name]) for name in SLICES}
    aligned = [clip for clip in clips if clip.plan.slice != "offsets"]
    write_json(docs / "hdtf_synth_statistics.json", {"all": statistics(aligned), **by_slice})
    _figure(aligned, docs / "hdtf_synth_statistics.png")
    people = [*identities_of("test"), *identities_of("validation"), *identities_of("train")]
    per_style = [[p for p in people if identity_from_seed(p).style == style][:16] for style in STYLES]
    mixed = [row[k] for k in range(12) for row in per_style]
    _save_picture(contact_sheet(mixed, size=128, columns=10), docs / "hdtf_synth_contact_sheet.png")
    _save_picture(contact_sheet([row[13] for row in per_style], size=256, columns=5), docs / "hdtf_synth_styles.png")
    strips = [film_strip(clips_of("mini")[n], size=128, frames=range(6, 42, 4)) for n in (0, 2, 4)]
    _save_picture(np.concatenate(strips, axis=0), docs / "hdtf_synth_strips.png")
    marks = [landmark_picture(row[14], size=256) for row in per_style]
    _save_picture(np.concatenate(marks, axis=1), docs / "hdtf_synth_landmarks.png")
    sys.stdout.write(json.dumps({k: v for k, v in statistics(aligned).items() if k != "phonemes"}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
