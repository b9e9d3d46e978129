"""Latents and speech features on disk: processes share the work of making them, and a resumed run does none of it.

One file per clip. Its name is made of what goes in (frames, audio) and of what works on it (autoencoder, speech
encoder, scales), so nothing stale is ever found; what another autoencoder made lies beside it and is never read.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from emo_core.atomic import atomic_path, sweep_orphans
from emo_models.emo.audio_encoders import AudioEncoder
from emo_models.training.clips import TrainingClip


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
        sweep_orphans(folder, deep=False)

    def found_or_made(self, record: TrainingClip, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What is kept of this clip; made, and kept, where nothing is. A file appears atomically."""
        path = self._path(record)
        if path.is_file():
            return load_file(path)
        made = make()
        with atomic_path(path) as aside:
            save_file({name: tensor.contiguous() for name, tensor in made.items()}, aside)
        return made

    def _path(self, record: TrainingClip) -> Path:
        digest = self._makers.copy()
        portrait = () if record.portrait is None else (record.portrait,)
        for array in (record.frames, record.audio, *portrait):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array))
        return self.folder / f"{digest.hexdigest()[:32]}.safetensors"


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
