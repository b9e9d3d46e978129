"""Modules on disk: ``config.json`` beside ``diffusion_pytorch_model.safetensors``, diffusers' layout, no pickles.

Why not diffusers' own ``from_pretrained``: it only warns when tensors are missing or unknown and drops config entries
that it does not know.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from emo_core.atomic import atomic_path
from emo_models.configured_module import ConfiguredModule
from emo_models.strict_loading import WeightsError, load_state, read_tensors

__all__ = ["CONFIG_NAME", "WEIGHTS_NAME", "WeightsError", "load_module", "read_tensors", "save_module"]

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"

Module = TypeVar("Module", bound=ConfiguredModule)


def save_module(
    module: ConfiguredModule, folder: Path, *, dtype: torch.dtype | None = None, state: dict[str, Tensor] | None = None
) -> None:
    """Writes weights, then the config: where there is one, the weights are complete.

    Args:
        module: Saved with its config.
        folder: Is made if needed.
        dtype: Store floating point weights in this type; ``None`` keeps theirs.
        state: Write these weights (the average of training, say) instead of the module's own.
    """
    tensors = module.state_dict() if state is None else state
    stored = {
        name: (t.to(dtype) if dtype is not None and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in tensors.items()
    }
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        save_file(stored, temporary, metadata={"format": "pt"})
    module.save_config(folder)


def load_module(kind: type[Module], folder: Path) -> Module:
    """A module written by `save_module` or diffusers, in float32 and eval mode.

    Raises:
        WeightsError: What is wrong with which file and what to do.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise WeightsError(f"expected {path}, found no such file; is this the folder of a saved {kind.__name__}?")
    try:
        config = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"expected JSON in {path}, found {error}; copy the file again") from error
    try:
        config = kind.migrate_config(config)
        known = set(inspect.signature(kind.__init__).parameters)
        unknown = sorted(name for name in config if name not in known and not name.startswith("_"))
        if unknown:
            raise ValueError(f"expected the arguments of {kind.__name__}, found {', '.join(unknown)}")
        module: Module = kind.from_config(config)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{path} does not describe a {kind.__name__}: {error}") from error
    load_state(module, read_tensors(folder / WEIGHTS_NAME), source=folder / WEIGHTS_NAME)
    return module.eval()
