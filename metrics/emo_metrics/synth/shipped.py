"""Reading the weight files that are part of the package; their bytes must be the pinned ones."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Final, TypeVar

import safetensors.torch
from torch import nn

from emo_core.hashing import sha256_bytes
from emo_metrics.networks.weight_files import load_weights
from emo_metrics.synth.pins import PINS

SYNTH: Final = "emo_metrics.synth"
N = TypeVar("N", bound=nn.Module)


def load_shipped(
    network: N,
    name: str,
    *,
    device: str = "cpu",
    part: str = "",
    package: str = SYNTH,
    pins: Mapping[str, str] = PINS,
) -> N:
    """Fills a network with shipped weights (stored in half precision, used in single) and makes it ready to measure.

    Args:
        network: Receives them.
        name: File name below the package's folder ``weights``.
        device: Where the network shall work.
        part: Prefix of the tensors' names when the file holds several networks.
        package: Whose weights.
        pins: SHA-256 of that package's files by name.

    Raises:
        ValueError: when the file is missing or its bytes are not those that the package was released with.
    """
    file = resources.files(package) / "weights" / name
    if name not in pins or not file.is_file():
        raise ValueError(f"the shipped weights {name!r} are missing; expected them in emo_metrics: reinstall emo-bench")
    data = file.read_bytes()
    digest = sha256_bytes(data)
    if digest != pins[name]:
        raise ValueError(f"{name}: expected SHA-256 {pins[name]}, found {digest}; reinstall emo-bench")
    tensors = safetensors.torch.load(data)
    own = {key.removeprefix(part): value.float() for key, value in tensors.items() if key.startswith(part)}
    load_weights(network, own, source=name)
    return network.to(device).eval()
