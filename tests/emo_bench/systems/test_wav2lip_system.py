"""Wav2Lip as a system of a suite: weights are checked, the face is found or known, failures are statuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emo_bench.config.load import read_yaml, validate
from emo_bench.config.schema import RunConfig, System
from emo_bench.extract.catalogue import metric_names
from emo_bench.media.types import Audio, video_from_array
from emo_bench.systems.system import DrivingClip, GenerationRequest, SystemContext, build_system, system_digest
from emo_bench.systems.wav2lip import Wav2Lip, Wav2LipDubbing, Wav2LipOptions
from emo_core.errors import ConfigError, GenerationError, NoFaceError, WeightsError
from emo_core.hashing import sha256_file

ROOT = Path(__file__).resolve().parents[3]
FPS = Fraction(25)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from emo_models.baselines.wav2lip.checkpoints import save_generator
    from emo_models.baselines.wav2lip.config import Wav2LipConfig
    from emo_models.baselines.wav2lip.generator import Generator

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    save_generator(Generator(Wav2LipConfig(width=0.05, image_size=48)), path)
    return path


def request(**changes: Any) -> GenerationRequest:
    random = np.random.default_rng(0)
    given = GenerationRequest(
        clip_id="one",
        reference_image=random.integers(0, 256, (64, 64, 3), dtype=np.uint8),
        audio=Audio(random.uniform(-0.3, 0.3, 10 * 640).astype(np.float32), 16000),
        fps=FPS,
        n_frames=10,
        width=64,
        height=64,
        seed=0,
        face_box=(16.0, 10.0, 50.0, 50.0),
    )
    return replace(given, **changes)


def loaded(checkpoint: Path, kind: type[Wav2Lip] = Wav2Lip, *, locate: Any = None, **options: Any) -> Wav2Lip:
    built = kind(Wav2LipOptions(file=checkpoint.name, sha256=sha256_file(checkpoint), **options), locate_face=locate)
    built.load(SystemContext(base=checkpoint.parent))
    return built


def test_the_known_box_is_used_and_only_it_changes(checkpoint: Path) -> None:
    asked = request()
    made = loaded(checkpoint, padding=(0, 0, 0, 0)).generate(asked)
    frames = made.video.read_all()
    assert frames.shape == (10, 64, 64, 3)
    assert np.array_equal(frames, made.video.read_all())  # any number of times
    outside = np.ones((64, 64), bool)
    outside[10:50, 16:50] = False
    assert (frames[:, outside] == asked.reference_image[outside]).all()
    assert (frames[:, ~outside] != asked.reference_image[~outside]).any()


def test_without_a_known_box_the_face_is_looked_for(checkpoint: Path) -> None:
    seen = []

    def locate(frame: Any) -> tuple[float, float, float, float]:
        seen.append(frame.shape)
        return (20.0, 20.0, 40.0, 40.0)

    made = loaded(checkpoint, locate=locate, use_dataset_box=False, padding=(0, 0, 0, 0)).generate(request())
    frames = made.video.read_all()
    assert seen == [(64, 64, 3)]
    assert (frames[:, :20] == request().reference_image[:20]).all()


def test_no_face_and_unusable_boxes_are_statuses(checkpoint: Path) -> None:
    with pytest.raises(NoFaceError, match="no face in the portrait"):
        loaded(checkpoint, locate=lambda frame: None).generate(request(face_box=None))
    with pytest.raises(GenerationError, match="at least 4 pixels"):
        loaded(checkpoint).generate(request(face_box=(200.0, 200.0, 300.0, 300.0)))
    broken = Audio(np.array([np.nan, 0.0], np.float32), 16000)
    with pytest.raises(GenerationError, match="NaN"):
        loaded(checkpoint).generate(request(audio=broken)).video.read_all()


def test_dubbing_keeps_the_real_head(checkpoint: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)
    driving = DrivingClip(clip_id="one", video=video_from_array(frames, fps=FPS), audio=request().audio)
    kind = loaded(checkpoint, Wav2LipDubbing, padding=(0, 0, 0, 0))
    assert kind.needs_driving
    made = kind.generate(request(driving=driving)).video.read_all()
    assert made.shape == (10, 64, 64, 3)
    assert np.array_equal(made[6, :10], frames[6, :10])
    assert np.array_equal(made[9, :10], frames[2, :10])  # a shorter video starts again
    tracked = loaded(checkpoint, Wav2LipDubbing, locate=lambda frame: (16.0, 10.0, 50.0, 50.0), padding=(0, 0, 0, 0))
    assert np.array_equal(tracked.generate(request(driving=driving, face_box=None)).video.read_all(), made)
    with pytest.raises(NoFaceError, match="frame 0"):
        loaded(checkpoint, Wav2LipDubbing, locate=lambda frame: None).generate(request(driving=driving, face_box=None))
    with pytest.raises(GenerationError, match="ground truth"):
        kind.generate(request())


def test_only_checked_weights_are_loaded(checkpoint: Path, tmp_path: Path) -> None:
    context = SystemContext(base=checkpoint.parent)
    wrong = Wav2Lip(Wav2LipOptions(file=checkpoint.name, sha256="0" * 64))
    with pytest.raises(WeightsError, match="other bytes"):
        wrong.dependencies(context)
    with pytest.raises(WeightsError, match="no checkpoint"):
        Wav2Lip(Wav2LipOptions(file="none.pth", sha256="0" * 64)).load(context)
    (tmp_path / "page.pth").write_text("<html>", encoding="utf-8")
    page = Wav2LipOptions(file="page.pth", sha256=sha256_file(tmp_path / "page.pth"))
    with pytest.raises(WeightsError, match="cannot be loaded safely"):
        Wav2Lip(page).load(SystemContext(base=tmp_path))
    with pytest.raises(WeightsError, match="wav2lip_gan"):
        Wav2Lip(Wav2LipOptions()).dependencies(SystemContext(base=tmp_path))
    with pytest.raises(ConfigError, match="together"):
        build_system(System(name="x", kind="wav2lip", file="a.pth"))


def test_other_weights_make_another_system(checkpoint: Path) -> None:
    config = System(name="x", kind="wav2lip", file=checkpoint.name, sha256=sha256_file(checkpoint))
    context = SystemContext(base=checkpoint.parent)
    first = system_digest(config, build_system(config), context)
    assert first == system_digest(config, build_system(config), context)
    other = System.model_validate({**config.model_dump(), "feather": 3})
    assert first != system_digest(other, build_system(other), context)


@pytest.mark.parametrize("name", ["hdtf-table1", "synth-table1"])
def test_the_suites_are_sound(name: str) -> None:
    source = read_yaml(ROOT / "configs/suites" / f"{name}.yaml")
    config = validate(RunConfig, source)
    for index, system in enumerate(config.systems):
        build_system(system, source=source, at=("systems", index))
    assert set(config.metrics) <= set(metric_names())


def test_kinds_import_no_network_library() -> None:
    code = (
        "import sys; import emo_bench.systems.wav2lip, emo_bench.systems.external.system; "
        "import emo_bench.systems.face_boxes; "
        "bad = {'torch', 'av', 'cv2', 'scipy', 'pandas', 'mediapipe'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_face_is_looked_for_anew_in_each_clip(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the clip before had its face depends on the order of the work, and must decide nothing."""
    known: list[Any] = []

    class Finder:
        def find(self, frame: Any, last: Any = None) -> Any:
            known.append(last)
            return SimpleNamespace(face=SimpleNamespace(box=np.array([16.0, 10.0, 50.0, 50.0])))

    monkeypatch.setattr("emo_metrics.faces.finder.make_finder", lambda weights: Finder())
    monkeypatch.setattr("emo_bench.extract.weights.WeightsFinder.require", lambda finder, name: tmp_path / name)
    built = loaded(checkpoint, use_dataset_box=False)
    for _ in range(2):
        built.generate(request(face_box=None))
    assert known == [None, None]
    dubbing = loaded(checkpoint, Wav2LipDubbing, use_dataset_box=False)
    video = video_from_array(np.zeros((3, 64, 64, 3), np.uint8), fps=FPS)
    known.clear()
    for _ in range(2):
        dubbing.generate(request(driving=DrivingClip(clip_id="one", video=video, audio=request().audio), face_box=None))
    assert [last is None for last in known] == [True, False, False] * 2
