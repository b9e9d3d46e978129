"""Weights of Stable Diffusion 1.5 and AnimateDiff into EMO, with a reason for every tensor that is not taken.

Both Backbone and ReferenceNet inherit Stable Diffusion's UNet; the temporal modules inherit AnimateDiff's. The slots of
text attention become reference-attention: queries are taken, keys and values cannot be (their input is an image map of
the same width, not a text of width 768), and the output projection starts at zero so that the first output is Stable
Diffusion's without text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emo_models.emo.architecture import merge_parts
from emo_models.emo.audio_encoders import load_transformer_encoder
from emo_models.emo.backbone import Backbone
from emo_models.emo.codec import load_autoencoder
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.presets import EMO_SD15
from emo_models.emo.reference_net import ReferenceNet
from emo_models.emo.schedulers import make_scheduler
from emo_models.emo.weights import WeightsError, read_tensors

_NEW_IN_BACKBONE = (".audio_norm.", ".audio_attn.", ".motion_modules.")
_TEXT_KEYS = "keys and values of text attention: their input is a text of another width than the image map"
_TEXT_OUT = "output of text attention: starts at zero so that EMO begins as Stable Diffusion without text"
_NO_TEXT = "text attention: the ReferenceNet has none"
_NO_OUTPUT = "output layers: nothing reads the ReferenceNet's output, only its features"


def left_out(part: str, name: str) -> str | None:
    """Why a tensor of Stable Diffusion's UNet is not taken; ``None`` when it is.

    Args:
        part: ``"backbone"`` or ``"reference_net"``.
        name: The tensor's name in diffusers' layout.
    """
    if part == "reference_net":
        if ".attn2." in name or re.search(r"transformer_blocks\.0\.norm2\.", name):
            return _NO_TEXT
        return _NO_OUTPUT if name.startswith(("conv_norm_out.", "conv_out.")) else None
    if ".attn2.to_k." in name or ".attn2.to_v." in name:
        return _TEXT_KEYS
    return _TEXT_OUT if ".attn2.to_out." in name else None


def expected_reasons(part: str, names: Mapping[str, Any]) -> dict[str, str]:
    """All names that are not taken, with the reason."""
    reasons = {name: left_out(part, name) for name in names}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def load_stable_diffusion(module: Backbone | ReferenceNet, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Copies a UNet in diffusers' layout into Backbone or ReferenceNet.

    Returns:
        Names that were not taken, with the reason.

    Raises:
        WeightsError: A tensor is missing, unknown or of another shape.
    """
    part = "backbone" if isinstance(module, Backbone) else "reference_net"
    reasons = expected_reasons(part, tensors)
    taken = {name: value for name, value in tensors.items() if name not in reasons}
    own = module.state_dict()
    new = {n for n in own if part == "backbone" and (any(w in n for w in _NEW_IN_BACKBONE) or left_out(part, n))}
    _copy(own, taken, needed=set(own) - new, source="Stable Diffusion's UNet")
    return reasons


def load_motion_module(backbone: Backbone, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Copies AnimateDiff's motion module (diffusers' or the original layout) into the temporal modules.

    Returns:
        Names that were not taken, with the reason.

    Raises:
        WeightsError: A tensor is missing, unknown or of another shape.
    """
    renamed = {_motion_name(name): value for name, value in tensors.items()}
    positions = {name: "sinusoidal positions: computed, not stored" for name in renamed if name.endswith(".pe")}
    taken = {name: value for name, value in renamed.items() if name not in positions}
    own = backbone.state_dict()
    needed = {n for n in own if ".motion_modules." in n and ".speed_attn." not in n and ".speed_norm." not in n}
    if not any(name.startswith("mid_block.") for name in taken):
        # Version 1 has no module in the middle; that one starts as the identity.
        needed = {name for name in needed if not name.startswith("mid_block.")}
    _copy(own, taken, needed=needed, source="AnimateDiff's motion module")
    return positions


def load_sd15_folder(model: EMOModel, *, unet: Path, motion_module: Path | None = None) -> dict[str, dict[str, str]]:
    """Fills a model of the preset ``emo-sd15`` from local folders.

    Args:
        model: Filled in place.
        unet: Folder with ``diffusion_pytorch_model.safetensors`` of Stable Diffusion 1.5's UNet.
        motion_module: Safetensors file of AnimateDiff's motion module; ``None`` starts as the identity.

    Returns:
        Per part the names that were not taken, with the reason.
    """
    tensors = read_tensors(unet / "diffusion_pytorch_model.safetensors")
    report = {
        "backbone": load_stable_diffusion(model.backbone, tensors),
        "reference_net": load_stable_diffusion(model.reference_net, tensors),
    }
    if motion_module is not None:
        report["temporal_modules"] = load_motion_module(model.backbone, read_tensors(motion_module))
    return report


def start_from_sd15(
    out: Path,
    *,
    unet: Path,
    vae: Path,
    audio_encoder: Path,
    motion_module: Path | None = None,
    model_changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, str]]:
    """Writes an untrained EMO pipeline that starts from public weights in local folders; training continues from it.

    Args:
        out: Folder of the pipeline.
        unet: Folder of Stable Diffusion 1.5's UNet (diffusers' layout).
        vae: Folder of its autoencoder.
        audio_encoder: Folder of wav2vec 2.0 (transformers' layout, safetensors).
        motion_module: Safetensors file of AnimateDiff's motion module; ``None`` starts as the identity.
        model_changes: Fields per part that differ from the preset ``emo-sd15``.

    Returns:
        Per part the names that were not taken, with the reason.
    """
    from diffusers import AutoencoderKL

    model = EMOModel.from_parts(merge_parts(EMO_SD15.model, model_changes or {}))
    report = load_sd15_folder(model, unet=unet, motion_module=motion_module)
    encoder = load_transformer_encoder(audio_encoder, kind="wav2vec2", fps=model.architecture.segment.fps)
    pipeline = EMOPipeline(
        model,
        load_autoencoder(AutoencoderKL, vae),
        make_scheduler(EMO_SD15.schedule),
        encoder,
        facts={"preset": EMO_SD15.name, "trained_on": EMO_SD15.trained_on},
    )
    pipeline.save_pretrained(out)
    return report


def sd15_model_on_meta() -> EMOModel:
    """The full-size model without memory for its weights."""
    with torch.device("meta"):
        return EMOModel.from_parts(EMO_SD15.model)


def sd15_unet_keys() -> dict[str, tuple[int, ...]]:
    """Names and shapes of Stable Diffusion 1.5's UNet as diffusers builds it, without memory for the weights."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        # Taken as a plain value, since the package's own types do not say that it is a module.
        unet: Any = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)
    return {name: tuple(value.shape) for name, value in unet.state_dict().items()}


def _copy(own: dict[str, Tensor], taken: Mapping[str, Tensor], *, needed: set[str], source: str) -> None:
    missing, unknown = sorted(needed - taken.keys()), sorted(taken.keys() - own.keys())
    if missing or unknown:
        raise WeightsError(
            f"expected all {len(needed)} tensors from {source}, found {len(missing)} missing (first: {missing[:3]}) "
            f"and {len(unknown)} unknown (first: {unknown[:3]}); are these the right weights, in diffusers' layout?"
        )
    for name, value in taken.items():
        if own[name].shape != value.shape:
            raise WeightsError(
                f"expected {name} of shape {tuple(own[name].shape)} from {source}, found {tuple(value.shape)}"
            )
    with torch.no_grad():
        for name, value in taken.items():
            own[name].copy_(value)


_ORIGINAL = (
    (".temporal_transformer.", "."),
    (".attention_blocks.0.", ".attn1."),
    (".attention_blocks.1.", ".attn2."),
    (".norms.0.", ".norm1."),
    (".norms.1.", ".norm2."),
    (".ff_norm.", ".norm3."),
    (".pos_encoder.", ".pos_embed."),
)


def _motion_name(name: str) -> str:
    name = name.removeprefix("module.")
    for old, new in _ORIGINAL:
        name = name.replace(old, new)
    return name
