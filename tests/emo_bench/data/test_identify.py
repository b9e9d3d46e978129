"""Clips grouped by face; with real networks on real clips where they are at hand."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emo_bench.data.faces_alike import ClipFace, groups_of, lookalike_notice, lookalikes
from emo_bench.data.identify import contact_sheet, identify, label_of
from emo_bench.data.import_folder import import_videos
from emo_bench.data.manifest import ManifestEntry, read_manifest, write_manifest
from emo_bench.extract.weights import WeightsFinder
from emo_core.errors import ConfigError

ASSETS = Path(__file__).resolve().parents[4] / "shared" / "assets"


def faces(*people: int) -> list[ClipFace]:
    """Faces whose similarity is about 0.8 for one person and 0 for two."""
    rng = np.random.default_rng(0)
    found = []
    for index, person in enumerate(people):
        vector = np.zeros(128)
        vector[person] = 1.0
        vector[64:] = rng.normal(0, 0.06, 64)
        found.append(
            ClipFace(f"c{index}", vector / np.linalg.norm(vector), np.full((96, 96, 3), 40 * person, np.uint8))
        )
    return found


def test_groups_and_lookalikes() -> None:
    some = faces(0, 1, 0, 2, 1)
    assert groups_of(some, 0.5) == [[0, 2], [1, 4], [3]]
    assert groups_of(some[:1], 0.5) == [[0]]
    own = {face.clip: face.clip for face in some}
    assert {pair[:2] for pair in lookalikes(some, own)} == {("c0", "c2"), ("c1", "c4")}
    assert lookalikes(some, {**own, "c0": "x", "c2": "x", "c1": "y", "c4": "y"}) == []


def test_the_sheet_has_a_row_for_each_person(tmp_path: Path) -> None:
    some = faces(0, 1, 0)
    (tmp_path / "sheet.png").write_bytes(contact_sheet(some, [[0, 2], [1]], ["a", "b"]))
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.size == (3 * 96, 2 * (96 + 12))  # as wide as the longest row
        assert page.getpixel((96 + 48, 96 + 12 + 48)) == (40, 40, 40)


def test_a_label_that_has_no_room_shows_that_it_is_cut() -> None:
    assert [label_of(name) for name in ("c0", "exactly-15-long", "anna__grid_bbaf2n")] == [
        "c0", "exactly-15-long", "..__grid_bbaf2n",
    ]  # fmt: skip


def test_without_weights_an_import_says_that_nothing_was_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiny_sets import write_tiny_set

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EMO_BENCH_WEIGHTS", raising=False)
    path = write_tiny_set(tmp_path / "set")
    entries = read_manifest(path).entries
    said = lookalike_notice(path, entries, WeightsFinder())
    assert "were not compared" in said
    same = [entry.model_copy(update={"identity": "one"}) for entry in entries]
    assert lookalike_notice(path, same, WeightsFinder()) == ""
    with pytest.raises(ConfigError, match="--threshold"):
        identify(path, threshold=1.5)


def test_what_other_commands_write_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_sets import write_tiny_set

    path = write_tiny_set(tmp_path, n_clips=3)
    first, second, third = read_manifest(path).entries

    def read(*_: object, **__: object) -> Iterator[tuple[ManifestEntry, ClipFace, str]]:
        # Meanwhile one clip gets labels, and another one is made anew.
        labelled = first.model_copy(update={"meta": {**first.meta, "labels": "labels/a"}})
        anew = second.model_copy(update={"sha256": dict.fromkeys(second.sha256, "0" * 64)})
        write_manifest(path, [labelled, anew, third])
        for entry, face in zip((first, second, third), faces(0, 0, 1), strict=True):
            yield entry, dataclasses.replace(face, clip=entry.id), ""

    monkeypatch.setattr("emo_bench.data.identify.FaceReader", lambda finder: None)
    monkeypatch.setattr("emo_bench.data.identify.read_faces", read)
    identify(path)
    found = read_manifest(path).entries
    assert [entry.identity for entry in found] == ["person-001", second.identity, "person-002"]
    assert found[0].meta["labels"] == "labels/a"


@pytest.mark.skipif(not ASSETS.is_dir(), reason="the real clips are not here")
def test_the_same_man_in_two_clips(tmp_path: Path) -> None:
    for name in ("grid_pwij3p", "grid_id2_swwp2s", "grid_bbaf2n"):
        shutil.copy(next((ASSETS / "clips").glob(f"{name}*")), tmp_path)
    report = import_videos(tmp_path)
    assert report.identities == 3
    found = identify(report.manifest, weights=(ASSETS / "weights",))
    assert found.people == {"person-001": ("grid_bbaf2n",), "person-002": ("grid_id2_swwp2s", "grid_pwij3p")}
    assert read_manifest(report.manifest).entries[1].identity == "person-002"
    assert found.sheet.is_file()
    assert found.faceless == {}
