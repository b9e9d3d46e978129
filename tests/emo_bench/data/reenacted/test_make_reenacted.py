"""Whole sets: made on real stills and clips where they lie at hand, refused in words otherwise."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from emo_bench.cli.main import app
from emo_bench.data.manifest import ManifestEntry, read_manifest
from emo_bench.data.reenacted.clip import ReenactOptions, _longest_run
from emo_bench.data.reenacted.drivers import read_drivers
from emo_bench.data.reenacted.faces import FaceReader, Tracks
from emo_bench.data.reenacted.labels import TEXT
from emo_bench.data.reenacted.make import doubts, make_reenacted
from emo_bench.data.reenacted.portraits import Still, read_stills
from emo_bench.data.sets.kind import open_dataset
from emo_bench.data.sets.manifest_set import opened
from emo_bench.media.types import FrameArray
from emo_bench.runner.suite import suite_from_values
from emo_core.atomic import owner
from emo_core.errors import ConfigError, DataError, WeightsError

SHARED = Path(__file__).resolve().parents[4].parent / "shared"
WEIGHTS = SHARED / "assets" / "weights"


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    """Four real portraits and two real clips in folders of their own."""
    if not (SHARED / "data" / "motion.csv").is_file() or not WEIGHTS.is_dir():
        pytest.skip("needs ../shared/data and ../shared/assets/weights")
    portraits = tmp_path / "portraits"
    portraits.mkdir()
    for path in sorted((SHARED / "data" / "portraits" / "uk").glob("*.jpg"))[:3]:
        shutil.copy(path, portraits)
    (portraits / "broken.png").write_bytes(b"x")
    with (SHARED / "data" / "motion.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["file"].startswith("motion/grid/s1_")][:2]
    motion = tmp_path / "motion"
    for row in rows:
        for column in ("file", "audio", "tracks"):
            (motion / row[column]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SHARED / "data" / row[column], motion / row[column])
    with (motion / "motion.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, ["file", "audio", "tracks", "speaker", "licence"], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    return portraits, motion / "motion.csv"


def test_a_set_is_made_resumed_and_called_re_enacted(
    sources: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.numpy import load_file

    portraits, motion = sources
    options = ReenactOptions(seconds=0.6, size=64)
    made = make_reenacted(
        portraits, motion, target=tmp_path / "set", clips=3, options=options, workers=1, weights=(WEIGHTS,)
    )
    assert (made.made, made.kept, len(made.entries)) == (3, 0, 3)
    assert {problem.code for problem in made.problems} <= {"decode_error", "unfit_portrait"}
    manifest = read_manifest(made.manifest)
    assert manifest.entries == made.entries
    for entry in manifest.entries:
        labels = load_file(manifest.path(str(entry.meta["labels"])))
        assert set(labels) == set(TEXT)
        assert {len(labels[name]) for name in TEXT if name != "log_mel"} == {15}
        assert np.isfinite(labels["landmarks68"]).all()
        assert entry.meta["reenacted"] is True
        assert manifest.path(str(entry.meta["portrait"])).is_file()
    files = {path: path.read_bytes() for path in sorted((tmp_path / "set").rglob("*.mkv"))}
    files |= {path: path.read_bytes() for path in sorted((tmp_path / "set").rglob("*.safetensors"))}
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1))  # what is finished needs no room
        again = make_reenacted(
            portraits, motion, target=tmp_path / "set", clips=3, options=options, workers=1, weights=(WEIGHTS,)
        )
    assert (again.made, again.kept) == (0, 3)
    lost, kept = next(iter(files)), made.entries[1]
    lost.unlink()
    again = make_reenacted(
        portraits, motion, target=tmp_path / "set", clips=3, options=options, workers=1, weights=(WEIGHTS,)
    )
    assert (again.made, again.kept) == (1, 2)
    assert again.entries == made.entries
    assert {path: path.read_bytes() for path in files} == files
    assert kept in again.entries
    text = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert "not real videos" in text
    assert (tmp_path / "set" / "contact_sheet.png").stat().st_size > 1000
    for dataset in ({"kind": "reenacted", "folder": "set"}, {"kind": "manifest", "manifest": "set/manifest.jsonl"}):
        values = {"name": "a", "metrics": ["flicker/luma@1"], "dataset": dataset}
        found = open_dataset(suite_from_values(values, base=tmp_path).config, tmp_path)
        assert (found.name, found.synthetic) == ("set (re-enacted)", True)


class _Reader(FaceReader):
    """Finds a face in every frame, without any weights."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.looked = 0

    def _look(self, frames: FrameArray) -> Tracks:
        self.looked += 1
        n = len(frames)
        turn = np.tile(np.eye(3), (n, 1, 1))
        return Tracks(np.ones((n, 478, 3)), np.ones(n, bool), turn, np.zeros((n, 3)), np.ones(n, np.int64))


def test_kept_face_points_count_only_for_as_many_frames(tmp_path: Path) -> None:
    """How many frames of a video are used depends on the length of its audio too."""
    reader = _Reader(tmp_path)
    frames = np.zeros((6, 8, 8, 3), np.uint8)
    assert len(reader.tracks(frames, digest="a").points) == 6
    assert len(reader.tracks(frames, digest="a").points) == 6
    assert reader.looked == 1
    assert len(reader.tracks(frames[:4], digest="a").points) == 4
    (tmp_path / "a.npz").write_bytes(b"cut off")
    assert len(reader.tracks(frames, digest="a").points) == 6
    assert reader.looked == 3


def test_who_is_kept_for_tests_is_told_where_that_is_in_doubt(tmp_path: Path) -> None:
    from emo_bench.data.manifest import write_manifest

    stills = {"a": Still(id="a", path=tmp_path / "a.jpg")}
    clips = [entry().model_copy(update={"id": f"{split}-clip", "split": split}) for split in ("train", "test")]
    write_manifest(tmp_path / "m.jsonl", clips)
    drivers = read_drivers(tmp_path / "m.jsonl")
    several = "the talking clips are of the splits test and train, and all of them drive; --leave-out keeps some out"
    assert doubts(stills, drivers, frozenset()) == [several]
    assert doubts(stills, drivers, frozenset({"test-clip"})) == []
    assert doubts(stills, drivers[:1], frozenset({"a", "p"})) == []
    unknown = "--leave-out names nobody and nothing here: b, speker"
    assert doubts(stills, drivers[:1], frozenset({"a", "b", "speker"})) == [unknown]


def entry(**meta: object) -> ManifestEntry:
    return ManifestEntry(id="a", video="a.mkv", identity="p", sha256={"video": "0" * 64}, meta=meta)


def test_only_re_enacted_clips_are_called_so(tmp_path: Path) -> None:
    from emo_bench.data.manifest import Manifest

    assert opened(Manifest(tmp_path, [entry()]), "x").name == "x"
    assert opened(Manifest(tmp_path, [entry(reenacted=True)]), "x").synthetic


def test_tables_and_folders_are_read(tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.PNG", ".hidden.png", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert list(read_stills(tmp_path)) == ["a", "sub__b"]
    (tmp_path / "t.csv").write_text("file,medium\na.jpg,painting\n", encoding="utf-8-sig")
    assert read_stills(tmp_path / "t.csv")["a"].style == "painting"
    (tmp_path / "m.csv").write_text(
        'file,audio,speaker,note\nv.mp4,v.wav,eve,"pictures lag the sound by 2 frames"\n', encoding="utf-8"
    )
    clip = read_drivers(tmp_path / "m.csv")[0]
    assert (clip.id, clip.person, clip.late, clip.tracks) == ("v", "eve", 2, None)


@pytest.mark.parametrize(
    "text",
    [
        b"file\n../outside.jpg\n",
        b"name\na.jpg\n",
        b"file\n",
        b"file\nJos\xe9.mp4\n",
        b"speaker,file\nanna\n",
        b"file,speaker\n ,anna\n",
        b"file\n" + b"x" * 200_000,
        b"file\na/b.mp4\na__b.mp4\n",
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(DataError):
        read_stills(tmp_path / "t.csv")
    with pytest.raises(DataError):
        read_drivers(tmp_path / "t.csv")


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "m.csv").write_text("file\nv.mp4\n", encoding="utf-8")
    with pytest.raises(DataError, match="lies inside"):
        make_reenacted(tmp_path, tmp_path / "m.csv", target=tmp_path / "set", clips=1)
    with pytest.raises(ConfigError):
        make_reenacted(
            tmp_path, tmp_path / "m.csv", target=tmp_path.parent / "s", clips=1, options=ReenactOptions(size=63)
        )
    with pytest.raises(DataError, match="nothing is left"):
        make_reenacted(tmp_path, tmp_path / "m.csv", target=tmp_path.parent / "s", clips=1, leave_out=["v"])


def test_a_manifest_of_other_clips_is_not_replaced(tmp_path: Path, tiny_set: Path) -> None:
    (tmp_path / "stills").mkdir()
    (tmp_path / "stills" / "a.jpg").write_bytes(b"x")
    (tmp_path / "m.csv").write_text("file\nv.mp4\n", encoding="utf-8")
    (tmp_path / "set").mkdir()
    manifest = tmp_path / "set" / "manifest.jsonl"
    manifest.write_bytes(tiny_set.read_bytes() + b'[]\n{"no": "id"}\n')
    before = manifest.read_bytes()
    with pytest.raises(DataError, match="lists other clips"):
        make_reenacted(tmp_path / "stills", tmp_path / "m.csv", target=tmp_path / "set", clips=1)
    assert manifest.read_bytes() == before


def test_unfinished_files_of_another_run_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMO_BENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "stills").mkdir()
    (tmp_path / "stills" / "a.jpg").write_bytes(b"x")
    (tmp_path / "m.csv").write_text("file\nv.mp4\n", encoding="utf-8")
    other = tmp_path / "set" / "clips" / f".000000_a.{owner()}-00.tmp.mkv"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another run is at it")
    with pytest.raises(WeightsError):
        make_reenacted(tmp_path / "stills", tmp_path / "m.csv", target=tmp_path / "set", clips=1)
    assert other.is_file()


def test_a_list_of_names_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(b"Jos\xe9\n")
    arguments = ["--portraits", str(tmp_path), "--motion", "m.csv", "-o", str(tmp_path / "set")]
    with pytest.raises(ConfigError, match="UTF-8"):
        app(
            ["data", "make", "reenacted", *arguments, "--leave-out", str(tmp_path / "names.txt")], standalone_mode=False
        )


@pytest.mark.parametrize(("seen", "length"), [("", 0), ("0", 0), ("1", 1), ("110111", 3), ("1110", 3), ("0110", 2)])
def test_the_longest_stretch_with_a_face_is_found(seen: str, length: int) -> None:
    assert _longest_run(np.array([mark == "1" for mark in seen], bool)) == length


def test_a_frame_without_a_face_shortens_a_clip_and_loses_none(sources: tuple[Path, Path], tmp_path: Path) -> None:
    portraits, motion = sources
    for path in motion.parent.rglob("*.npz"):
        with np.load(path) as stored:
            tracks = dict(stored)
        tracks["valid"][70] = False  # of 75
        np.savez(path, **tracks)
    options = ReenactOptions(seconds=3.0, size=64)
    made = make_reenacted(
        portraits, motion, target=tmp_path / "set", clips=1, options=options, workers=1, weights=(WEIGHTS,)
    )
    assert [entry.meta["driver_frames"] for entry in made.entries] == [[0, 70]]
