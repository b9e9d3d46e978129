"""The one strict way to fill a module: safetensors only, every name and shape as expected, every value finite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn


class WeightsError(ValueError):
    """Weights are missing, broken, of another shape, or not safetensors."""


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


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], *, source: Path | str) -> None:
    """Loads exactly the module's weights, in the types that the module has.

    Args:
        module: Filled in place.
        tensors: By name.
        source: Where they come from, for messages.

    Raises:
        WeightsError: Names are missing or too many, shapes differ, or a value is NaN or infinite.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - own.keys())
    if missing or unknown:
        raise WeightsError(
            f"expected the {len(own)} tensors of {type(module).__name__} in {source}, found {len(missing)} missing "
            f"(first: {missing[:3]}) and {len(unknown)} unknown (first: {unknown[:3]}); "
            "config and weights do not belong together"
        )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise WeightsError(
                f"expected {name} of shape {tuple(own[name].shape)} in {source}, found {tuple(tensor.shape)}; "
                "config and weights do not belong together"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"expected finite values of {name} in {source}, found NaN or infinity")
    module.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()})
