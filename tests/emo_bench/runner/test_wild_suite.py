"""Clips without ground truth in a suite: what needs it does not apply, the rest is measured, nothing counts as lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_sets import suite_values, write_talking, write_tiny_set, write_wild_lines

from emo_bench.data.manifest import read_manifest, write_manifest
from emo_bench.record.schema import RunRecord, ValueEntry
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import suite_from_values
from emo_core.errors import ConfigError, DataError, EmoBenchError

METRICS = ["psnr/rgb@1", "flicker/luma@1", "fid/synth@1"]


def wild_values(folder: Path, *, real: int, **changes: Any) -> dict[str, Any]:
    """A suite over ``real`` filmed clips and three wild ones, with a system of finished videos."""
    manifest = write_tiny_set(folder / "set", n_clips=max(1, real))
    entries = [*read_manifest(manifest).entries[:real], *write_wild_lines(folder / "set")]
    write_manifest(manifest, entries)
    for person, entry in enumerate(entries):
        write_talking(folder / "made" / f"{entry.id}.mkv", person=20 + person)
    systems = [{"name": "mine", "kind": "videos", "folder": str(folder / "made")}]
    common = {"systems": systems, "metrics": METRICS, "anchors": ["reencoded", "frozen", "other_identity"]}
    return suite_values(manifest, folder, **{**common, **changes})


def run(values: dict[str, Any]) -> RunRecord:
    return run_suite(suite_from_values(values, base=Path()))


def value(record: RunRecord, system: str, key: str) -> ValueEntry:
    return next(entry for entry in record.values if (entry.system, entry.key) == (system, key))


def test_portraits_alone(tmp_path: Path) -> None:
    record = run(wild_values(tmp_path, real=0))
    assert (record.status, record.failures) == ("complete", ())
    assert not any(clip.ground_truth for clip in record.clips)
    assert record.clips[0].meta == {"style": "painting"}
    for system, key in (("mine", "psnr"), ("mine", "fid"), ("reencoded", "flicker"), ("other-identity", "flicker")):
        entry = value(record, system, key)
        assert (entry.status, entry.value, entry.n_planned) == ("not_applicable", None, 0)
    assert "reference_set" in value(record, "mine", "fid").reason
    flicker = value(record, "mine", "flicker")
    assert (flicker.n_scored, flicker.n_planned, flicker.gap_to_ground_truth) == (3, 3, None)
    assert value(record, "frozen", "flicker").value == 0.0
    assert {check.verdict for check in record.checks} == {"cannot"}


@pytest.mark.parametrize(("media", "told"), [({}, False), ({"size": {"width": 32, "height": 32}}, True)])
def test_finished_videos_of_portraits_keep_their_size_unless_the_suite_gives_one(
    tmp_path: Path, media: dict[str, Any], told: bool
) -> None:
    values = wild_values(tmp_path, real=0, anchors=["frozen"], metrics=["flicker/luma@1"], media=media)
    for path in sorted((tmp_path / "made").iterdir()):
        write_talking(path, size=(96, 96))
    record = run(values)
    assert record.status == "complete"
    assert any("96x96" in note.text for note in record.notes) == told


def test_both_kinds_and_a_reference_set(tmp_path: Path) -> None:
    real = write_tiny_set(tmp_path / "real", n_clips=4)
    named = {"kind": "manifest", "manifest": str(real)}
    record = run(wild_values(tmp_path, real=3, reference_set=named))
    assert (record.status, record.failures) == ("complete", ())
    assert record.reference_set is not None
    assert (record.reference_set.name, record.reference_set.n_clips) == ("real", 4)
    psnr, flicker, fid = (value(record, "mine", key) for key in ("psnr", "flicker", "fid"))
    assert (psnr.n_scored, psnr.n_planned) == (3, 3)
    assert (flicker.n_scored, flicker.n_planned) == (6, 6)
    # The other rows of 'mine' are three clips with and three without ground truth: the gap rests on the former.
    truth = value(record, "ground-truth", "flicker").value
    assert flicker.value is not None
    assert truth is not None
    assert flicker.gap_to_ground_truth != pytest.approx(abs(flicker.value - truth), abs=1e-9)
    assert (fid.n_scored, fid.n_planned) == (6, 6)
    assert "40 real samples in 64 dimensions" in fid.watermark
    # The filmed clips are not the reference set, so even they have a distance from it.
    assert (value(record, "ground-truth", "fid").value or 0) > 1
    without = run(wild_values(tmp_path / "other", real=3))
    assert (value(without, "mine", "fid").n_planned, value(without, "ground-truth", "fid").value) == (3, 0.0)
    assert without.digests.dataset != record.digests.dataset
    worked = [made.timings.units_computed + made.timings.units_reused for made in (without, record)]
    assert worked[1] - worked[0] >= 4  # the clips of the reference set are work too


def test_a_reference_set_must_be_of_use_and_of_real_clips(tmp_path: Path) -> None:
    values = wild_values(tmp_path, real=0)
    named = {"kind": "manifest", "manifest": values["dataset"]["manifest"]}
    with pytest.raises(DataError, match="without a video"):
        run({**values, "reference_set": named})
    with pytest.raises(ConfigError, match="no protocol uses"):
        run({**values, "reference_set": named, "metrics": ["flicker/luma@1"]})


def test_dubbing_needs_a_video(tmp_path: Path) -> None:
    dubbing = [{"name": "dub", "kind": "wav2lip_dubbing", "weights": "wav2lip-synth"}]
    with pytest.raises(EmoBenchError, match="ground truth's video, and no clip"):
        run(wild_values(tmp_path, real=0, systems=dubbing))
