"""Reading official weight files: tensors only, every name and shape checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from emo_core.hashing import sha256_file

_NOT_NEEDED = "num_batches_tracked"
"""A counter of training steps that older files lack and no evaluation reads."""


def read_tensors(path: Path, *, key: str | None = None) -> dict[str, torch.Tensor]:
    """All tensors of a file by name; no code in it can run.

    Args:
        path: A file of ``torch.save`` or a safetensors file.
        key: Entry that holds the tensors when the file is a dictionary of several things.

    Raises:
        ValueError: when the file holds something else.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    if key is not None:
        if not isinstance(content, Mapping) or key not in content:
            found = sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
            raise ValueError(f"{path.name}: expected an entry {key!r}, found {found}")
        content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError(f"{path.name}: expected a mapping of names to tensors, found {type(content).__name__}")
    return {str(name): value for name, value in content.items()}


def load_weights(network: nn.Module, tensors: Mapping[str, torch.Tensor], *, source: str) -> None:
    """Copies tensors into a network; every parameter and statistic must be there with its shape, and nothing else.

    Args:
        network: Receives the tensors.
        tensors: By the official names.
        source: File name for messages.

    Raises:
        ValueError: naming what is missing, unexpected or of another shape.
    """
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith(_NOT_NEEDED)}
    given = {name: value for name, value in tensors.items() if not name.endswith(_NOT_NEEDED)}
    missing, extra = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    reshaped = [
        f"{name} is {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(given))
        if wanted[name].shape != given[name].shape
    ]
    if missing or extra or reshaped:
        raise ValueError(
            f"{source} is not the expected network: {len(missing)} missing {missing[:3]}, "
            f"{len(extra)} unexpected {extra[:3]}, {len(reshaped)} of another shape {reshaped[:3]}"
        )
    network.load_state_dict(given, strict=False)


def require_sha256(path: Path, expected: str) -> Path:
    """The path, when its bytes have this digest.

    Raises:
        ValueError: with both digests.
    """
    found = sha256_file(path)
    if found != expected:
        raise ValueError(f"{path}: expected SHA-256 {expected}, found {found}")
    return path
