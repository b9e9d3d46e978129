"""Training checkpoints that survive a kill at any moment: written aside, synced, then renamed into place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

_PREFIX = "step-"


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """State of a training run after some step.

    Attributes:
        tensors: Named groups of weights, such as ``model`` and ``average``.
        optimizer: The optimizer's state dict.
        state: Anything JSON holds: step, data position, history.
        rng: State of torch's global generator.
    """

    tensors: Mapping[str, Mapping[str, Tensor]]
    optimizer: dict[str, Any]
    state: dict[str, Any]
    rng: Tensor


def write_checkpoint(folder: Path, checkpoint: Checkpoint, *, step: int, keep: int = 2) -> Path:
    """Writes ``folder/step-NNNNNNNN`` and removes all but the ``keep`` latest."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{_PREFIX}{step:08d}"
    aside = folder / f".writing-{step:08d}-{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for name, tensors in checkpoint.tensors.items():
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, aside / f"{name}.safetensors")
    torch.save({"optimizer": checkpoint.optimizer, "rng": checkpoint.rng}, aside / "optimizer.pt")
    (aside / "state.json").write_text(json.dumps({**checkpoint.state, "groups": sorted(checkpoint.tensors)}), "utf-8")
    for file in aside.iterdir():
        _sync(file)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    _sync(folder)
    for old in complete_checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def complete_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.name.startswith(_PREFIX) and (p / "state.json").is_file())


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads one checkpoint; only tensors and plain values are unpickled."""
    state = json.loads((path / "state.json").read_text("utf-8"))
    rest = torch.load(path / "optimizer.pt", map_location="cpu", weights_only=True)
    return Checkpoint(
        tensors={name: load_file(path / f"{name}.safetensors") for name in state.pop("groups")},
        optimizer=rest["optimizer"],
        state=state,
        rng=rest["rng"],
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
