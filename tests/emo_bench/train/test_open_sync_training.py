"""Training of the open sync network: resumes to the same bytes, leaves out what is held out, says what is missing."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from emo_bench.data.manifest import read_manifest, write_manifest
from emo_bench.data.reenacted.drivers import read_drivers
from emo_bench.train.config import DataSource, NetworkTraining, SyncTraining, load_training
from emo_bench.train.open_sync import FILE, _talking, _tell_splits, train_open_sync
from emo_bench.train.open_sync_objective import OpenSyncObjective, SpeakingMouth, _weights_of, speaking_mouth
from emo_core.errors import ConfigError, DataError
from emo_metrics.faces.landmark_sets import IBUG_68
from emo_metrics.sync_open.network import CONTEXT, OpenSyncNetwork

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small clips with labels, and a table of the same clips with face points."""
    from emo_bench.data.manifest import write_manifest
    from emo_bench.data.sets.hdtf_synth import make_clip
    from hdtf_synth.plan import clips_of

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("synth")
    entries = [make_clip(root, plan, 64) for plan in clips_of("mini")[:3]]
    write_manifest(root / "manifest.jsonl", entries)
    with (root / "table.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "tracks", "speaker"])
        for number, entry in enumerate(entries):
            points = load_file(root / str(entry.truth))["landmarks68"] / 64
            landmarks = np.zeros((len(points), 478, 3))
            landmarks[:, list(IBUG_68), :2] = points
            np.savez(root / f"{number}.npz", landmarks=landmarks, valid=np.ones(len(points), bool))
            rows.writerow([entry.video, f"{number}.npz", f"speaker{number}"])
    return root


def _config(folder: Path, work: Path, **changes: object) -> SyncTraining:
    given: dict[str, object] = {
        "kind": "sync",
        "data": (DataSource(manifest=str(folder / "manifest.jsonl"), split="mini"),),
        "talking": (str(folder / "table.csv"),),
        "work": str(work),
        "cache": str(work / "cache"),
        "network": NetworkTraining(steps=2, batch=2, checkpoint_every=1),
    }
    return SyncTraining.model_validate(given | changes)


class _StoppedError(Exception):
    pass


def _stops(text: str) -> None:
    if text.startswith("sync: step 2/"):
        raise _StoppedError


def test_an_interrupted_training_ends_with_the_same_bytes(data: Path, tmp_path: Path) -> None:
    whole = train_open_sync(_config(data, tmp_path / "a"), tmp_path / "a").read_bytes()
    with pytest.raises(_StoppedError):
        train_open_sync(_config(data, tmp_path / "b"), tmp_path / "b", say=_stops)
    assert train_open_sync(_config(data, tmp_path / "b"), tmp_path / "b").read_bytes() == whole
    wanted = {name for name in OpenSyncNetwork().state_dict() if not name.endswith("num_batches_tracked")}
    assert set(load_file(tmp_path / "a" / FILE)) == wanted


def _told(config: SyncTraining, out: Path) -> list[str]:
    lines: list[str] = []
    keep: Callable[[str], None] = lines.append
    train_open_sync(config, out, say=keep)
    return lines


def test_held_out_clips_and_speakers_are_left_out(data: Path, tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_text("speaker0\n", encoding="utf-8")
    config = _config(data, tmp_path, leave_out=str(tmp_path / "held.txt"), data=())
    assert "2 talking clips, 0 labelled ones" in _told(config, tmp_path / "out")
    with pytest.raises(ConfigError, match="leave_out"):
        train_open_sync(_config(data, tmp_path, leave_out=str(tmp_path / "none.txt")), tmp_path / "out")
    (tmp_path / "held.txt").write_text("speaker0\nspeaker1\nspeaker2\n", encoding="utf-8")
    with pytest.raises(DataError, match="too few"):
        train_open_sync(config, tmp_path / "out")


def test_labelled_clips_are_left_out_too_and_names_of_nobody_are_told(data: Path, tmp_path: Path) -> None:
    first = read_manifest(data / "manifest.jsonl").entries[0]
    (tmp_path / "held.txt").write_text(f"{first.id}\nspeaker0\nspeker1\n", encoding="utf-8-sig")
    lines = _told(_config(data, tmp_path, leave_out=str(tmp_path / "held.txt")), tmp_path / "out")
    assert "2 talking clips, 2 labelled ones" in lines
    assert [line for line in lines if "leave_out" in line] == ["leave_out: no clip and nobody is called speker1"]
    moved = [
        first.model_copy(update={"meta": {"driver_person": "eve"}}),
        *read_manifest(data / "manifest.jsonl").entries[1:],
    ]
    write_manifest(data / "driven.jsonl", moved)
    (tmp_path / "held.txt").write_text("eve\n", encoding="utf-8")
    source = DataSource(manifest=str(data / "driven.jsonl"), split="mini")
    lines = _told(_config(data, tmp_path, data=(source,), leave_out=str(tmp_path / "held.txt")), tmp_path / "out")
    assert "3 talking clips, 2 labelled ones" in lines


def test_talking_clips_of_several_splits_are_told(data: Path) -> None:
    clips, said = read_drivers(data / "manifest.jsonl"), list[str]()
    _tell_splits(clips, said.append)
    _tell_splits(read_drivers(data / "table.csv"), said.append)
    assert said == []
    _tell_splits([*clips, replace(clips[0], id="t", split="test")], said.append)
    assert said == ["talking clips of several splits are trained on: mini, test; leave_out keeps some out"]


def test_other_audio_beside_a_video_is_read(data: Path, tmp_path: Path) -> None:
    import soundfile

    rng = np.random.default_rng(0)
    for name, loudness in (("a", 0.3), ("b", 0.0)):
        shutil.copy(data / "0.npz", tmp_path)
        shutil.copy(data / read_manifest(data / "manifest.jsonl").entries[0].files["video"], tmp_path / "v.avi")
        sound = loudness * rng.normal(size=32000).astype(np.float32)
        soundfile.write(tmp_path / "v.wav", np.clip(sound, -1, 1), 16000)
        (tmp_path / "t.csv").write_text("file,audio,tracks\nv.avi,v.wav,0.npz\n", encoding="utf-8")
        clip = next(iter(_talking(read_drivers(tmp_path / "t.csv"), tmp_path, lambda text: None)))
        assert bool(clip.speech.any()) is (loudness > 0), name


def test_other_labels_another_delay_or_another_size_are_another_training(data: Path, tmp_path: Path) -> None:
    rows = (data / "table.csv").read_text(encoding="utf-8").splitlines()
    late = [f"{rows[0]},note", *(f"{row},pictures lag the sound by 1 frame" for row in rows[1:])]
    entries = read_manifest(data / "manifest.jsonl").entries
    write_manifest(
        data / "relabelled.jsonl",
        [entry.model_copy(update={"meta": {**entry.meta, "labels_sha256": "1" * 64}}) for entry in entries],
    )
    source = DataSource(manifest=str(data / "relabelled.jsonl"), split="mini")
    (data / "late.csv").write_text("\n".join(late) + "\n", encoding="utf-8")
    for changes in ({}, {"talking": (str(data / "late.csv"),)}, {"data": (source,)}, {"size": 48}):
        train_open_sync(_config(data, tmp_path, **changes), tmp_path / "out")
    assert len(list((tmp_path / "checkpoints").iterdir())) == 4


def test_nothing_to_train_on_is_told(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("kind: sync\nnetwork: {steps: 1, batch: 2}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="talking"):
        load_training(path)
    assert load_training(REPOSITORY / "configs" / "train" / "sync_open.yaml").kind == "sync"


def _mouth(count: int, seed: int) -> SpeakingMouth:
    rng = np.random.default_rng(seed)
    points = rng.uniform(20, 80, size=(count, 68, 2))
    points[:, 36], points[:, 45] = (30.0, 40.0), (70.0, 40.0)
    frames = rng.integers(0, 255, size=(count, 96, 96, 3), dtype=np.uint8)
    return speaking_mouth(frames, points, (0.1 * rng.normal(size=count * 640)).astype(np.float32), person=f"p{seed}")


def test_the_loss_depends_on_the_generator_alone_and_reaches_every_weight() -> None:
    objective = OpenSyncObjective(
        OpenSyncNetwork(), [_mouth(44, 0), _mouth(41, 1)], [_mouth(50, 2)], batch=4, frames=40, labelled_share=0.5
    ).train()
    losses = [objective(torch.Generator().manual_seed(seed)).item() for seed in (5, 5, 6)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)
    objective(torch.Generator().manual_seed(7)).backward()
    assert all(value.grad is not None and torch.isfinite(value.grad).all() for value in objective.parameters())


def test_labelled_clips_are_chosen_by_their_weights() -> None:
    real = [_mouth(44, 0), _mouth(41, 1)]
    even, uneven = ([replace(_mouth(50, 2), weight=w) for w in weights] for weights in ((1.0, 1.0), (0.5, 1.5)))
    assert _weights_of(real, even, 0.4)[2:].tolist() == pytest.approx([0.2, 0.2])
    assert _weights_of(real, uneven, 0.4)[2:].tolist() == pytest.approx([0.1, 0.3])
    assert _weights_of([], uneven, 0.4).tolist() == pytest.approx([0.25, 0.75])
    assert float(_weights_of(real, [], 0.4).sum()) == pytest.approx(1.0)


def test_clips_that_are_too_short_are_told(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(DataError, match=r"too few clips(.|\n)*51 frames(.|\n)*fewer 'frames'"):
        train_open_sync(_config(data, tmp_path, frames=51), tmp_path / "out", say=said.append)
    assert said[-1] == "6 of 6 clips are shorter than 51 frames: left out"


def test_windows_see_thirteen_frames() -> None:
    network = OpenSyncNetwork().eval()
    squares, outlines, bands = torch.rand(1, 40, 48, 48), torch.rand(1, 40, 44), torch.randn(1, 40, 160)
    with torch.inference_mode():
        mouth, sound = network.mouth(squares, outlines), network.sound(bands)
        squares[0, 20] += 0.5 * torch.rand(48, 48)
        changed = (network.mouth(squares, outlines) - mouth).abs().amax(dim=(0, 2)) > 1e-6
    assert mouth.shape == sound.shape == (1, 40 - 2 * CONTEXT, 96)
    assert changed.nonzero().flatten().tolist() == list(range(20 - 2 * CONTEXT, 21))
