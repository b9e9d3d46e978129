"""Prepared clips on disk: made once, shared among processes, never stale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emo_scenes import TINY, MovingSquares

from emo_models.emo.building import build_autoencoder
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.clip_store import ClipStore
from emo_models.training.clips import Subset, TrainingClip

MEL = LogMelEncoder(fps=25.0, bands=8, steps=2)
VOICES = (1.0, 1.1)


def store(folder: Path, vae: Any, settings: object = VOICES) -> ClipStore:
    return ClipStore(folder, vae=vae, encoder=MEL, settings=settings)


def prepared(clips: Any, vae: Any, kept: ClipStore | None) -> LatentClips:
    return LatentClips(clips, vae, MEL, window=1, downsample=8, vtlp_factors=VOICES, store=kept)


def has(kept: ClipStore, record: TrainingClip) -> bool:
    """Whether the clip is found; nothing is made."""

    def make() -> dict[str, torch.Tensor]:
        raise LookupError

    try:
        return bool(kept.found_or_made(record, make))
    except LookupError:
        return False


def keep(kept: ClipStore, record: TrainingClip) -> None:
    kept.found_or_made(record, lambda: {"latents": torch.zeros(1)})
    assert has(kept, record)


def test_what_is_read_is_what_was_made(tmp_path: Path) -> None:
    vae = build_autoencoder(TINY)
    kept = store(tmp_path, vae)
    plain, made = prepared(MovingSquares(), vae, None), prepared(MovingSquares(), vae, kept)
    # Without an autoencoder nothing can be made: all of it comes from the files.
    read = prepared(MovingSquares(), None, kept)
    for other in (made, read):
        for a, b in zip(plain.clips, other.clips, strict=True):
            assert torch.equal(a.latents, b.latents)
            assert a.latents.dtype == b.latents.dtype
            assert all(torch.equal(x, y) for x, y in zip(a.audio, b.audio, strict=True))


def test_processes_make_a_share_each(tmp_path: Path) -> None:
    vae = build_autoencoder(TINY)
    kept = store(tmp_path, vae)
    clips = MovingSquares()
    shares = [Subset(clips, range(rank, 3, 2)) for rank in range(2)]
    assert [[share[i].id for i in range(len(share))] for share in shares] == [["0", "2"], ["1"]]
    for share in shares:
        prepared(share, vae, kept)
    assert len(list(tmp_path.iterdir())) == 3
    assert [clip.record.id for clip in prepared(clips, None, kept).clips] == ["0", "1", "2"]


@pytest.mark.parametrize("what", ["frames", "audio", "autoencoder", "settings"])
def test_nothing_stale_is_found(tmp_path: Path, what: str) -> None:
    vae = build_autoencoder(TINY)
    record = MovingSquares()[0]
    kept = store(tmp_path, vae)
    keep(kept, record)
    if what == "frames":
        frames = record.frames.copy()
        frames[3, 5, 7, 1] += 1
        assert not has(kept, replace(record, frames=frames))
    elif what == "audio":
        assert not has(kept, replace(record, audio=record.audio * np.float32(0.5)))
    elif what == "autoencoder":
        with torch.no_grad():
            next(vae.parameters()).add_(1e-3)
        assert not has(store(tmp_path, vae), record)
    else:
        assert not has(store(tmp_path, vae, (1.0, 1.2)), record)


def test_a_file_that_was_not_finished_is_no_file(tmp_path: Path) -> None:
    vae = build_autoencoder(TINY)
    kept = store(tmp_path, vae)
    record = MovingSquares()[0]
    keep(kept, record)
    (path,) = tmp_path.iterdir()
    path.rename(path.with_suffix(".77.writing"))
    assert not has(kept, record)
