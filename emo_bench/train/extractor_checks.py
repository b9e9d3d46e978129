"""Checks the shipped extractors against the labels of HDTF-Synth's test split: unseen people, unseen voices.

``python -m emo_bench.train.extractor_checks --into docs/protocols/synth.md`` prints the tables and
writes them between the marks of that page.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo_bench.train.training_clips import load_slice
from emo_core.atomic import write_text
from emo_models.training.clips import TrainingClip

if TYPE_CHECKING:
    from emo_bench.extract.feature_store import FeatureResult
    from emo_metrics.contract import Extractor

Features = dict[str, "FeatureResult"]
START = "<!-- measured: python -m emo_bench.train.extractor_checks -->"
END = "<!-- end of what was measured -->"
SHIFTS = (-8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8)
FPS = Fraction(25)
DAMAGED = 24
"""Clips whose audio is shifted and whose frames are damaged; more only cost time."""


def extract(
    clip: TrainingClip,
    extractors: Sequence[Extractor],
    *,
    frames: NDArray[np.uint8] | None = None,
    audio: NDArray[np.float32] | None = None,
    known: Features | None = None,
) -> Features:
    """Features of a clip, or of it with other frames or other audio.

    Raises:
        RuntimeError: An extractor failed in its own code.
    """
    from emo_bench.extract.feature_store import FAULT
    from emo_bench.extract.single_pass import extract_clip
    from emo_bench.media.types import video_from_array
    from emo_metrics.contract import ClipInputs

    shown = clip.frames if frames is None else frames
    inputs = ClipInputs(
        clip_id=clip.id,
        fps=FPS,
        n_frames=len(shown),
        height=shown.shape[1],
        width=shown.shape[2],
        reference_image=clip.frames[clip.reference_index],
        audio=clip.audio if audio is None else audio,
        audio_rate=16000,
    )
    video = video_from_array(shown, fps=FPS)
    found = extract_clip(video=video, truth=None, inputs=inputs, extractors=extractors, known=known or {})
    for name, result in found.items():
        if result.status == FAULT:
            raise RuntimeError(f"{name} failed on clip {clip.id}: {result.reason}")
    return found


def face_table(clips: Sequence[TrainingClip], features: Sequence[Features]) -> str:
    """Identity, expression, pose, mouth and landmarks against the truth."""
    from emo_metrics.synth.face import EXPRESSION_NAMES

    face = [item["face/synth@1"].arrays for item in features]

    def seen(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.asarray(arrays[name], dtype=np.float64) for arrays in face])

    def true(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.asarray(clip.labels[name], dtype=np.float64) for clip in clips])

    found = seen("found") > 0
    pose = np.abs(seen("pose") - true("pose")[:, :3])[found]
    scale = np.linalg.norm(true("landmarks68")[:, 36] - true("landmarks68")[:, 45], axis=1)
    off = np.linalg.norm(seen("points68") - true("landmarks68"), axis=2).mean(axis=1) / scale
    mouth = seen("mouth")[:, 0], true("mouth_opening")
    each = [
        np.corrcoef(np.asarray(arrays["mouth"], dtype=np.float64)[:, 0], clip.labels["mouth_opening"])[0, 1]
        for arrays, clip in zip(face, clips, strict=True)
        if np.asarray(arrays["found"]).all()
    ]
    embeddings = [np.nanmean(np.asarray(arrays["embedding"], dtype=np.float64), axis=0) for arrays in face]
    whole, within = identity_auc(np.stack(embeddings), [clip.identity for clip in clips])
    rows = [
        ("frames with a face found", f"{found.mean():.4f}"),
        ("identity: AUC over pairs of clips of unseen people", f"{whole:.4f}"),
        ("identity: the same, pairs of one drawing style only", f"{within:.4f}"),
        ("yaw, pitch, roll: mean absolute error (degrees)", ", ".join(f"{v:.2f}" for v in pose.mean(axis=0))),
        ("landmarks: mean distance (outer eye distances)", f"{off[found].mean():.4f}"),
        ("mouth opening: correlation over all frames", f"{np.corrcoef(mouth[0][found], mouth[1][found])[0, 1]:.4f}"),
        ("mouth opening: correlation within a clip, median and least", f"{np.median(each):.4f}, {np.min(each):.4f}"),
    ]
    coefficients = r_squared(seen("expression")[found], true("expression")[found])
    text = _table(("what", "value"), rows) + "\nExpression, R² of each coefficient:\n\n"
    listed = [(name, f"{value:.3f}") for name, value in zip(EXPRESSION_NAMES, coefficients, strict=True)]
    return text + _table(("coefficient", "R²"), listed)


def r_squared(seen: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the variance of each column that is explained; NaN for a column that never changes."""
    residual = np.square(seen - true).sum(axis=0)
    total = np.square(true - true.mean(axis=0)).sum(axis=0)
    share: NDArray[np.float64] = np.divide(residual, total, out=np.full_like(total, np.nan), where=total > 0)
    return 1.0 - share


def identity_auc(embeddings: NDArray[np.float64], identities: Sequence[str]) -> tuple[float, float]:
    """How surely two clips of one person are nearer than two of different people: over all pairs; within a style.

    Args:
        embeddings: ``[clips, d]``.
        identities: ``person-NNN``; people whose numbers agree modulo 5 share a style.
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = unit @ unit.T
    first, second = np.triu_indices(len(unit), 1)
    same = np.equal.outer(identities, identities)[first, second]
    style = np.array([int(name.rsplit("-", 1)[1]) % 5 for name in identities])
    values, alike = cosines[first, second], style[first] == style[second]
    return auc(values[same], values[~same]), auc(values[same], values[~same & alike])


def auc(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    """Probability that a positive is larger than a negative, ties counting half.

    >>> auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    larger = (positives[:, None] > negatives[None]).mean()
    return float(larger + 0.5 * (positives[:, None] == negatives[None]).mean())


def sync_table(
    clips: Sequence[TrainingClip], features: Sequence[Features], late: Sequence[TrainingClip], tools: Tools
) -> str:
    """Offsets found in clips with late and early audio, and LSE of the right audio against that of another clip."""
    from emo_core.delay import delayed
    from hdtf_synth.recordings import FRAME_SAMPLES

    errors, late_errors, right, wrong = [], [], [], []
    for index, (clip, known) in enumerate(zip(clips, features, strict=True)):
        for shift in SHIFTS:
            moved = delayed(np.rint(clip.audio * 32768).astype(np.int16), shift * FRAME_SAMPLES)
            scores = tools.sync(clip, known, np.asarray(moved / 32768, dtype=np.float32))
            errors.append(scores["offset"] + shift)
            if shift == 0:
                right.append((scores["lse-c"], scores["lse-d"]))
        other = np.asarray(np.resize(clips[(index + 1) % len(clips)].audio, len(clip.audio)), dtype=np.float32)
        scores = tools.sync(clip, known, other)
        wrong.append((scores["lse-c"], scores["lse-d"]))
    for clip in late:
        scores = tools.sync(clip, extract(clip, tools.faces), clip.audio)
        late_errors.append(scores["offset"] + clip.audio_offset)
    shifted, offsets = np.abs(errors), np.abs(late_errors)
    ok, bad = np.array(right), np.array(wrong)
    rows = [
        (f"shifted audio, {len(errors)} trials: exact, within 1 frame", _shares(shifted)),
        (f"slice 'offsets', {len(late)} clips: exact, within 1 frame", _shares(offsets)),
        ("LSE-C of the right audio, of another clip's", f"{ok[:, 0].mean():.3f}, {bad[:, 0].mean():.3f}"),
        ("LSE-D of the right audio, of another clip's", f"{ok[:, 1].mean():.3f}, {bad[:, 1].mean():.3f}"),
        ("clips whose right audio has the higher LSE-C", f"{(ok[:, 0] > bad[:, 0]).mean():.3f}"),
    ]
    return _table(("what", "value"), rows)


def _shares(errors: NDArray[np.float64]) -> str:
    return f"{(errors == 0).mean():.3f}, {(errors <= 1).mean():.3f}"


class Tools:
    """The extractors of the synth family, loaded once."""

    def __init__(self) -> None:
        from emo_metrics.extractors.synth_face import FaceSynth
        from emo_metrics.extractors.synth_frames import AppearanceSynth, VideoSynth
        from emo_metrics.extractors.synth_sync import SyncSynth

        self.faces: list[Extractor] = [FaceSynth({})]
        self.sets: list[Extractor] = [AppearanceSynth({}), VideoSynth({})]
        self._sync: list[Extractor] = [SyncSynth({})]

    def sync(self, clip: TrainingClip, known: Features, audio: NDArray[np.float32]) -> dict[str, float]:
        """Scores of a clip with other audio."""
        from emo_metrics.contract import ClipFeatures
        from emo_metrics.metrics.synth_lip_sync import SyncOnSynth

        result = extract(clip, self._sync, audio=audio, known=known)
        arrays = {name: item.arrays for name, item in result.items()}
        features = ClipFeatures(
            clip_id=clip.id, identity=clip.identity, fps=FPS, n_frames=len(clip.frames), arrays=arrays
        )
        return dict(SyncOnSynth().score_clip(features, None))


def damage_table(clips: Sequence[TrainingClip], tools: Tools) -> str:
    """FID and FVD of the first half of the clips, damaged, against the second half, and against themselves."""
    rows = []
    half = len(clips) // 2
    whole = _sets(clips, tools, lambda clip: clip.frames)
    other = {name: samples[half:] for name, samples in whole.items()}
    own = {name: samples[:half] for name, samples in whole.items()}
    for label, change in damages():
        changed = own if label == "nothing" else _sets(clips[:half], tools, change)
        numbers = [_distance(name, changed, side) for name in ("fid", "fvd") for side in (own, other)]
        rows.append((label, *(f"{value:.3f}" for value in numbers)))
    return _table(("damage", "FID to itself", "FID to others", "FVD to itself", "FVD to others"), rows)


def _sets(
    clips: Sequence[TrainingClip], tools: Tools, change: Callable[[TrainingClip], NDArray[np.uint8]]
) -> dict[str, list[NDArray[np.float64]]]:
    results = [extract(clip, tools.sets, frames=change(clip)) for clip in clips]
    return {
        name: [np.asarray(item[extractor].arrays["features"], dtype=np.float64) for item in results]
        for name, extractor in (("fid", "appearance/synth@1"), ("fvd", "video/synth@1"))
    }


def _distance(name: str, a: dict[str, list[NDArray[np.float64]]], b: dict[str, list[NDArray[np.float64]]]) -> float:
    from emo_metrics.distances.frechet import frechet_distance

    return frechet_distance(np.concatenate(a[name]), np.concatenate(b[name]))


def damages() -> list[tuple[str, Callable[[TrainingClip], NDArray[np.uint8]]]]:
    """Named damage of growing strength; the randomness depends on the clip only."""
    import torch

    from emo_bench.train.distortions import damaged_frames, damaged_time
    from emo_core.rng import torch_generator

    def made(kind: str, strength: float, in_time: bool) -> Callable[[TrainingClip], NDArray[np.uint8]]:
        def change(clip: TrainingClip) -> NDArray[np.uint8]:
            x = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255.0
            generator = torch_generator(0, f"check {kind}", clip.id)
            y = (damaged_time if in_time else damaged_frames)(x, kind, strength, generator)
            return np.ascontiguousarray((y * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())

        return change

    rows: list[tuple[str, Callable[[TrainingClip], NDArray[np.uint8]]]] = [("nothing", lambda clip: clip.frames)]
    for kind in ("blur", "noise", "blocks"):
        rows += [(f"{kind} {strength:g}", made(kind, strength, False)) for strength in (0.1, 0.3, 0.8)]
    rows += [(f"frame jitter {strength:g}", made("jitter", strength, True)) for strength in (0.2, 0.5, 1.0)]
    rows += [(f"shuffled {strength:g}", made("shuffled", strength, True)) for strength in (0.1, 1.0)]
    return [*rows, ("frozen", made("frozen", 1.0, True))]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "".join(f"| {line} |\n" for line in lines)


def check_extractors(data: Path, cache: Path, *, max_clips: int | None = None) -> str:
    """All tables as Markdown; takes about two minutes on one core.

    Args:
        data: Folder of HDTF-Synth with the slices ``test`` and ``offsets``; made when absent.
        cache: Where decoded clips are kept.
        max_clips: Only the first so many of the test split.
    """
    clips = load_slice(data, "test", cache=cache, max_clips=max_clips)
    late = load_slice(data, "offsets", cache=cache)
    tools = Tools()
    features = [extract(clip, tools.faces) for clip in clips]
    people = len({clip.identity for clip in clips})
    parts = [
        f"{len(clips)} clips ({min(len(clips), DAMAGED)} of them for sync and damage) of {people} people of the test "
        "split, none of them in the training data.\n",
        face_table(clips, features),
        "Lip sync:\n",
        sync_table(clips[:DAMAGED], features[:DAMAGED], late, tools),
        "Damaged frames and damaged time, half of these clips damaged, the other half as others:\n",
        damage_table(clips[:DAMAGED], tools),
    ]
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables; with ``--into`` also replaces what stands between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/hdtf-synth"))
    parser.add_argument("--cache", type=Path, default=Path("runs/.train/clips"))
    parser.add_argument("--max-clips", type=int, default=None)
    parser.add_argument("--into", type=Path, default=None)
    options = parser.parse_args(arguments)
    text = check_extractors(options.data, options.cache, max_clips=options.max_clips)
    sys.stdout.write(text)
    if options.into is not None:
        page = options.into.read_text(encoding="utf-8")
        before, after = page[: page.index(START) + len(START)], page[page.index(END) :]
        write_text(options.into, f"{before}\n\n{text}\n{after}")


if __name__ == "__main__":
    main()
