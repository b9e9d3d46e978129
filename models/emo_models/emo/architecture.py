"""The arguments of `EMOModel`, part by part; defaults are the paper's, or Stable Diffusion 1.5's where it is silent.

What is not in the paper is in `ExtensionsConfig` alone, and off by default.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

ReferenceVariant = Literal["cross", "concat"]
ReferenceFeature = Literal["output", "input"]
TemporalNorm = Literal["clip", "frame"]
LayerMix = Literal["weighted", "concat"]
Projection = Literal["per_neighbour", "joint"]
LocatorPlace = Literal["latent", "first_map"]
FirstMotion = Literal["zeros", "portrait"]


@dataclass(frozen=True, kw_only=True)
class LatentsConfig:
    """The latents of the autoencoder.

    Attributes:
        channels: Channels.
        size: Height and width.
        downsample: Pixels per latent pixel.
    """

    channels: int = 4
    size: int = 64
    downsample: int = 8


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """What is generated at once.

    Attributes:
        frames: f.
        motion_frames: n, frames of the segment before.
        window: m, neighbours on each side, for audio and speed.
        fps: Frames per second.
    """

    frames: int = 12
    motion_frames: int = 4
    window: int = 2
    fps: float = 30.0


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Size of Backbone and ReferenceNet.

    Attributes:
        block_out_channels: Width per level.
        layers_per_block: Layers per level on the way down; one more on the way up.
        attention_levels: Which levels have transformers.
        heads: Attention heads.
        groups: Groups of the normalisations.
    """

    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    heads: int = 8
    groups: int = 32

    def __post_init__(self) -> None:
        if len(self.attention_levels) != len(self.block_out_channels):
            raise ValueError(
                f"expected one attention flag per level, found {len(self.attention_levels)} flags for "
                f"{len(self.block_out_channels)} levels"
            )


@dataclass(frozen=True, kw_only=True)
class ReferenceConfig:
    """ReferenceNet and reference-attention.

    Attributes:
        variant: How the reference enters, see `reference_attention`: ``"cross"`` (the paper) or ``"concat"``.
        feature: What the ReferenceNet hands over: ``"output"`` (the paper) or ``"input"`` of its self-attention.
        timestep: Time the ReferenceNet is given; clean images have time 0.
    """

    variant: ReferenceVariant = "cross"
    feature: ReferenceFeature = "output"
    timestep: int = 0


@dataclass(frozen=True, kw_only=True)
class AudioConfig:
    """Audio layers; see `AudioLayers`.

    Attributes:
        blocks: Blocks of the speech encoder.
        width: Width of their outputs.
        token_dim: Width of an audio token.
        tokens: Tokens per neighbour.
        mix: ``"weighted"`` or ``"concat"``.
        projection: ``"per_neighbour"`` or ``"joint"``.
        hidden: Width of the joint projection.
        normalise: Normalise the speech features per block and frame.
    """

    blocks: int = 13
    width: int = 768
    token_dim: int = 768
    tokens: int = 1
    mix: LayerMix = "weighted"
    projection: Projection = "per_neighbour"
    hidden: int = 256
    normalise: bool = True


@dataclass(frozen=True, kw_only=True)
class FaceLocatorConfig:
    """Face Locator.

    Attributes:
        channels: Widths of its convolutions.
        place: Where its map is added: to the noisy ``"latent"`` (the paper) or to the ``"first_map"``.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    place: LocatorPlace = "latent"


@dataclass(frozen=True, kw_only=True)
class TemporalConfig:
    """Temporal modules.

    Attributes:
        heads: Attention heads.
        max_frames: Longest n + f.
        norm: Statistics per ``"frame"`` (AnimateDiff's own code) or over the whole ``"clip"`` (diffusers).
        mid_block: A temporal module in the middle block too.
    """

    heads: int = 8
    max_frames: int = 32
    norm: TemporalNorm = "frame"
    mid_block: bool = True


@dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """Speed layers.

    Attributes:
        centres: Bucket centres, degrees per frame.
        radii: Bucket radii.
        width: Width of the speed features.
    """

    centres: tuple[float, ...] = (0.1, 0.4, 0.7, 1.0, 1.3, 1.6, 1.9, 2.2, 2.5)
    radii: tuple[float, ...] = (0.3,) * 9
    width: int = 256


@dataclass(frozen=True, kw_only=True)
class ExtensionsConfig:
    """What is not in the paper, for networks that start without a prior; off by default.

    Attributes:
        residual_std: Noise is added to the latents' residual against the portrait's, in units of this standard
            deviation per channel, and the Backbone sees the portrait's latents beside its input; empty adds noise to
            the latents, as the paper does. See `extensions.residual_latents`.
        concat_motion_frames: The Backbone sees the motion frames beside its input too, concatenated on the channels.
        first_motion: Motion frames of a video's first segment: ``"zeros"`` (the paper), or the ``"portrait"`` n times,
            from which the video then continues.
        spatial_positions: Fixed positions at the input; see `extensions.spatial_positions`.
        distance_bias: Attention on the grid prefers near places; see `extensions.distance_bias`.
        eyelids: How far the eyes are closed is a condition; see `extensions.eyelids`.
    """

    residual_std: tuple[float, ...] = ()
    concat_motion_frames: bool = False
    first_motion: FirstMotion = "zeros"
    spatial_positions: bool = False
    distance_bias: bool = False
    eyelids: bool = False


@dataclass(frozen=True, kw_only=True)
class EMOArchitecture:
    """All parts of `EMOModel`.

    Attributes:
        latents: See `LatentsConfig`; likewise the others.
        segment: Of `SegmentConfig`.
        unet: Of `UNetConfig`.
        reference: Of `ReferenceConfig`.
        audio: Of `AudioConfig`.
        locator: Of `FaceLocatorConfig`.
        temporal: Of `TemporalConfig`.
        speed: Of `SpeedConfig`.
        extensions: Of `ExtensionsConfig`.
    """

    latents: LatentsConfig = field(default_factory=LatentsConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    unet: UNetConfig = field(default_factory=UNetConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    locator: FaceLocatorConfig = field(default_factory=FaceLocatorConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    extensions: ExtensionsConfig = field(default_factory=ExtensionsConfig)

    def __post_init__(self) -> None:
        std, channels = self.extensions.residual_std, self.latents.channels
        if std and (len(std) != channels or min(std) <= 0):
            raise ValueError(f"expected {channels} positive numbers in extensions.residual_std, found {std}")

    @classmethod
    def from_parts(cls, parts: Mapping[str, Mapping[str, Any] | None]) -> EMOArchitecture:
        """From the arguments of `EMOModel`; what a part leaves out has its default.

        Raises:
            ValueError: A part or field is unknown, or a choice is not among those there are.

        >>> EMOArchitecture.from_parts({"segment": {"frames": 8}}).segment
        SegmentConfig(frames=8, motion_frames=4, window=2, fps=30.0)
        """
        unknown = sorted(parts.keys() - PARTS.keys())
        if unknown:
            raise ValueError(f"expected the parts {', '.join(PARTS)}, found {', '.join(unknown)}")
        return cls(**{name: _part(name, values or {}) for name, values in parts.items()})

    def to_parts(self) -> dict[str, dict[str, Any]]:
        """The arguments of `EMOModel`, complete."""
        return dataclasses.asdict(self)


PARTS: dict[str, type[Any]] = {
    "latents": LatentsConfig,
    "segment": SegmentConfig,
    "unet": UNetConfig,
    "reference": ReferenceConfig,
    "audio": AudioConfig,
    "locator": FaceLocatorConfig,
    "temporal": TemporalConfig,
    "speed": SpeedConfig,
    "extensions": ExtensionsConfig,
}

_CHOICES: dict[tuple[str, str], Any] = {
    ("reference", "variant"): ReferenceVariant,
    ("reference", "feature"): ReferenceFeature,
    ("audio", "mix"): LayerMix,
    ("audio", "projection"): Projection,
    ("locator", "place"): LocatorPlace,
    ("temporal", "norm"): TemporalNorm,
    ("extensions", "first_motion"): FirstMotion,
}


def merge_parts(
    parts: Mapping[str, Mapping[str, Any]], changes: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Arguments of `EMOModel` with some fields changed.

    >>> merge_parts({"segment": {"frames": 8, "window": 1}}, {"segment": {"frames": 4}, "speed": {"width": 8}})
    {'segment': {'frames': 4, 'window': 1}, 'speed': {'width': 8}}
    """
    return {name: {**parts.get(name, {}), **changes.get(name, {})} for name in dict.fromkeys([*parts, *changes])}


def _part(name: str, values: Mapping[str, Any]) -> Any:
    fields = [f.name for f in dataclasses.fields(PARTS[name])]
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"expected the fields {', '.join(fields)} in {name}, found {key}{hint}")
        choices = get_args(_CHOICES.get((name, key), Any))
        if choices and value not in choices:
            raise ValueError(f"expected {name}.{key} to be one of {', '.join(choices)}, found {value!r}")
    return PARTS[name](**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
