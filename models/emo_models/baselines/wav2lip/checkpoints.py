"""Reads and writes weights: the published checkpoint files as they are, and our own as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from emo_core.atomic import write_bytes
from emo_models.baselines.wav2lip.config import Wav2LipConfig
from emo_models.baselines.wav2lip.generator import Generator
from emo_models.strict_loading import load_state

N = TypeVar("N", bound=nn.Module)

PUBLISHED_FILES: Final = {
    "wav2lip.pth": "generator without the visual quality discriminator",
    "wav2lip_gan.pth": "generator trained with it",
    "lipsync_expert.pth": "sync expert",
}
SYNTH_WEIGHTS: Final = Path(__file__).parent / "weights" / "wav2lip_synth.safetensors"
"""The narrow generator trained on HDTF-Synth; ships with the package when it has been trained."""


def published_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a published checkpoint, whichever way it is wrapped.

    Accepts a plain state dict or one under ``state_dict``, with or without ``module.`` in front of its names. Nothing
    but tensors and plain containers is unpickled.

    Raises:
        ValueError: when the file is not such a checkpoint or would need code to be run.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # of a damaged file PyTorch raises what its bytes happen to lead to, a KeyError say
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} cannot be loaded safely; expected a checkpoint that holds tensors only: {reason}"
        ) from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{path}: expected a state dict, found {type(content).__name__}")
    wrong = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if wrong:
        raise ValueError(f"{path}: expected only tensors, found something else under {wrong[0]!r}")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def load_published(network: N, path: Path) -> N:
    """Fills a network from ``wav2lip.pth``, ``wav2lip_gan.pth`` or ``lipsync_expert.pth`` and sets it to evaluation.

    Raises:
        ValueError: see ``published_state`` and ``load_state``.
    """
    load_state(network, published_state(path), source=path.name)
    return network.eval()


def save_generator(generator: Generator, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Writes a generator with its configuration as safetensors, atomically; running statistics stay float32."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    for name, tensor in generator.state_dict().items():
        small = tensor.is_floating_point() and "running_" not in name
        tensors[name] = tensor.detach().cpu().to(dtype if small else tensor.dtype).contiguous()
    metadata = {"config": json.dumps(generator.config.to_dict(), sort_keys=True)}
    write_bytes(path, save(tensors, metadata=metadata))


def load_generator(path: Path) -> Generator:
    """Reads what ``save_generator`` wrote, in float32 and set to evaluation.

    Raises:
        ValueError: when the file is no such checkpoint.
        FileNotFoundError: when it is missing.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            metadata: dict[str, Any] = stream.metadata() or {}
            state = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        raise ValueError(f"{path}: not a readable safetensors file: {error}") from None
    if "config" not in metadata:
        raise ValueError(f"{path}: expected the key 'config' in its metadata; was it written by save_generator?")
    try:
        config = Wav2LipConfig.from_dict(json.loads(metadata["config"]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: the key 'config' in its metadata describes no generator: {error}") from None
    generator = Generator(config)
    load_state(generator, state, source=path.name)
    return generator.eval()
