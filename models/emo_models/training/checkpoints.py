"""Training checkpoints that survive a kill at any moment: written aside, synced, then renamed into place."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from emo_core.atomic import owner, sweep_orphans

_NAME = re.compile("step-[0-9]{8,}")


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
    sweep_orphans(folder, deep=False)
    final = folder / f"step-{step:08d}"
    aside = folder / f".writing-{step:08d}.{owner()}-"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        for name, tensors in checkpoint.tensors.items():
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, aside / f"{name}.safetensors")
        torch.save({"optimizer": checkpoint.optimizer, "rng": checkpoint.rng}, aside / "optimizer.pt")
        state = {**checkpoint.state, "groups": sorted(checkpoint.tensors)}
        (aside / "state.json").write_text(json.dumps(state), "utf-8")
        for written in (*aside.iterdir(), aside):
            _sync(written)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _sync(folder)
    for old in complete_checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def complete_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first; copies under other names are the user's."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _NAME.fullmatch(p.name) and (p / "state.json").is_file())


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads one checkpoint; only tensors and plain values are unpickled.

    Raises:
        ValueError: It is damaged.
    """
    try:
        state = json.loads((path / "state.json").read_text("utf-8"))
        rest = torch.load(path / "optimizer.pt", map_location="cpu", weights_only=True)
        return Checkpoint(
            tensors={name: load_file(path / f"{name}.safetensors") for name in state.pop("groups")},
            optimizer=rest["optimizer"],
            state=state,
            rng=rest["rng"],
        )
    except Exception as error:  # of a damaged file PyTorch raises what its bytes happen to lead to
        raise ValueError(
            f"expected a whole checkpoint in {path}, found a damaged one ({type(error).__name__}: {error}); "
            "delete that folder to go on from the checkpoint before it"
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
