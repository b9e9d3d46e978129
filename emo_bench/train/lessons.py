"""Each network of the synth family with what teaches it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from emo_bench.train.extractor_data import TrainingClip
from emo_bench.train.fit_appearance import AppearanceLesson
from emo_bench.train.fit_face import LocatorLesson, ReaderLesson, face_samples
from emo_bench.train.fit_sync import SyncLesson
from emo_bench.train.fit_video import VideoLesson
from emo_metrics.synth.appearance_network import AppearanceNetwork
from emo_metrics.synth.face_network import FaceLocator, FaceReader
from emo_metrics.synth.sync_network import SyncNetwork
from emo_metrics.synth.video_network import VideoNetwork


def lesson(
    part: str, clips: Sequence[TrainingClip], batch: int, *, portraits: Sequence[TrainingClip] = ()
) -> nn.Module:
    """A module whose attribute ``network`` learns and whose call gives the loss of one step.

    Args:
        part: Which network.
        clips: Training clips.
        batch: Samples a step.
        portraits: People of these clips in random states; only the reader takes them.

    Raises:
        ValueError: for an unknown part.
    """
    if part == "locator":
        return LocatorLesson(FaceLocator(), face_samples(clips), batch)
    if part == "reader":
        count = sum(len(clip.frames) for clip in portraits)
        return ReaderLesson(FaceReader(), face_samples([*clips, *portraits]), batch, count)
    if part == "appearance":
        return AppearanceLesson(AppearanceNetwork(), face_samples(clips), batch)
    if part == "video":
        return VideoLesson(VideoNetwork(), clips, batch)
    if part == "sync":
        return SyncLesson(SyncNetwork(), clips, batch)
    raise ValueError(f"unknown network {part!r}")
