"""Labels for training on imported sets, measured on real clips with the real face analysis."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emo_bench.data.carry_over import set_by
from emo_bench.data.import_folder import import_videos
from emo_bench.data.labels import read_labels
from emo_bench.data.manifest import ManifestEntry, read_manifest, write_manifest
from emo_bench.data.prepare.label_set import label_set
from emo_bench.data.prepare.labels import Measures
from emo_bench.train.config import DataSource
from emo_bench.train.training_clips import open_training_clips
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import sha256_file

ASSETS = Path(__file__).resolve().parents[4] / ".." / "shared" / "assets"
WEIGHTS = ASSETS / "weights"
needs_assets = pytest.mark.skipif(
    not (WEIGHTS / "face_landmarker_v2_with_blendshapes.task").is_file(),
    reason=f"needs real clips and the face analysis's weights in {ASSETS}",
)


@pytest.mark.parametrize("fps", [0, -25, 1000])
def test_a_rate_that_no_video_has_is_refused(tmp_path: Path, fps: int) -> None:
    with pytest.raises(ConfigError, match="fps"):
        label_set(tmp_path / "manifest.jsonl", fps=fps)


@pytest.mark.parametrize("rate", [29.97, "30000/1001", 0, True])
def test_a_rate_of_a_clip_that_labels_cannot_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: object
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    digest = {"video": sha256_file(tmp_path / "a.mp4")}
    entry = ManifestEntry(id="a", video="a.mp4", identity="a", sha256=digest, meta={"fps": rate})
    write_manifest(tmp_path / "manifest.jsonl", [entry])
    nothing: Any = None
    monkeypatch.setattr(Measures, "load", lambda weights: Measures(nothing, nothing, ()))
    with pytest.raises(DataError, match=r"clip a .*fps"):
        label_set(tmp_path / "manifest.jsonl")


def test_what_other_commands_write_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
    entries = [
        ManifestEntry(
            id=name, video=f"{name}.mp4", identity=name, sha256={"video": sha256_file(tmp_path / f"{name}.mp4")}
        )
        for name in ("a", "b", "c")
    ]
    manifest = tmp_path / "manifest.jsonl"
    write_manifest(manifest, entries[:2])

    def measured(*_: object, **__: object) -> dict[str, Any]:
        # Meanwhile somebody is identified, one clip is another file, and one is added.
        changed = entries[1].model_copy(update={"sha256": {"video": "0" * 64}})
        write_manifest(manifest, [set_by(entries[0], "identity", "anna", "data identify"), changed, entries[2]])
        return {"box": np.zeros((1, 4), np.float32)}

    nothing: Any = None
    monkeypatch.setattr(Measures, "load", lambda weights: Measures(nothing, nothing, ()))
    monkeypatch.setattr("emo_bench.data.prepare.label_set.measure_clip", measured)
    report = label_set(manifest)
    found = read_manifest(manifest).entries
    assert [(entry.identity, "labels" in entry.meta) for entry in found] == [("anna", True), ("b", False), ("c", False)]
    assert report.entries == tuple(found)


@needs_assets
def test_an_imported_set_gets_labels_and_keeps_them(tmp_path: Path, tiny: Any) -> None:
    shutil.copy(ASSETS / "clips" / "RD_Radio10_0_clip_0.mp4", tmp_path / "radio.mp4")
    tiny.clip(tmp_path / "oval.mkv", seconds=1.0)
    manifest = import_videos(tmp_path, identity="stem", split="train").manifest
    before = read_manifest(manifest)
    report = label_set(manifest, weights=(WEIGHTS,))
    assert (report.made, report.kept) == (1, 0)
    assert [(problem.code, problem.name) for problem in report.problems] == [("no_face", "oval")]
    after = read_manifest(manifest)
    assert after.digest == before.digest
    entry = next(entry for entry in after.entries if entry.id == "radio")
    labels = read_labels(after, entry)
    assert len(labels["box"]) == 51
    assert labels["found"].mean() > 0.9
    assert np.ptp(labels["landmarks68"][:, 66, 1] - labels["landmarks68"][:, 62, 1]) > 1.0

    again = label_set(manifest, weights=(WEIGHTS,))
    assert (again.made, again.kept, len(again.problems)) == (0, 1, 1)
    (tmp_path / entry.meta["labels"]).write_bytes(b"changed")
    once_more = label_set(manifest, weights=(WEIGHTS,))
    assert once_more.made == 1
    assert {e.id: e.meta.get("labels_sha256") for e in once_more.entries} == {
        "radio": entry.meta["labels_sha256"],
        "oval": None,
    }


@needs_assets
def test_a_still_gets_labels_of_one_frame_that_training_reads(tmp_path: Path) -> None:
    with av.open(str(ASSETS / "clips" / "RD_Radio10_0_clip_0.mp4")) as container:
        next(container.decode(video=0)).to_image().save(tmp_path / "a.png")
    entry = ManifestEntry(
        id="a", video="a.png", identity="a", split="train", sha256={"video": sha256_file(tmp_path / "a.png")}
    )
    write_manifest(tmp_path / "manifest.jsonl", [entry])
    report = label_set(tmp_path / "manifest.jsonl", weights=(WEIGHTS,))
    assert (report.made, report.problems) == (1, ())
    clips = open_training_clips([DataSource(manifest=str(tmp_path / "manifest.jsonl"))], cache=tmp_path / "cache")
    left, top, right, bottom = clips[0].face_boxes[0]
    height, width = clips[0].frames.shape[1:3]
    assert 0 < left < width / 2 < right < width
    assert 0 < top < bottom < height
    assert (len(clips[0].frames), len(clips[0].audio)) == (1, 0)
