from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from emo_bench.data.manifest import read_manifest, write_manifest
from emo_bench.train.config import DataSource, ExtractorTraining, NetworkTraining, load_training
from emo_bench.train.distortions import FRAME_KINDS, TIME_KINDS, damaged_frames, damaged_time
from emo_bench.train.extractor_checks import auc, identity_auc, r_squared
from emo_bench.train.extractors import FILES, _train, fit, install, train_extractors
from emo_bench.train.face_objective import face_samples
from emo_bench.train.objectives import objective
from emo_bench.train.posed_portraits import posed_portraits
from emo_bench.train.sync_objective import _wide_mouths
from emo_bench.train.training_clips import open_training_clips
from emo_core.errors import ConfigError
from emo_metrics.synth.layers import to_square
from emo_models.training.checkpoints import complete_checkpoints
from emo_models.training.clips import TrainingClip, every_clip

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small clips as a train split."""
    from emo_bench.data.sets.hdtf_synth import make_clip
    from hdtf_synth.plan import clips_of

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("synth")
    entries = [make_clip(root / "train", plan, 64) for plan in clips_of("mini")[:3]]
    write_manifest(root / "train" / "manifest.jsonl", entries)
    return root


def _config(data: Path, work: Path, *, steps: int = 2) -> ExtractorTraining:
    few = NetworkTraining(steps=steps, batch=8, checkpoint_every=1)
    clips = NetworkTraining(steps=steps, batch=2, checkpoint_every=1)
    return ExtractorTraining(
        data=(DataSource(manifest=str(data / "train" / "manifest.jsonl"), split="mini"),),
        cache=str(work / "cache"),
        work=str(work),
        locator=few,
        reader=few,
        appearance=few,
        video=clips,
        sync=clips,
    )


class _StoppedError(Exception):
    pass


def _stops_in(part: str) -> Callable[[str], None]:
    """Raises at the second step of a network, before that step is kept."""

    def say(text: str) -> None:
        if text.startswith(f"{part}: step 2/"):
            raise _StoppedError

    return say


def test_an_interrupted_training_ends_with_the_same_bytes(data: Path, tmp_path: Path) -> None:
    whole = train_extractors(_config(data, tmp_path / "a"), tmp_path / "a" / "weights")
    assert set(whole) == set(FILES)
    config = _config(data, tmp_path / "b")
    for part in ("reader", "sync"):
        with pytest.raises(_StoppedError):
            train_extractors(config, tmp_path / "b" / "weights", say=_stops_in(part))
    assert train_extractors(config, tmp_path / "b" / "weights") == whole


@pytest.mark.parametrize("steps", [1, 9, 10, 11, 20])
def test_any_number_of_steps_has_a_schedule(tmp_path: Path, steps: int) -> None:
    class Objective(torch.nn.Linear):
        def forward(self, generator: torch.Generator) -> torch.Tensor:
            return (self.weight - torch.rand(1, generator=generator)).square().sum()

    settings = NetworkTraining(steps=steps, batch=2)
    fit("some", Objective(1, 1), settings, tmp_path, seed=0, half=False, say=lambda text: None)
    assert [path.name for path in complete_checkpoints(tmp_path)] == [f"step-{steps:08d}"]


@pytest.mark.parametrize("side", [64, 128, 256])
def test_networks_learn_from_frames_of_the_size_that_they_get_in_use(data: Path, tmp_path: Path, side: int) -> None:
    clip = _opened(data, tmp_path)[0]
    large = np.stack([np.asarray(Image.fromarray(frame).resize((side, side))) for frame in clip.frames])
    points = np.asarray(clip.labels["landmarks68"]) * np.float32(side / 64)
    sized = replace(clip, frames=large, labels={**clip.labels, "landmarks68": points})
    samples = face_samples([sized])
    assert samples.frames(torch.tensor([0, 3])).shape == (2, 3, 128, 128)
    if side == 128:
        own = torch.from_numpy(large[[0, 3]]).permute(0, 3, 1, 2).float() / 255.0
        assert torch.equal(samples.frames(torch.tensor([0, 3])), own)
    # A mouth is as fine as in a frame of 128 pixels, not finer.
    mouth = _wide_mouths(sized).float()
    wanted = _wide_mouths(
        replace(sized, frames=_resized(large, 128), labels={**clip.labels, "landmarks68": points * (128 / side)})
    )
    assert (mouth - wanted.float()).abs().mean() < 1.5


def _resized(frames: np.ndarray, side: int) -> np.ndarray:
    return (to_square(frames, side) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def test_portraits_have_the_size_of_the_clips(data: Path, tmp_path: Path) -> None:
    clip = _opened(data, tmp_path)[0]
    for size in (64, 32):
        frames = clip.frames[:, :size, :size]
        posed = posed_portraits(replace(clip, frames=frames), 2, seed=0, cache=tmp_path)
        assert posed.frames.shape == (2, size, size, 3)


def test_other_people_in_the_manifest_are_another_training(data: Path, tmp_path: Path) -> None:
    manifest = data / "train" / "manifest.jsonl"
    entries = read_manifest(manifest).entries
    write_manifest(
        data / "train" / "renamed.jsonl",
        [entry.model_copy(update={"identity": f"person-{number:03d}"}) for number, entry in enumerate(entries)],
    )
    config = _config(data, tmp_path, steps=1).model_copy(update={"portraits": 0})
    other = (DataSource(manifest=str(data / "train" / "renamed.jsonl"), split="mini"),)
    for changed in (config, config.model_copy(update={"data": other})):
        clips = open_training_clips(changed.data, cache=tmp_path / "cache")
        _train("locator", changed, list(every_clip(clips)), lambda text: None)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_weights_of_sets_are_refused(data: Path, tmp_path: Path) -> None:
    """All frames count alike here; a weight would be passed over without a word."""
    config = _config(data, tmp_path)
    heavy = config.model_copy(update={"data": (config.data[0].model_copy(update={"weight": 2.0}),)})
    with pytest.raises(ConfigError, match=r"weights of data sets(.|\n)*alike"):
        train_extractors(heavy, tmp_path / "weights")


def test_installed_weights_are_pinned(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    for number, name in enumerate(FILES):
        (tmp_path / "weights" / name).write_bytes(bytes([number]))
    package = tmp_path / "package"
    package.mkdir()
    original = REPOSITORY / "metrics" / "emo_metrics" / "synth" / "pins.py"
    (package / "pins.py").write_text(original.read_text(encoding="utf-8"), encoding="utf-8")
    install(tmp_path / "weights", package)
    namespace: dict[str, object] = {}
    exec((package / "pins.py").read_text(encoding="utf-8"), namespace)  # noqa: S102 - our own file
    digests = namespace["PINS"]
    assert isinstance(digests, dict)
    assert set(digests) == set(FILES)
    assert (package / "weights" / "sync.safetensors").read_bytes() == bytes([3])


def _opened(data: Path, cache: Path) -> list[TrainingClip]:
    source = DataSource(manifest=str(data / "train" / "manifest.jsonl"), split="mini")
    return list(every_clip(open_training_clips([source], cache=cache, max_clips=2)))


def test_clips_come_with_truth_and_in_step(data: Path, tmp_path: Path) -> None:
    clips = _opened(data, tmp_path)
    again = _opened(data, tmp_path)
    assert [clip.id for clip in clips] == ["mini-000", "mini-001"]
    for clip, other in zip(clips, again, strict=True):
        assert clip.frames.shape == (50, 64, 64, 3)
        assert len(clip.audio) == 50 * 640
        assert clip.labels["expression"].shape == (50, 26)
        assert np.array_equal(clip.frames, other.frames)


def test_a_wrong_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("kind: extractors\nlocator: {steps: 0, batch: 8}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="locator"):
        load_training(path)


@pytest.mark.parametrize("kind", [*FRAME_KINDS, *TIME_KINDS])
def test_damage_grows_from_nothing(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(16, 3, 32, 32, generator=generator)

    def damaged(strength: float) -> torch.Tensor:
        seeded = torch.Generator().manual_seed(1)
        return (damaged_frames if kind in FRAME_KINDS else damaged_time)(x, kind, strength, seeded)

    assert damaged(1.0).shape == x.shape
    assert torch.allclose(damaged(0.0), x, atol=1e-6)
    assert float((damaged(1.0) - x).abs().mean()) > 1e-3
    assert torch.equal(damaged(0.7), damaged(0.7))


def test_measures_of_the_checks() -> None:
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    vectors = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    assert identity_auc(vectors, ["person-000", "person-000", "person-005", "person-005"]) == (1.0, 1.0)
    true = np.array([[0.0], [1.0], [2.0]])
    assert r_squared(true, true)[0] == 1.0
    assert r_squared(np.full_like(true, 1.0), true)[0] == 0.0


@pytest.mark.parametrize("part", ["locator", "appearance"])
def test_steps_without_a_face_or_a_whole_image_have_a_loss(data: Path, tmp_path: Path, part: str) -> None:
    source = DataSource(manifest=str(data / "train" / "manifest.jsonl"), split="mini")
    clips = list(every_clip(open_training_clips([source], cache=tmp_path)))
    with torch.no_grad():
        learning = objective(part, clips, 2)
        losses = [float(learning(torch.Generator().manual_seed(seed))) for seed in range(200)]
    assert np.isfinite(losses).all()
