"""Anchors: systems whose place in every table is known in advance, so that metrics can be checked on any data."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from emo_bench.config.schema import Frozen
from emo_bench.media.notes import Note
from emo_bench.media.types import Audio
from emo_bench.systems.conform import fit_audio, fit_length, resize_video
from emo_bench.systems.still_clip import repeated
from emo_bench.systems.system import DrivingClip, FrameSource, GeneratedClip, GenerationRequest, Partner, SystemKind
from emo_core.delay import delayed
from emo_core.errors import GenerationError


def _driving(request: GenerationRequest) -> DrivingClip:
    if request.driving is None:
        raise GenerationError("this system needs the ground truth", expected="a driving clip", found="none")
    return request.driving


def _partner(request: GenerationRequest, what: str) -> DrivingClip:
    if request.partner is None:
        raise GenerationError(
            f"this anchor needs {what}", expected="at least two of them in the suite, with other words", found="one"
        )
    return request.partner


class GroundTruth(SystemKind):
    """The real video: the best that any metric should see."""

    needs_driving: ClassVar[bool] = True
    frames: ClassVar[FrameSource] = "file"
    anchor: ClassVar[bool] = True

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Returns the ground truth as it is."""
        driving = _driving(request)
        return GeneratedClip(video=driving.video, audio=driving.audio)


class ReencodedOptions(Frozen):
    """How strongly the ground truth is compressed."""

    crf: int = Field(default=23, ge=0, le=51, description="H.264 constant rate factor; higher is worse")


class Reencoded(SystemKind):
    """The ground truth through ordinary H.264: the floor under any difference that compression alone makes."""

    options_model: ClassVar[type[Frozen]] = ReencodedOptions
    needs_driving: ClassVar[bool] = True
    frames: ClassVar[FrameSource] = "compressed"
    anchor: ClassVar[bool] = True

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Encodes and decodes the ground truth."""
        from emo_bench.media.preview import encode_roundtrip

        driving = _driving(request)
        return GeneratedClip(video=encode_roundtrip(driving.video, crf=self.options.crf), audio=driving.audio)


class FrozenReference(SystemKind):
    """The portrait, unmoved: perfect identity, no motion at all."""

    frames: ClassVar[FrameSource] = "still"
    anchor: ClassVar[bool] = True

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Repeats the reference image for the length of the audio."""
        video = repeated(request.reference_image, fps=request.fps, n_frames=request.n_frames)
        return GeneratedClip(video=video, audio=request.audio)


class FrozenReencoded(FrozenReference):
    """The portrait, unmoved, through ordinary H.264: the tremor that a codec gives to a still face, and no motion."""

    frames: ClassVar[FrameSource] = "compressed"
    options_model: ClassVar[type[Frozen]] = ReencodedOptions

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Repeats the reference image, encodes and decodes it."""
        from emo_bench.media.preview import encode_roundtrip

        still = super().generate(request)
        return GeneratedClip(video=encode_roundtrip(still.video, crf=self.options.crf), audio=still.audio)


class ShuffledAudio(SystemKind):
    """The ground truth with the audio of another clip: perfect frames, no lip sync."""

    needs_driving: ClassVar[bool] = True
    partner: ClassVar[Partner] = "other_clip"
    frames: ClassVar[FrameSource] = "shared"
    anchor: ClassVar[bool] = True

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Exchanges the audio; a shorter one is repeated."""
        driving, partner = _driving(request), _partner(request, "a second clip")
        audio = fit_audio(partner.audio, n_samples=len(driving.audio.samples))
        return GeneratedClip(
            video=driving.video, audio=audio, notes=(Note("other_audio", f"audio of clip {partner.clip_id}"),)
        )


class ShiftedAudioOptions(Frozen):
    """How far the audio is moved."""

    frames: int = Field(default=5, ge=-100, le=100, description="Frames by which the audio comes late (early if < 0)")


class ShiftedAudio(SystemKind):
    """The ground truth with its audio late by a few frames: perfect frames, known lip-sync error."""

    options_model: ClassVar[type[Frozen]] = ShiftedAudioOptions
    needs_driving: ClassVar[bool] = True
    frames: ClassVar[FrameSource] = "shared"
    anchor: ClassVar[bool] = True

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Delays the audio by whole frames; silence fills the gap."""
        driving = _driving(request)
        shift = round(self.options.frames * driving.audio.rate / request.fps)
        moved = delayed(driving.audio.samples, shift)
        return GeneratedClip(video=driving.video, audio=Audio(moved, driving.audio.rate))


class OtherIdentity(SystemKind):
    """The real video of another person: perfect frames of the wrong face, with the wrong words."""

    partner: ClassVar[Partner] = "other_identity"
    frames: ClassVar[FrameSource] = "shared"
    anchor: ClassVar[bool] = True

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Plays another identity's clip forth and back for the length of the audio."""
        partner = _partner(request, "a second identity")
        video = fit_length(partner.video, n_frames=request.n_frames)
        video = resize_video(video, width=request.width, height=request.height, crop=True)
        return GeneratedClip(
            video=video, audio=request.audio, notes=(Note("other_video", f"video of clip {partner.clip_id}"),)
        )
