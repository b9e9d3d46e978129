"""The command line in its own process: exit codes, what goes where, speed, and hostile names."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import emo_bench
from emo_core.errors import ConfigError

ESCAPE = "\x1b]0;owned\x07\x1b[31mred"


def test_nothing_heavy_is_loaded_for_help_validate_and_ls(tiny, tiny_set: Path, tmp_path: Path) -> None:
    program = (
        "import sys, io, contextlib\n"
        "from emo_bench.cli.main import main\n"
        "heavy = ('numpy', 'filelock', 'torch', 'torchvision', 'pandas', 'matplotlib', 'scipy', 'mediapipe', 'av',"
        " 'cv2', 'pyarrow', 'transformers', 'diffusers', 'onnxruntime', 'soundfile', 'IPython', 'ray')\n"
        "def loaded(): return [name for name in heavy if name in sys.modules]\n"
        "assert not loaded(), loaded()\n"
        "assert main(['--help']) == 0\n"
        "assert main(['run', '--help']) == 0\n"
        "assert not loaded(), loaded()\n"
        "assert main(['validate', sys.argv[1]]) == 0\n"
        "assert not loaded(), loaded()\n"
    )
    suite = tiny.suite(tiny_set, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program, suite], env=tiny.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ok: 6 systems, 3 metrics" in done.stdout
    assert done.stderr == ""


def test_the_package_runs_as_a_program(tiny, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emo_bench", "--version"],
        env=tiny.environment(), cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"emo-bench {emo_bench.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["validate", "SUITE"]])
def test_the_first_words_come_soon(tiny, tiny_set: Path, tmp_path: Path, arguments: list[str]) -> None:
    suite = tiny.suite(tiny_set, tmp_path)
    given = [str(suite) if part == "SUITE" else part for part in arguments]
    best = float("inf")
    for _ in range(3):
        began = time.monotonic()
        done = tiny.cli(*given, cwd=tmp_path)
        best = min(best, time.monotonic() - began)
        assert done.code == 0, done.err
        if best < 0.5:
            return
    assert best < 8.0  # half a second is promised; a crowded machine gets sixteen times that


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["run", "--confg", "x.yaml"],
        ["run"],
        ["ls", "nothing"],
        ["weights", "fetch", "no-such-file.pt"],
        ["validate", "absent.yaml"],
        ["data", "verify", "absent.jsonl"],
    ],
)
def test_usage_errors_are_two_and_say_so_on_stderr(tiny, tmp_path: Path, arguments: list[str]) -> None:
    done = tiny.cli(*arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.strip()
    assert "Traceback" not in done.err


def test_a_wrong_suite_is_named_by_file_and_line(tiny, tiny_set: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: a\nmetrix: []\n", encoding="utf-8")
    for verb in (["validate", "bad.yaml"], ["run", "--config", "bad.yaml"], ["plan", "--config", "bad.yaml"]):
        done = tiny.cli(*verb, cwd=tmp_path)
        assert (done.code, done.out) == (2, ""), verb
        assert "bad.yaml:2: metrix: unknown key; did you mean 'metrics'?" in done.err
    assert not (tmp_path / "runs").exists()


def test_json_is_all_that_goes_to_stdout(tiny, tiny_set: Path, tmp_path: Path) -> None:
    suite = tiny.suite(tiny_set, tmp_path, anchors=["frozen"], metrics=["flicker/luma@1"])
    done = tiny.cli("run", "--config", suite, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["status"] == "complete"
    assert done.json["counts"] == {"planned": 6, "done": 6, "failed": 0}
    assert "prepare: 3/3" in done.err
    assert (Path(done.json["folder"]) / "record.json").is_file()
    quiet = tiny.cli("run", "--config", suite, "--quiet", cwd=tmp_path)
    assert (quiet.code, quiet.err) == (0, "")
    assert "flicker/luma@1" in quiet.out
    assert "\x1b" not in quiet.out
    assert "clips: 6 of 6 made" in quiet.out
    plan = tiny.cli("plan", "--config", suite, "--json", cwd=tmp_path)
    assert plan.json["units"] == {name: {"all": 3, "done": 3} for name in ("ground-truth", "frozen")}


def test_any_name_of_a_folder_is_the_folder_of_the_run(tiny, tiny_set: Path, tmp_path: Path) -> None:
    suite = tiny.suite(tiny_set, tmp_path, anchors=[], metrics=["flicker/luma@1"])
    for name in ("run #1: [new]", "2024"):
        done = tiny.cli("run", "--config", suite, "-o", name, "--json", cwd=tmp_path)
        assert done.code == 0, done.err
        assert (tmp_path / name / "record.json").is_file()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("what", ["suites", "runs"])
def test_an_empty_list_says_where_it_looked(tiny, tmp_path: Path, what: str) -> None:
    asked = tiny.cli("ls", what, cwd=tmp_path)
    assert (asked.code, asked.out) == (0, "")
    assert what in asked.err
    assert tiny.cli("ls", what, "--json", cwd=tmp_path).json == []


def test_lists_parse(tiny, tmp_path: Path) -> None:
    metrics = tiny.cli("ls", "metrics", "--json", cwd=tmp_path).json
    assert set(tiny.metrics) <= {row["name"] for row in metrics}
    assert all(row["about"] for row in metrics)
    weights = tiny.cli("weights", "list", "--json", cwd=tmp_path).json
    assert all({"name", "sha256", "state", "licence"} <= set(entry) for entry in weights)
    assert " 0.0 MB" not in tiny.cli("weights", "list", cwd=tmp_path).out


def test_scoring_finished_videos(tiny, tiny_set: Path, tmp_path: Path) -> None:
    for person in range(3):
        tiny.clip(tmp_path / "out" / f"gen-clip-{person:02d}.mkv", person=person if person else 5)
    shutil.copytree(tiny_set.parent, tmp_path / "set")
    manifest = f"set/{tiny_set.name}"
    arguments = ["score", "-g", "out", "-r", manifest, "--pattern", "gen-{id}", "-m", "psnr/rgb@1", "--json"]
    arguments += ["-w", "own-weights"]
    store = ["--set", "store=store", "--set", "anchors=[]", "-o", "run"]
    done = tiny.cli(*arguments, *store, "--set", "report.previews=false", cwd=tmp_path)
    assert done.code == 0, done.err
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    value = next(entry for entry in record["values"] if entry["system"] == "out")
    assert 60 < value["value"] < 80  # two of three are the ground truth itself (100 dB)
    assert value["n_scored"] == 3
    # Records and reports are for others, whom the user's folders do not concern.
    written = [path for path in (tmp_path / "run").rglob("*") if path.suffix in (".json", ".html", ".jsonl", ".tex")]
    assert written
    assert not [path.name for path in written if str(tmp_path) in path.read_text(encoding="utf-8")]


def test_names_cannot_steer_the_terminal(tiny, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    tiny.clip(folder / f"{ESCAPE}.mkv", person=1)
    (folder / f"broken{ESCAPE}.mp4").write_bytes(b"x")
    done = tiny.cli("data", "import", "videos", cwd=tmp_path)
    assert done.code == 3
    assert "refused broken\\x1b]0;owned" in done.err
    for talk in (done.out, done.err):
        assert "\x1b" not in talk
        assert "\x07" not in talk
    for arguments in (
        ["doctor", "--no-faces", f"videos/broken{ESCAPE}.mp4"],
        ["doctor", "--no-faces", "--json", f"videos/broken{ESCAPE}.mp4"],
        ["data", "verify", "videos/manifest.jsonl"],
        ["validate", f"videos/broken{ESCAPE}.mp4"],
        ["run", "--config", f"{ESCAPE}.yaml"],
    ):
        done = tiny.cli(*arguments, cwd=tmp_path)
        assert not {"\x1b", "\x07"} & set(done.out + done.err), arguments


def test_verify_finds_what_is_missing_and_changed(tiny, tmp_path: Path) -> None:
    manifest = tiny.set(tmp_path / "set", n_clips=3)
    (manifest.parent / "clip-00.mkv").unlink()
    with (manifest.parent / "clip-01.mkv").open("ab") as stream:
        stream.write(b"!")
    done = tiny.cli("data", "verify", manifest, "--json", cwd=tmp_path)
    assert done.code == 3
    assert {row["id"]: row["code"] for row in done.json} == {
        "clip-00": "missing",
        "clip-01": "wrong_bytes",
        "clip-02": "ok",
    }


class TestPython:
    def test_a_run_from_values(self, tiny, tiny_set: Path, tmp_path: Path) -> None:
        values = tiny.values(tiny_set, tmp_path, metrics=["psnr/rgb@1"])
        result = emo_bench.run(values, overrides=["anchors=[frozen]", "report.previews=true"], quiet=True)
        assert [system.name for system in result.record.systems] == ["ground-truth", "frozen"]
        table = result.table()
        assert list(table.index) == ["ground-truth", "frozen"]
        assert table.loc["ground-truth"].item() == 100.0
        assert len(result.clips()) == 6
        assert "6 of 6 clips made" in result._repr_html_()
        assert "complete, 6/6" in repr(result)
        index = json.loads((result.folder / "previews" / "index.json").read_text(encoding="utf-8"))
        assert {(entry["clip"], entry["system"]) for entry in index} == {
            (f"clip-0{n}", system) for n in range(3) for system in ("ground-truth", "frozen")
        }
        assert all((result.folder / "previews" / entry["file"]).stat().st_size > 500 for entry in index)
        if importlib.util.find_spec("IPython"):  # only notebooks have it
            assert result.show("clip-00", "frozen").embed
            with pytest.raises(KeyError, match="no preview"):
                result.show("clip-00", "other")

    def test_a_wrong_value_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="configuration: metrics: missing key"):
            emo_bench.run({"name": "a", "dataset": {"kind": "manifest", "manifest": "m"}})
        with pytest.raises(AttributeError, match="no attribute 'runn'"):
            _ = emo_bench.runn
