"""What the open protocols say of real clips: the numbers in their pages.

    python benchmarks/open_protocols.py CLIPS WEIGHTS [--seconds 8]

CLIPS is a folder of talking clips; one without audio takes the WAV whose name its own begins with. For every clip the
values with its own audio and their mean with the audio of each other clip that has enough of it; how alike faces are,
within a clip and between clips; and how far the ten coefficients of 3DDFA_V2 explain the mouth that MediaPipe sees.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_bench.media.decode import DEFAULT_FPS, DEFAULT_RATE, load_pair
from emo_bench.media.types import Audio, FrameArray, samples_for_frames
from emo_metrics.contract import Arrays, ClipFeatures, ClipInputs, ClipMetric, Piece, Unscored
from emo_metrics.extractors.face_landmarks import FaceAnalysis
from emo_metrics.extractors.loudness_pitch import AUDIO, LoudnessAndPitch
from emo_metrics.extractors.mobilefacenet import MobileFaceNet
from emo_metrics.extractors.morphable_face import MorphableFace
from emo_metrics.metrics.beat_alignment import BeatAlignment
from emo_metrics.metrics.blink import BlinkRate, _eyes, blink_lengths
from emo_metrics.metrics.expressiveness import Expressiveness
from emo_metrics.metrics.f_sim import FSimMobileFaceNet
from emo_metrics.metrics.head_motion import HeadVelocity
from emo_metrics.metrics.mouth_audio import MouthAudio, mouth_opening

WITH_AUDIO: Mapping[str, ClipMetric] = {
    "mouth-audio": MouthAudio(),
    "mouth-audio-lag": MouthAudio(),
    "beat-alignment": BeatAlignment(),
    "expressiveness": Expressiveness(),
}
FRAMES_ALONE: Mapping[str, ClipMetric] = {
    "blink-rate": BlinkRate(),
    "velocity": HeadVelocity(),
    "f-sim": FSimMobileFaceNet(),
}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip as the extractors see it."""

    features: ClipFeatures
    inputs: ClipInputs
    audio: Audio  # of the whole clip


def _samples(n_frames: int) -> int:
    return samples_for_frames(n_frames, rate=DEFAULT_RATE, fps=DEFAULT_FPS)


def read(path: Path, seconds: float, extractors: list[FaceAnalysis | MobileFaceNet | MorphableFace]) -> Clip:
    """All features of a clip."""
    beside = [wav for wav in path.parent.glob("*.wav") if path.stem.startswith(wav.stem)]
    pair = load_pair(path, next(iter(beside), None))
    fps = pair.video.spec.fps
    pieces: list[FrameArray] = []
    for piece in pair.video.open():
        pieces.append(piece)
        if sum(map(len, pieces)) >= seconds * fps:
            break
    frames = np.concatenate(pieces)[: int(seconds * fps)]
    count, height, width = frames.shape[:3]
    inputs = ClipInputs(
        clip_id=path.stem, fps=fps, n_frames=count, height=height, width=width, reference_image=frames[0].copy(),
        audio=pair.audio.samples[: _samples(count)], audio_rate=pair.audio.rate,
    )  # fmt: skip
    arrays: dict[str, Arrays] = {}
    for extractor in extractors:
        work = extractor.begin(inputs)
        rows = work.update(Piece(frames=frames, start=0, upstream=arrays))
        arrays[extractor.name] = {**rows, **work.finish()}
    arrays[AUDIO] = audio_rows(inputs)
    features = ClipFeatures(clip_id=path.stem, identity=path.stem, fps=fps, n_frames=count, arrays=arrays)
    return Clip(features=features, inputs=inputs, audio=pair.audio)


def audio_rows(inputs: ClipInputs) -> Arrays:
    """Loudness and pitch for each frame of a clip."""
    blank = np.zeros((inputs.n_frames, 1, 1, 3), dtype=np.uint8)
    return LoudnessAndPitch({}).begin(inputs).update(Piece(frames=blank, start=0))


def heard_with(clip: Clip, other: Clip) -> ClipFeatures:
    """The features of a clip beside the audio of another."""
    samples = other.audio.samples[: _samples(clip.inputs.n_frames)]
    foreign = audio_rows(replace(clip.inputs, audio=samples))
    return replace(clip.features, arrays={**clip.features.arrays, AUDIO: foreign})


def others_of(clip: Clip, clips: list[Clip]) -> list[Clip]:
    """The other clips whose audio lasts as long as this one: silence at the end would tell it from its own."""
    needed = _samples(clip.inputs.n_frames)
    return [other for other in clips if other is not clip and len(other.audio.samples) >= needed]


def value(metric: ClipMetric, key: str, features: ClipFeatures) -> float:
    """A value; NaN where there is none."""
    try:
        return metric.score_clip(features, None)[key]
    except Unscored:
        return float("nan")


def tell(what: str, numbers: list[float], form: str = "{:.3f}") -> None:
    """A line: mean, deviation over clips, least, most, and how many there are."""
    known = np.array([number for number in numbers if np.isfinite(number)])
    if len(known):
        told = (known.mean(), known.std(ddof=1) if len(known) > 1 else float("nan"), known.min(), known.max())
        words = ("mean", "deviation", "least", "most")
        print(what + ": " + ", ".join(f"{w} {form.format(n)}" for w, n in zip(words, told, strict=True)), end="")
        print(f" ({len(known)} of {len(numbers)})")


def explained(features: ClipFeatures) -> float:
    """Share of the variance of the mouth's opening that the ten coefficients of expression explain."""
    mouth = mouth_opening(features)
    design = np.asarray(features.arrays[MorphableFace.name]["expression"], dtype=np.float64)
    known = np.isfinite(mouth) & np.isfinite(design).all(axis=1)
    X = np.column_stack([np.ones(known.sum()), design[known]])
    left = mouth[known] - X @ np.linalg.lstsq(X, mouth[known], rcond=None)[0]
    return 1.0 - float(left.var() / mouth[known].var())


def mean_identity(features: ClipFeatures) -> NDArray[np.float64]:
    """The mean of a clip's identity vectors, of length 1."""
    rows = np.asarray(features.arrays[MobileFaceNet.name]["embedding"], dtype=np.float64)
    mean: NDArray[np.float64] = rows[np.isfinite(rows).all(axis=1)].mean(axis=0)
    return mean / np.linalg.norm(mean)


def main() -> None:
    """Prints the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    given = parser.parse_args()
    kinds = (FaceAnalysis, MobileFaceNet, MorphableFace)
    extractors = [kind({name: given.weights / name for name in kind.weights}) for kind in kinds]
    paths = sorted(path for path in given.clips.iterdir() if path.suffix in {".mp4", ".mpg", ".avi", ".mkv"})
    clips = [read(path, given.seconds, extractors) for path in paths]
    print(f"{len(clips)} clips: {', '.join(path.stem for path in paths)}")
    for key, metric in FRAMES_ALONE.items():
        tell(key, [value(metric, key, clip.features) for clip in clips])
    tell(
        "length of single blinks (s)",
        [n for clip in clips for n in blink_lengths(_eyes(clip.features), fps=float(clip.features.fps))],
    )
    for key, metric in WITH_AUDIO.items():
        tell(f"{key}, own audio", [value(metric, key, clip.features) for clip in clips])
        others = [[value(metric, key, heard_with(clip, o)) for o in others_of(clip, clips)] for clip in clips]
        tell(
            f"{key}, audio of the others",
            [float(np.nanmean(row)) if np.isfinite(row).any() else np.nan for row in others if row],
        )
    identities = [(clip.features.clip_id, mean_identity(clip.features)) for clip in clips]
    alike = sorted((100.0 * float(a @ b), one, other) for (one, a), (other, b) in combinations(identities, 2))
    for cosine, one, other in alike[-2:]:
        print(f"cosine x 100 of mean identities: {cosine:.0f} ({one}, {other})")
    tell(
        "cosine x 100 of mean identities, all pairs but the most alike", [cosine for cosine, *_ in alike[:-1]], "{:.1f}"
    )
    tell("mouth opening explained by 3DDFA's expression", [explained(clip.features) for clip in clips])


if __name__ == "__main__":
    main()
