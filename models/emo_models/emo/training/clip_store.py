"""Latents and speech features on disk: processes share the work of making them, and a resumed run does none of it.

One file per clip. Its name is made of what goes in (frames, sound) and of what works on it (autoencoder, speech
encoder, voices), so nothing stale is ever found; what another autoencoder made lies beside it and is never read.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from emo_models.emo.audio_encoders import AudioEncoder
from emo_models.emo.training.clips import ClipRecord, TrainingClips


class ClipStore:
    """Files of prepared clips.

    Args:
        folder: Where they lie.
        vae: The autoencoder that makes the latents.
        encoder: The speech encoder.
        settings: Whatever else the content depends on.
    """

    def __init__(self, folder: Path, *, vae: Any, encoder: AudioEncoder, settings: object) -> None:
        self.folder = folder
        self._makers = _digest_of_makers(vae, encoder, settings)
        folder.mkdir(parents=True, exist_ok=True)

    def found_or_made(self, record: ClipRecord, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What is kept of this clip; made, and kept, where nothing is. A file appears whole or not at all."""
        path = self._path(record)
        if path.is_file():
            return load_file(path)
        made = make()
        aside = path.with_suffix(f".{os.getpid()}.writing")
        save_file({name: tensor.contiguous() for name, tensor in made.items()}, aside)
        aside.replace(path)
        return made

    def _path(self, record: ClipRecord) -> Path:
        digest = self._makers.copy()
        for array in (record.frames, record.audio):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array))
        return self.folder / f"{digest.hexdigest()[:32]}.safetensors"


class EveryNth:
    """One process's share of the clips: every ``n``-th from ``first``."""

    def __init__(self, clips: TrainingClips, *, first: int, n: int) -> None:
        self._clips, self._places = clips, range(first, len(clips), n)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int, /) -> ClipRecord:
        return self._clips[self._places[index]]


def _digest_of_makers(vae: Any, encoder: AudioEncoder, settings: object) -> Any:
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(repr(sorted(dict(vae.config).items())).encode())
    digest.update(save({name: value.detach().cpu().contiguous() for name, value in vae.state_dict().items()}))
    with tempfile.TemporaryDirectory() as folder:
        encoder.save(Path(folder))
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                digest.update(path.name.encode())
                digest.update(path.read_bytes())
    return digest
