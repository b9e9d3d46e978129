"""What a system is: one portrait and one audio in, a video exactly as long as the audio out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel

from emo_bench.config.load import Source, validate
from emo_bench.config.schema import Frozen, System
from emo_bench.config.yaml_text import KeyPath
from emo_bench.extract.weights import WeightsFinder
from emo_core.hashing import digest_of
from emo_core.registry import Registry

if TYPE_CHECKING:
    # What the command line starts with must not load numpy.
    from emo_bench.media.types import Audio, FrameArray, Video

Partner = Literal["none", "other_clip", "other_identity"]
FrameSource = Literal["new", "shared", "still", "compressed", "file"]


@dataclass(frozen=True, eq=False, kw_only=True)
class DrivingClip:
    """A ground-truth clip with its audio."""

    clip_id: str
    video: Video
    audio: Audio


@dataclass(frozen=True, eq=False, kw_only=True)
class GenerationRequest:
    """What a system is given.

    Attributes:
        clip_id: For messages and file lookup only.
        reference_image: The portrait, ``uint8 RGB [H, W, 3]``.
        audio: The driving audio, mono 16 kHz.
        fps: Frame rate of the video to make.
        n_frames: Its number of frames: the length of the audio.
        width: Width of the ground truth in pixels; what comes out in another size is resized to it.
        height: Height of the ground truth in pixels.
        any_size: What comes out in another size stays as it is: nothing is compared with it frame by frame.
        seed: All randomness of this clip derives from it.
        face_box: Where the face stays, x0, y0, x1, y1 in pixels, when the data set knows.
        driving: The ground truth, for systems that declare ``needs_driving`` (anchors and video dubbing).
        partner: Another clip, for systems that declare a ``partner``.
        system: Name of the system in the suite, for messages and files beside the video only.
    """

    clip_id: str
    reference_image: FrameArray
    audio: Audio
    fps: Fraction
    n_frames: int
    width: int
    height: int
    seed: int
    any_size: bool = False
    face_box: tuple[float, float, float, float] | None = None
    driving: DrivingClip | None = None
    partner: DrivingClip | None = None
    system: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class GeneratedClip:
    """What a system returns.

    Attributes:
        video: Exactly ``n_frames`` frames at the requested rate; read once, piece by piece, so it may be lazy.
        audio: Its audio; the driving audio unless the system is an anchor that exchanges it.
        notes: What the reader of the report should know of this clip.
    """

    video: Video
    audio: Audio
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SystemContext:
    """What a system may use when it is loaded.

    Attributes:
        device: 'cpu' or 'cuda[:n]'.
        weights: Finds pinned weight files.
        base: Folder that relative paths in options are relative to (the suite file's).
        clip_ids: All clips of the run.
    """

    device: str = "cpu"
    weights: WeightsFinder = field(default_factory=WeightsFinder)
    base: Path = field(default_factory=Path)
    clip_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    """A program that a system starts.

    Attributes:
        text: What would be started, for the user to read before it is.
        own: Whether card and place of the program are those of this installation, whatever the suite says.
    """

    text: str
    own: bool


class NoOptions(Frozen):
    """Options of a kind that has none."""


class SystemKind(ABC):
    """A kind of system; subclasses are registered by lazy name and must import quickly.

    Attributes:
        options_model: The keys that a suite file may give beside ``name`` and ``kind``.
        code_version: Raised by one whenever the same options could give other frames.
        needs_driving: Whether the ground truth is handed over.
        partner: Which other clip is handed over.
        anchor: Whether its place in the table is known in advance.
        uses_seed: Whether other seeds give other frames; see ``takes_seed``.
        files_last: Whether files that its videos are read from stay where they are, so that they need not be copied.
        frames: What its frames are, for the forecast of disk space: 'new' ones, those of a 'shared' stored clip, one
            'still' frame, a 'compressed' file, or a 'file' of the user.
    """

    options_model: ClassVar[type[Frozen]] = NoOptions
    code_version: ClassVar[int] = 1
    needs_driving: ClassVar[bool] = False
    partner: ClassVar[Partner] = "none"
    anchor: ClassVar[bool] = False
    uses_seed: ClassVar[bool] = False
    files_last: ClassVar[bool] = False
    frames: ClassVar[FrameSource] = "new"

    def __init__(self, options: Any) -> None:
        self.options = options

    def dependencies(self, context: SystemContext) -> Mapping[str, Any]:
        """Plain values beside the options that its frames depend on (digests of weights and files).

        Raises:
            EmoBenchError: when something it needs is missing; the run then stops before any work.
        """
        del context
        return {}

    def clip_dependencies(self, clip_id: str, context: SystemContext) -> Mapping[str, Any]:
        """The same for one clip, for example the digest of an already generated video."""
        del clip_id, context
        return {}

    def takes_seed(self, context: SystemContext) -> bool:
        """Whether this system's frames follow from the seed; one that ignores it is run once, not once for each.

        Raises:
            EmoBenchError: when what decides it is missing.
        """
        del context
        return self.uses_seed

    def program(self, context: SystemContext) -> Program | None:
        """The program of others that it starts; None when all of it is code of an installed package."""
        del context
        return None

    def notices(self, context: SystemContext) -> tuple[str, ...]:
        """Notices to the user before any work, in sentences."""
        del context
        return ()

    def load(self, context: SystemContext) -> None:
        """Loads networks; called once per worker before the first clip."""
        del context

    @abstractmethod
    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Makes the video of one clip.

        Raises:
            ClipError: when this clip cannot be made; the others continue.
        """


systems: Registry[type[SystemKind]] = Registry("system kind", entry_point_group="emo_bench.systems")
for _kind, _target in {
    "ground_truth": "emo_bench.systems.anchors:GroundTruth",
    "reencoded": "emo_bench.systems.anchors:Reencoded",
    "frozen": "emo_bench.systems.anchors:FrozenReference",
    "frozen_reencoded": "emo_bench.systems.anchors:FrozenReencoded",
    "shuffled_audio": "emo_bench.systems.anchors:ShuffledAudio",
    "shifted_audio": "emo_bench.systems.anchors:ShiftedAudio",
    "other_identity": "emo_bench.systems.anchors:OtherIdentity",
    "videos": "emo_bench.systems.videos:Videos",
    "emo": "emo_bench.systems.emo:Emo",
    "external": "emo_bench.systems.external.system:External",
    "external_dubbing": "emo_bench.systems.external.system:ExternalDubbing",
    "wav2lip": "emo_bench.systems.wav2lip:Wav2Lip",
    "wav2lip_dubbing": "emo_bench.systems.wav2lip:Wav2LipDubbing",
}.items():
    systems.add(_kind, _target)


def build_system(system: System, *, source: Source | None = None, at: KeyPath = ()) -> SystemKind:
    """Checks the options of a suite's system and makes it, without loading any network.

    Raises:
        ConfigError: for an unknown kind or wrong options, with their place in the file.
    """
    kind = systems.get(system.kind)
    place = source or Source(None, "", {}, {})
    options: BaseModel = validate(kind.options_model, place, at=at, values=system.options)
    return kind(options)


def system_digest(system: System, built: SystemKind, context: SystemContext) -> str:
    """Identity of a system: kind, version of its code, all options, and what it depends on."""
    return digest_of(
        {
            "kind": system.kind,
            "code_version": built.code_version,
            "options": built.options.model_dump(mode="json"),
            "dependencies": dict(built.dependencies(context)),
        }
    )
