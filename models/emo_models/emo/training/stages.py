"""The three stages and what each of them trains, declared by name of parameter.

Paper (section 3.3): image pretraining trains Backbone, ReferenceNet and Face Locator; video training brings in temporal
modules and audio layers; the last stage trains temporal modules and speed layers only, so that motion driven by speed
cannot weaken the audio. Two optional ones are ours: ``audio`` between the first two, audio layers on single frames; and
``guidance`` at the end, which trains everything to predict in one pass what audio guidance needs two for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from emo_models.emo.training.lora import has_lora, kept_by_lora

Part = Literal["image", "audio", "temporal", "speed"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a stage trains.

    Attributes:
        new: Parts that this stage is about, at the full learning rate.
        kept: Parts that keep training at ``backbone_lr_scale``; not trained when that is 0.
        temporal: Whether temporal modules act; otherwise frames are independent images.
        use_audio: Whether audio is given.
        use_speed: Whether head speed is given.
    """

    new: frozenset[Part]
    kept: frozenset[Part] = frozenset()
    temporal: bool = False
    use_audio: bool = False
    use_speed: bool = False


STAGES: dict[str, Stage] = {
    "image": Stage(new=frozenset({"image"})),
    "audio": Stage(new=frozenset({"audio"}), kept=frozenset({"image"}), use_audio=True),
    "video": Stage(new=frozenset({"audio", "temporal"}), kept=frozenset({"image"}), temporal=True, use_audio=True),
    "speed": Stage(new=frozenset({"temporal", "speed"}), temporal=True, use_audio=True, use_speed=True),
    "guidance": Stage(
        new=frozenset({"audio", "temporal", "speed"}),
        kept=frozenset({"image"}),
        temporal=True,
        use_audio=True,
        use_speed=True,
    ),
}


def part_of(name: str) -> Part:
    """The part of EMO that a parameter of `EMOModel` belongs to.

    >>> part_of("backbone.down_blocks.0.motion_modules.0.proj_in.weight"), part_of("face_locator.conv_out.bias")
    ('temporal', 'image')
    """
    if name.startswith("speed_encoder.") or ".speed_attn." in name or ".speed_norm." in name:
        return "speed"
    if ".motion_modules." in name:
        return "temporal"
    if name.startswith("audio_layers.") or ".audio_attn." in name or ".audio_norm." in name:
        return "audio"
    return "image"


def trainable_parts(stage: str, *, backbone_lr_scale: float) -> dict[Part, float]:
    """Parts that a stage trains and the share of the learning rate they get."""
    declared = STAGES[stage]
    kept = {part: backbone_lr_scale for part in declared.kept if backbone_lr_scale > 0}
    return {**kept, **dict.fromkeys(declared.new, 1.0)}


def parameter_groups(model: nn.Module, stage: str, *, backbone_lr_scale: float) -> list[dict[str, Any]]:
    """Marks what is trained (``requires_grad``) and returns the optimizer's groups, each with its ``lr_scale``."""
    groups: dict[float, list[nn.Parameter]] = {}
    for _, parameter, scale in _scaled(model, stage, backbone_lr_scale):
        parameter.requires_grad_(scale is not None)
        if scale is not None:
            groups.setdefault(scale, []).append(parameter)
    return [{"params": params, "lr_scale": scale} for scale, params in sorted(groups.items())]


def describe(model: nn.Module, stage: str, *, backbone_lr_scale: float) -> str:
    """One line per part: how many parameters, trained or frozen; of adapted parts both."""
    counts: dict[tuple[Part, float], int] = {}
    for name, parameter, scale in _scaled(model, stage, backbone_lr_scale):
        place = (part_of(name), scale or 0.0)
        counts[place] = counts.get(place, 0) + parameter.numel()
    lines: Iterable[str] = (
        f"  {part:9} {count / 1e6:8.3f} M  " + (f"trained at {scale:g} x lr" if scale else "frozen")
        for (part, scale), count in sorted(counts.items())
    )
    return "\n".join([f"stage {stage}:", *lines])


def _scaled(model: nn.Module, stage: str, backbone_lr_scale: float) -> Iterable[tuple[str, nn.Parameter, float | None]]:
    """Each parameter with its share of the learning rate, None where it is not trained."""
    parts = trainable_parts(stage, backbone_lr_scale=backbone_lr_scale)
    adapted = has_lora(model)
    for name, parameter in model.named_parameters():
        part = part_of(name)
        kept = adapted and part == "image" and kept_by_lora(name)
        yield name, parameter, None if kept else parts.get(part)
