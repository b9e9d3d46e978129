"""Which decoders run, and programs that start some; for tests that none is left behind."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from emo_bench.media import starting

IMAGE_WORKER = "emo_bench.media.image_worker"
ROOT = Path(__file__).resolve().parents[1]


def decoders() -> set[int]:
    """Process ids of all living or unreaped decoders of this process (Linux)."""
    listed = [
        path.read_text()
        for server in starting._servers.values()
        for path in Path(f"/proc/{server._process.pid}/task").glob("*/children")
    ]
    return {int(pid) for text in listed for pid in text.split()}


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def wait_until_gone(*pids: int) -> bool:
    return wait_until(lambda: not any(alive(pid) for pid in pids))


def program(body: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(body)]
