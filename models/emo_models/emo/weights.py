"""Modules on disk: ``config.json`` beside ``diffusion_pytorch_model.safetensors``, diffusers' layout, no pickles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"

Module = TypeVar("Module", bound=nn.Module)


class WeightsError(ValueError):
    """Weights are missing, broken, of another shape, or not safetensors."""


def save_module(
    module: Any, folder: Path, *, dtype: torch.dtype | None = None, state: dict[str, Tensor] | None = None
) -> None:
    """Writes weights, then the config: where there is one, the weights are whole.

    Args:
        module: A diffusers-style module (``ConfigMixin``).
        folder: Is made if needed.
        dtype: Store floating point weights in this type; ``None`` keeps theirs.
        state: Write these weights (the average of training, say) instead of the module's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = module.state_dict() if state is None else state
    stored = {
        name: (t.to(dtype) if dtype is not None and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in tensors.items()
    }
    aside = folder / f"{WEIGHTS_NAME}.writing"
    save_file(stored, aside, metadata={"format": "pt"})
    aside.replace(folder / WEIGHTS_NAME)
    module.save_config(folder)


def load_module(kind: type[Module], folder: Path) -> Module:
    """A module written by `save_module` or diffusers, in float32 and eval mode.

    Raises:
        WeightsError: What is wrong with which file and what to do.
    """
    config_path = folder / CONFIG_NAME
    if not config_path.is_file():
        raise WeightsError(
            f"expected {config_path}, found no such file; is this the folder of a saved {kind.__name__}?"
        )
    try:
        config = json.loads(config_path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"expected JSON in {config_path}, found {error}; copy the file again") from error
    module: Module = kind.from_config(config)  # type: ignore[attr-defined]
    load_state(module, read_tensors(folder / WEIGHTS_NAME), source=folder / WEIGHTS_NAME)
    return module.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        WeightsError: The file is missing, broken, or of another format such as a pickle.
    """
    if not path.is_file():
        raise WeightsError(f"expected weights at {path}, found no such file")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"expected a safetensors file at {path}, found {error}; the file is damaged or another format "
            "(pickles such as .bin, .pt and .ckpt are not read); fetch it again or convert it"
        ) from error


def load_state(module: nn.Module, tensors: dict[str, Tensor], *, source: Path) -> None:
    """Loads exactly the module's weights.

    Raises:
        WeightsError: Names are missing or too many, or shapes differ.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - tensors.keys())
    extra = sorted(tensors.keys() - own.keys())
    if missing or extra:
        raise WeightsError(
            f"expected the {len(own)} tensors of {type(module).__name__} in {source}, found {len(missing)} missing "
            f"(first: {missing[:3]}) and {len(extra)} unknown (first: {extra[:3]}); "
            "config and weights do not belong together"
        )
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise WeightsError(
                f"expected {name} of shape {tuple(tensor.shape)} in {source}, found {tuple(tensors[name].shape)}; "
                "config and weights do not belong together"
            )
    module.load_state_dict({name: t.to(own[name].dtype) for name, t in tensors.items()})
