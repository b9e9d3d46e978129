"""Each network of the synth family with its training objective."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from emo_bench.train.appearance_objective import AppearanceObjective
from emo_bench.train.face_objective import LocatorObjective, ReaderObjective, face_samples
from emo_bench.train.sync_objective import SyncObjective
from emo_bench.train.video_objective import VideoObjective
from emo_metrics.synth.appearance_network import AppearanceNetwork
from emo_metrics.synth.face_network import FaceLocator, FaceReader
from emo_metrics.synth.sync_network import SyncNetwork
from emo_metrics.synth.video_network import VideoNetwork
from emo_models.training.clips import TrainingClip


def objective(
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
        return LocatorObjective(FaceLocator(), face_samples(clips), batch)
    if part == "reader":
        count = sum(len(clip.frames) for clip in portraits)
        return ReaderObjective(FaceReader(), face_samples([*clips, *portraits]), batch, count)
    if part == "appearance":
        return AppearanceObjective(AppearanceNetwork(), face_samples(clips), batch)
    if part == "video":
        return VideoObjective(VideoNetwork(), clips, batch)
    if part == "sync":
        return SyncObjective(SyncNetwork(), clips, batch)
    raise ValueError(f"unknown network {part!r}")
