"""``datasets.dvc``: only what may be made or shipped, and proof that making again gives the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SLICES = ("mini", "test", "validation", "train", "offsets")
REFILL = "run: emo-bench data make hdtf-synth && python -m dvc commit -f datasets.dvc"


def tracked() -> dict[str, Any]:
    from ruamel.yaml import YAML

    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / "datasets.dvc").read_text(encoding="utf-8"))
    return loaded


def test_outs_are_what_this_repository_makes() -> None:
    outs = {out["path"]: out for out in tracked()["outs"]}
    assert list(outs) == [f"data/hdtf-synth/{name}" for name in SLICES]
    for out in outs.values():
        assert out["hash"] == "md5"
        assert out["desc"]
        assert out["type"] == "dataset"
        if "md5" in out:
            assert out["md5"].endswith(".dir")
            assert out["size"] > 0
            assert out["nfiles"] % 2 == 1  # a video and a truth file for each clip, and the manifest


def test_the_slice_of_the_quickstart_is_recorded() -> None:
    first = tracked()["outs"][0]
    assert "md5" in first, REFILL
    assert first["nfiles"] == 25


def test_settings_keep_to_themselves() -> None:
    from configparser import ConfigParser

    config = ConfigParser()
    config.read(ROOT / ".dvc" / "config")
    assert dict(config["core"]) == {"analytics": "false", "check_update": "false", "autostage": "false"}
    remotes = [section for section in config.sections() if "remote" in section]
    assert all(config[section].get("verify") == "true" for section in remotes)


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("data/hdtf-synth/mini/manifest.jsonl", True),
        ("data/hdtf/clips/a.mkv", True),
        (".dvc/cache/files/md5/00/0", True),
        (".dvc/tmp/lock", True),
        (".dvc/config.local", True),
        (".dvc/config", False),
        ("data/.gitignore", False),
        ("datasets.dvc", False),
    ],
)
def test_data_never_enters_git(path: str, ignored: bool) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT, check=False)
    assert done.returncode == (0 if ignored else 1)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("dvc") is None, reason="needs the extra 'dvc'")
@pytest.mark.timeout(600)
def test_making_again_leaves_the_file_unchanged(tmp_path: Path, tiny: Any) -> None:
    """The mini slice, made in a fresh checkout: ``dvc commit`` finds the bytes that are recorded."""
    text = (ROOT / "datasets.dvc").read_text(encoding="utf-8")
    head = text[: text.index("- path: data/hdtf-synth/test")]  # the other slices take minutes
    assert "md5: " in head.split("hash: md5")[1], REFILL
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "datasets.dvc").write_text(head, encoding="utf-8")
    for name in (".dvcignore", ".gitignore", "data/.gitignore", ".dvc/config", ".dvc/.gitignore"):
        (checkout / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    subprocess.run(["git", "init", "-q", "."], cwd=checkout, check=True)
    made = tiny.cli("data", "make", "hdtf-synth", "--slice", "mini", "--quiet", cwd=checkout, timeout=500)
    assert made.code == 0, made.err

    def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
        return subprocess.run(
            [sys.executable, "-m", "dvc", *arguments], cwd=checkout, env=environment, capture_output=True, text=True
        )

    done = dvc("commit", "-f", "datasets.dvc")
    assert done.returncode == 0, done.stderr
    assert (checkout / "datasets.dvc").read_text(encoding="utf-8") == head, REFILL
    assert dvc("status", "-q").returncode == 0
    (checkout / "data/hdtf-synth/mini/manifest.jsonl").write_text("changed\n", encoding="utf-8")
    assert dvc("status", "-q").returncode == 1
    seen = subprocess.run(["git", "status", "--short", "-uall"], cwd=checkout, capture_output=True, text=True).stdout
    assert "hdtf-synth" not in seen
    assert "cache" not in seen
