"""Checks the open sync network on clips that it has not seen: offsets of shifted audio, and audio of somebody else.

``python -m emo_bench.train.open_sync_checks SET ... --weights WEIGHTS`` prints a table with a row for each set: a
table of talking clips (CSV) or a manifest. ``--only FILE`` keeps the clips and speakers that a text file names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emo_bench.data.reenacted.drivers import RATE, DriverClip, open_tracked, read_drivers
from emo_bench.data.reenacted.faces import FaceReader
from emo_bench.data.reenacted.tables import names_in
from emo_bench.extract.weights import WeightsFinder
from emo_core.errors import ClipError
from emo_metrics.contract import ClipFeatures, Unscored
from emo_metrics.extractors.open_sync import SYNC, SyncOpen, window_features
from emo_metrics.metrics.open_lip_sync import SyncOpenProtocol
from emo_metrics.sync_open.audio import power_spectra
from emo_metrics.sync_open.mouths import lip_outlines, mouth_squares

SHIFTS = (-8, -5, -2, -1, 0, 1, 2, 5, 8)
FPS = 25
STEP = RATE // FPS


@dataclass(frozen=True, eq=False)
class CheckPiece:
    """Some seconds of a clip.

    Attributes:
        clip: The clip.
        mouth: Embedded mouths ``[w, 96]``.
        audio: Of the whole clip.
        start: First frame.
        frames: How many.
    """

    clip: DriverClip
    mouth: NDArray[np.float32]
    audio: NDArray[np.float32]
    start: int
    frames: int

    def audio_late_by(self, shift: int) -> NDArray[np.float32]:
        """The audio of these frames, ``shift`` frames late; silent beyond the clip's ends."""
        first = (self.start - shift) * STEP
        part = np.zeros(self.frames * STEP, dtype=np.float32)
        low, high = max(first, 0), min(first + len(part), len(self.audio))
        if high > low:
            part[low - first : high - first] = self.audio[low:high]
        return part


def pieces_of(
    clips: Sequence[DriverClip], extractor: SyncOpen, *, seconds: float, weights: Sequence[Path]
) -> Iterator[CheckPiece]:
    """Cuts clips into pieces without overlap and embeds their mouths; clips without a face are left out, aloud."""
    from emo_metrics.faces.landmark_sets import ibug_68

    reader = cache(lambda: FaceReader(WeightsFinder(folders=tuple(weights))))
    length = round(seconds * FPS)
    for clip in clips:
        try:
            found = open_tracked(clip, reader)
        except ClipError as error:
            sys.stderr.write(f"{clip.id}: left out, {str(error).splitlines()[0]}\n")
            continue
        points = np.stack([ibug_68(row[:, :2]) for row in found.tracks.points]).astype(np.float64)
        for start in range(0, len(found.frames) - length + 1, length):
            part = slice(start, start + length)
            mouth = extractor.embed_mouth(mouth_squares(found.frames[part], points[part]), lip_outlines(points[part]))
            yield CheckPiece(clip, mouth, found.samples, start, length)


def scores_of(extractor: SyncOpen, piece: CheckPiece, audio: NDArray[np.float32]) -> dict[str, float]:
    """The values of ``sync/open@1`` for a piece with some audio."""
    arrays = {SYNC: window_features(extractor, piece.mouth, power_spectra(audio, piece.frames))}
    features = ClipFeatures(
        clip_id=piece.clip.id, identity=piece.clip.person, fps=Fraction(FPS), n_frames=piece.frames, arrays=arrays
    )
    return dict(SyncOpenProtocol().score_clip(features, None))


def check_set(name: str, pieces: Sequence[CheckPiece], extractor: SyncOpen) -> tuple[str, ...]:
    """One row of the table."""
    errors: list[float] = []
    right: list[tuple[float, float]] = []
    wrong: list[tuple[float, float]] = []
    silent = 0
    for index, piece in enumerate(pieces):
        for shift in SHIFTS:
            try:
                scores = scores_of(extractor, piece, piece.audio_late_by(shift))
            except Unscored:
                silent += 1
                continue
            errors.append(scores["offset"] + shift)
            if shift == 0:
                other = next((p for p in (*pieces[index + 1 :], *pieces) if p.clip.person != piece.clip.person), None)
                if other is not None:
                    try:
                        foreign = scores_of(extractor, piece, other.audio_late_by(0))
                    except Unscored:
                        continue
                    right.append((scores["lse-c"], scores["lse-d-0"]))
                    wrong.append((foreign["lse-c"], foreign["lse-d-0"]))
    if not errors:
        return (name, str(len(pieces)), "0", "no value", "", "", "")
    off, ok, bad = np.abs(errors), np.array(right), np.array(wrong)
    people = len({piece.clip.person for piece in pieces})
    compared = (
        (f"{ok[:, 0].mean():.3f}, {bad[:, 0].mean():.3f}", f"{(ok[:, 1] < bad[:, 1]).mean():.3f}")
        if right
        else ("", "")
    )
    return (
        name,
        f"{len(pieces)} of {people} people",
        str(silent),
        f"{(off == 0).mean():.3f}",
        f"{(off <= 1).mean():.3f}",
        *compared,
    )


HEAD = ("set", "pieces", "no value", "exact", "within 1 frame", "LSE-C own, foreign", "LSE-D@0 tells them apart")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", help="[NAME=]TABLE or [NAME=]MANIFEST")
    parser.add_argument("--only", type=Path, default=None, help="text file: ids of clips or speakers, one a line")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--weights", type=Path, action="append", default=[], help="folder of weight files")
    parser.add_argument("--each", action="store_true", help="a row for every speaker")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    extractor = SyncOpen({})
    only = set(names_in(options.only)) if options.only else None
    rows = [HEAD, tuple("---" for _ in HEAD)]
    for text in options.sets:
        name, _, place = text.rpartition("=")
        clips = [clip for clip in read_drivers(Path(place)) if only is None or {clip.id, clip.person} & only]
        pieces = list(pieces_of(clips, extractor, seconds=options.seconds, weights=options.weights))
        rows.append(check_set(name or Path(place).parent.name, pieces, extractor))
        people = sorted({piece.clip.person for piece in pieces}) if options.each else []
        rows += [check_set(who, [piece for piece in pieces if piece.clip.person == who], extractor) for who in people]
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in rows))


if __name__ == "__main__":
    main()
