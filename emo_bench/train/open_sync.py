"""Trains the open sync network from talking clips of real people and from re-enacted portraits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from emo_bench.data.manifest import ManifestEntry, read_manifest
from emo_bench.data.naming import listed
from emo_bench.data.reenacted.drivers import DriverClip, read_drivers
from emo_bench.data.reenacted.tables import names_in
from emo_bench.train.config import SyncTraining
from emo_bench.train.extractors import fit, repeatable, write_tensors
from emo_bench.train.open_sync_objective import OpenSyncObjective, SpeakingMouth, speaking_mouth
from emo_core.atomic import write_json
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import digest_of, sha256_file
from emo_metrics.sync_open.network import OpenSyncNetwork
from emo_models.training.clips import every_clip

Say = Callable[[str], None]
FILE = "sync_open.safetensors"
FORMAT = 1
"""Raised whenever the same clip would be kept otherwise."""


def train_open_sync(config: SyncTraining, out: Path, *, say: Say = lambda text: None) -> Path:
    """Trains the network and writes its weights; an interrupted training resumes.

    Args:
        config: What to train on and for how long.
        out: Folder of ``sync_open.safetensors`` and ``weights.json``.
        say: Called with lines for the user.

    Returns:
        The weight file.

    Raises:
        DataError: There are fewer than two clips, or one cannot be read.
    """
    torch.set_num_threads(config.threads)
    held_out = _held_out(config)
    drivers = [clip for table in config.talking for clip in read_drivers(Path(table))]
    entries = [entry for source in config.data for entry in read_manifest(Path(source.manifest)).entries]
    _tell_unknown(held_out, drivers, entries, say)
    drivers = [clip for clip in drivers if not _names_of(clip) & held_out]
    _tell_splits(drivers, say)
    talking = list(_talking(drivers, Path(config.work), say))
    labelled = list(_labelled(config, {entry.id for entry in entries if _names_in(entry) & held_out}, say))
    short = [clip for clip in (*talking, *labelled) if len(clip.squares) < config.frames]
    if short:
        say(f"{len(short)} of {len(talking) + len(labelled)} clips are shorter than {config.frames} frames: left out")
        talking, labelled = ([c for c in clips if len(c.squares) >= config.frames] for clips in (talking, labelled))
    if len(talking) + len(labelled) < 2:
        raise DataError(
            "too few clips to train on",
            expected=f"at least 2 with audio and {config.frames} frames",
            found=str(len(talking) + len(labelled)),
            fix="longer clips, or fewer 'frames'" if short else "",
        )
    say(f"{len(talking)} talking clips, {len(labelled)} labelled ones")
    plain = config.model_dump(mode="json", include={"network", "seed", "half", "frames", "reenacted", "size"})
    key = digest_of([plain, [(clip.digest, clip.person, clip.weight) for clip in (*talking, *labelled)]])

    def made() -> OpenSyncObjective:
        return OpenSyncObjective(
            OpenSyncNetwork(),
            talking,
            labelled,
            batch=config.network.batch,
            frames=config.frames,
            labelled_share=config.reenacted,
        )

    objective = repeatable(made, seed=config.seed, purpose="open sync")
    folder = Path(config.work) / "checkpoints" / key[:16]
    fit("sync", objective, config.network, folder, seed=config.seed, half=config.half, say=say)
    tensors = {
        name.removeprefix("network."): value.half().contiguous()
        for name, value in objective.state_dict().items()
        if name.startswith("network.") and not name.endswith("num_batches_tracked")
    }
    digest = write_tensors(out / FILE, tensors)
    write_json(out / "weights.json", {"config": config.model_dump(mode="json"), "sha256": {FILE: digest}})
    return out / FILE


def _held_out(config: SyncTraining) -> frozenset[str]:
    if config.leave_out is None:
        return frozenset()
    path = Path(config.leave_out)
    if not path.is_file():
        raise ConfigError(f"leave_out: {path} is missing", expected="a text file of ids, one a line")
    return frozenset(names_in(path))


def _names_of(clip: DriverClip) -> set[str]:
    return {clip.id, clip.person}


def _names_in(entry: ManifestEntry) -> set[str]:
    """Who and what a labelled clip shows: a re-enacted one moves like its driver."""
    drivers = {str(entry.meta[key]) for key in ("driver", "driver_person") if entry.meta.get(key)}
    return {entry.id, entry.identity, *drivers}


def _tell_unknown(
    held_out: frozenset[str], drivers: Sequence[DriverClip], entries: Sequence[ManifestEntry], say: Say
) -> None:
    """A misspelt name would be trained on."""
    known = {name for clip in drivers for name in _names_of(clip)} | {n for entry in entries for n in _names_in(entry)}
    if held_out - known:
        say(f"leave_out: no clip and nobody is called {listed(sorted(held_out - known))}")


def _tell_splits(drivers: Sequence[DriverClip], say: Say) -> None:
    """A manifest of talking clips may hold those that others are measured on."""
    splits = sorted({clip.split for clip in drivers if clip.split})
    if len(splits) > 1:
        say(f"talking clips of several splits are trained on: {listed(splits)}; leave_out keeps some out")


def _talking(clips: Sequence[DriverClip], work: Path, say: Say) -> Iterator[SpeakingMouth]:
    """The mouths of talking clips; what was cut out of them once is kept."""
    say(f"reading {len(clips)} talking clips")
    for clip in clips:
        digest = _source_digest(clip)
        own = digest_of([digest, clip.late]) if clip.late else digest
        kept = work / "mouths" / f"{FORMAT}-{clip.late}-{digest}.safetensors"
        if not kept.is_file():
            write_tensors(kept, _arrays_of(clip))
        arrays: dict[str, Any] = {name: value.numpy() for name, value in load_file(kept).items()}
        yield SpeakingMouth(**arrays, person=clip.person, digest=own)


def _source_digest(clip: DriverClip) -> str:
    """Of everything that a clip's mouth and speech are read from."""
    beside = [sha256_file(path) for path in (clip.audio, clip.tracks) if path is not None]
    return digest_of([clip.digest(), *beside]) if beside else clip.digest()


def _arrays_of(clip: DriverClip) -> dict[str, torch.Tensor]:
    from emo_bench.data.reenacted.drivers import open_tracked
    from emo_bench.data.reenacted.faces import FaceReader
    from emo_bench.extract.weights import WeightsFinder
    from emo_metrics.faces.landmark_sets import ibug_68

    found = open_tracked(clip, lambda: FaceReader(WeightsFinder()))
    points = np.stack([ibug_68(row[:, :2]) for row in found.tracks.points])
    mouth = speaking_mouth(found.frames, points, found.samples)
    names = ("squares", "outlines", "spectra", "speech")
    return {name: torch.from_numpy(np.ascontiguousarray(getattr(mouth, name))) for name in names}


def _labelled(config: SyncTraining, left_out: set[str], say: Say) -> Iterator[SpeakingMouth]:
    from emo_bench.train.training_clips import open_training_clips

    if not config.data:
        return
    opened = open_training_clips(
        config.data, cache=Path(config.cache), size=config.size, max_clips=config.max_clips, say=say
    )
    for clip in every_clip(opened):
        if len(clip.audio) and clip.id not in left_out:
            points = np.asarray(clip.labels["landmarks68"], np.float32)
            digest = digest_of([clip.digest, clip.beside])
            yield speaking_mouth(
                clip.frames, points, clip.audio, person=clip.identity, digest=digest, weight=clip.weight
            )
