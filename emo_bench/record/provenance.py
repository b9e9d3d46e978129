"""Which software and machine made the numbers."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from emo_bench.record.schema import GitState, Provenance
from emo_core.version import __version__

PACKAGES = (
    "av",
    "diffusers",
    "lpips",
    "mediapipe",
    "numpy",
    "onnxruntime",
    "opencv-contrib-python",
    "openvino",
    "pandas",
    "pillow",
    "pyarrow",
    "scipy",
    "soxr",
    "syncnet-python",
    "torch",
    "torchmetrics",
    "torchvision",
    "transformers",
)


def git_state(folder: Path) -> GitState | None:
    """Commit and cleanliness of the working tree around ``folder``; None outside of one or without git.

    Also None where the tree's own settings name programs that git would start: the folder may be anyone's.
    """
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        if _names_programs(_settings(folder)):
            return None
        # Git would look into the files of a submodule by the submodule's own settings.
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"))
    except (OSError, subprocess.SubprocessError):
        return None
    return GitState(commit=commit, dirty=dirty)


def _settings(folder: Path) -> str:
    """Names of the settings that lie in the folder, those of this working tree alone included."""
    listing = ("--includes", "--name-only", "--list")
    names = _git(folder, "config", "--local", *listing)
    if "extensions.worktreeconfig" in names.lower().splitlines():
        with suppress(subprocess.CalledProcessError):  # there is no file of them
            names += "\n" + _git(folder, "config", "--worktree", *listing)
    return names


def _names_programs(settings: str) -> bool:
    risky = (
        "filter.",
        "core.fsmonitor",
        "core.hookspath",
        "core.sshcommand",
        "core.pager",
        "alias.",
        "diff.",
        "include",
    )
    return any(name.lower().startswith(risky) for name in settings.splitlines())


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def provenance(*, device: str, folder: Path) -> Provenance:
    """The provenance of numbers made by this process.

    Args:
        device: Device of the networks.
        folder: Where the suite file lies; its git state is recorded.
    """
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return Provenance(
        emo_bench=__version__,
        git=git_state(folder),
        python=platform.python_version(),
        packages=packages,
        device=device,
        host={
            "system": platform.platform(),
            "processor": _processor(),
            "cores": str(os.cpu_count() or "unknown"),
        },
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
