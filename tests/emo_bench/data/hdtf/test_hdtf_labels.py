"""Labels for training on HDTF, measured on real clips with the real face analysis."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from emo_bench.data.hdtf.prepare import prepare_hdtf
from emo_bench.train.config import DataSource
from emo_bench.train.training_clips import open_training_clips
from emo_core.errors import WeightsError

ASSETS = Path(__file__).resolve().parents[4] / ".." / "shared" / "assets"
WEIGHTS = ASSETS / "weights"
needs_assets = pytest.mark.skipif(
    not (WEIGHTS / "face_landmarker_v2_with_blendshapes.task").is_file(),
    reason=f"needs real clips and the face analysis's weights in {ASSETS}",
)


@needs_assets
def test_hdtf_with_labels_can_be_trained_on(tmp_path: Path, fake_hdtf: Any) -> None:
    for path in fake_hdtf.raw.iterdir():
        path.unlink()
    shutil.copy(ASSETS / "clips" / "WDA_AlexandriaOcasioCortez_000.mp4", fake_hdtf.raw / "AdamSchiff.mp4")
    fake_hdtf.write("WDA", resolution="AdamSchiff.mp4 512\n", crop_wh="AdamSchiff_0.mp4 0 512 0 512\n")

    def prepare() -> Any:
        return prepare_hdtf(
            fake_hdtf.raw,
            annotations=fake_hdtf.annotations,
            target=fake_hdtf.target,
            size=128,
            labels=True,
            weights=(WEIGHTS,),
        )

    report = prepare()
    assert [entry.id for entry in report.entries] == ["WDA_AdamSchiff_000"]
    entry = report.entries[0]
    source = DataSource(manifest=str(report.manifest), split=entry.split)
    clips = open_training_clips([source], cache=tmp_path / "cache")
    clip = clips[0]
    assert clip.frames.shape == (25, 128, 128, 3)
    assert clip.audio.shape == (16000,)
    assert clip.mouth_opening.max() > clip.mouth_opening.min()

    labels = fake_hdtf.target / entry.meta["labels"]
    stamp = labels.stat().st_mtime_ns
    again = prepare()
    assert (again.made, again.kept) == (0, 1)
    assert again.entries == report.entries
    assert labels.stat().st_mtime_ns == stamp


def test_missing_weights_are_told_before_any_work(
    tmp_path: Path, fake_hdtf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EMO_BENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match="face_"):
        prepare_hdtf(fake_hdtf.raw, annotations=fake_hdtf.annotations, target=fake_hdtf.target, labels=True)
    assert not fake_hdtf.target.exists()
