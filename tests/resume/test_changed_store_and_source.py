"""A warm store hides nothing: a changed source fails as with a cold one, mixed-up files are made again and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emo_bench.media import preview
from emo_bench.record.store import read_record
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_bench.viewer.clips import clip_keys
from emo_core.progress import Silent


class Told(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def suite(tiny: Any, tmp_path: Path) -> Any:
    manifest = tiny.set(tmp_path / "set", n_clips=3)
    return load_suite(tiny.suite(manifest, tmp_path, anchors=["frozen"], metrics=["psnr/rgb@1", "flicker/luma@1"]))


def values(folder: Path) -> list[tuple[str, str, str, float | None]]:
    return [(entry.system, entry.protocol, entry.key, entry.value) for entry in read_record(folder).values]


def test_a_source_that_was_replaced_fails_its_clip_in_a_warm_store_too(suite: Any, tmp_path: Path, tiny: Any) -> None:
    assert run_suite(suite).status == "complete"
    tiny.clip(tmp_path / "set" / "clip-01.mkv", person=7)
    record = run_suite(suite)
    assert record.status == "incomplete"
    failed = {clip.id: clip.reason for clip in record.clips if clip.status == "failed"}
    assert failed.keys() == {"clip-01"}
    assert "not the one of the manifest" in failed["clip-01"]


def test_features_and_clips_under_each_others_names_are_made_again_and_told(suite: Any, tmp_path: Path) -> None:
    run_suite(suite)
    before = values(tmp_path / "run")
    for pattern in ("features/pixels+*/*/*.safetensors", "clips/*/*.json"):
        files = sorted((tmp_path / "store").glob(pattern))
        assert len(files) > 2
        contents = [path.read_bytes() for path in files]
        for path, data in zip(files, [*contents[1:], contents[0]], strict=True):
            path.write_bytes(data)
            if path.suffix == ".json":
                path.with_suffix(".mkv").touch()
    told = Told()
    run_suite(suite, display=told)
    assert values(tmp_path / "run") == before
    assert any("damaged and made again" in text for text in told.texts)
    journal = (tmp_path / "run" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert any(json.loads(line)["damaged"] for line in journal)


def test_half_a_line_of_a_full_disk_costs_the_journal_no_other_line(suite: Any, tmp_path: Path) -> None:
    journal = tmp_path / "run" / "journal.jsonl"
    journal.parent.mkdir()
    journal.write_text('{"at": "2026-01-01", "sys', encoding="utf-8")
    run_suite(suite)
    half, *whole = journal.read_text(encoding="utf-8").splitlines()
    assert half == '{"at": "2026-01-01", "sys'
    assert len([json.loads(line) for line in whole]) == 6
    assert len(clip_keys(journal.parent)) == 6


def test_a_preview_that_cannot_be_made_costs_no_number(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tiny.set(tmp_path / "set", n_clips=2)
    suite = tiny.suite(manifest, tmp_path, anchors=["reencoded"], metrics=["flicker/luma@1"])
    run_suite(load_suite(suite))
    before = values(tmp_path / "run")
    decode = preview.decode_own
    # As another version of the decoder would: found out at the end of the clip only.
    monkeypatch.setattr(preview, "decode_own", lambda path, spec: (piece ^ 1 for piece in decode(path, spec)))
    told = Told()
    record = run_suite(load_suite(suite, ["report.previews=true"]), display=told)
    assert record.status == "complete"
    assert values(tmp_path / "run") == before
    missing = [text for text in told.texts if text.startswith("no preview of reencoded / clip-0")]
    assert len(missing) == 2
    shown = json.loads((tmp_path / "run" / "previews" / "index.json").read_text(encoding="utf-8"))
    assert {entry["system"] for entry in shown} == {"ground-truth"}


def test_a_run_without_previews_and_traces_keeps_none_of_an_earlier_one(tiny: Any, tmp_path: Path) -> None:
    manifest = tiny.set(tmp_path / "set", n_clips=2)
    suite = tiny.suite(manifest, tmp_path, anchors=["frozen"], metrics=["flicker/luma@1"])
    run_suite(load_suite(suite, ["report.previews=true"]))
    folder = tmp_path / "run"
    assert list((folder / "previews").glob("*.mp4"))
    (folder / "series.parquet").write_bytes(b"traces of protocols that the suite had then")
    record = run_suite(load_suite(suite))
    assert not list((folder / "previews").glob("*"))
    assert not (folder / "series.parquet").exists()
    assert record.seal is not None
    assert sorted(record.seal.files) == ["clips.json", "clips.parquet"]


def test_previews_replace_those_of_an_earlier_run_and_nothing_of_the_user(tiny: Any, tmp_path: Path) -> None:
    """The output of a run can be any folder, which may have one of that name."""
    manifest = tiny.set(tmp_path / "set", n_clips=1)
    folder = tmp_path / "run" / "previews"
    for name in ("holiday.mp4", "index.html", "deeper/index.json", f"{'a' * 16}.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    suite = tiny.suite(manifest, tmp_path, anchors=[], metrics=["flicker/luma@1"], report={"previews": True})
    run_suite(load_suite(suite))
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    (made,) = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    assert found == {"holiday.mp4", "index.html", "deeper/index.json", "index.json", made["file"]}


def test_an_unfinished_run_leaves_no_record_of_an_earlier_one(suite: Any, tmp_path: Path, monkeypatch: Any) -> None:
    run_suite(suite)
    assert (tmp_path / "run" / "record.json").is_file()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emo_bench.runner.run.evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_suite(suite)
    assert not (tmp_path / "run" / "record.json").exists()
