"""Whether networks can run on a device, asked before any work."""

from __future__ import annotations

import re

from emo_core.errors import ConfigError


def require_device(device: str) -> None:
    """Checks that a device is there.

    Args:
        device: 'cpu' or 'cuda[:n]'.

    Raises:
        ConfigError: It is another word, or this machine has no such device.
    """
    named = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if named is None:
        raise ConfigError("the device is wrong", expected="cpu or cuda[:N]", found=repr(device))
    if device == "cpu":
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(named[1] or 0) >= count:
        raise ConfigError(
            f"there is no device {device}",
            expected="an NVIDIA GPU and a PyTorch that is built for it",
            found=f"{count} of them" if count else "none",
            fix="use cpu",
        )
