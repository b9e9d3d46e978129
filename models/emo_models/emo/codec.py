"""One way to call any autoencoder: the small one here, or diffusers' ``AutoencoderKL`` and ``AutoencoderTiny``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emo_models.strict_loading import WeightsError


def load_autoencoder(kind: Any, folder: Path) -> Any:
    """One of diffusers' autoencoders from a local folder, safetensors only, complete and in eval mode.

    Args:
        kind: Its class.
        folder: With ``config.json`` and the weights.

    Raises:
        WeightsError: Tensors are missing or unknown, which diffusers only warns of, or there is no such folder.
    """
    if not (folder / "config.json").is_file():
        raise WeightsError(f"expected {folder / 'config.json'}, found no such file; give an autoencoder's local folder")
    vae, told = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
    missing, unknown = sorted(told["missing_keys"]), sorted(told["unexpected_keys"])
    if missing or unknown:
        raise WeightsError(
            f"expected the tensors of {kind.__name__} in {folder}, found {len(missing)} missing (first: {missing[:3]}) "
            f"and {len(unknown)} unknown (first: {unknown[:3]}); copy config and weights from the same place"
        )
    return vae.eval()


def encode_images(vae: Any, images: Tensor) -> Tensor:
    """``images [b, 3, H, W]`` in [-1, 1] -> scaled latents ``[b, c, h, w]``; the mean where the encoder gives one."""
    out = vae.encode(images)
    if isinstance(out, Tensor):
        return out
    latents: Tensor = out.latent_dist.mode() if hasattr(out, "latent_dist") else out.latents
    return (latents - _shift(vae)) * _scale(vae)


def decode_latents(vae: Any, latents: Tensor) -> Tensor:
    """Scaled latents ``[b, c, h, w]`` -> ``images [b, 3, H, W]``, about [-1, 1]."""
    if not hasattr(vae.config, "scaling_factor"):
        out = vae.decode(latents)
    else:
        out = vae.decode(latents / _scale(vae) + _shift(vae))
    images: Tensor = out if isinstance(out, Tensor) else out.sample
    return images


def _scale(vae: Any) -> float:
    return float(vae.config.get("scaling_factor", 1.0) or 1.0)


def _shift(vae: Any) -> float:
    return float(vae.config.get("shift_factor", 0.0) or 0.0)


@torch.no_grad()
def encode_in_pieces(vae: Any, images: Tensor, *, piece: int = 32) -> Tensor:
    """`encode_images` over a long batch with bounded memory; takes and gives tensors on the CPU."""
    device = next(vae.parameters()).device
    pieces = [encode_images(vae, images[i : i + piece].to(device)).cpu() for i in range(0, len(images), piece)]
    return torch.cat(pieces)
