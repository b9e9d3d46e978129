"""Which decoders run; for tests that none is left behind."""

from __future__ import annotations

from pathlib import Path

from emo_bench.media import starting


def decoders() -> set[int]:
    """Process ids of all living or unreaped decoders of this process (Linux)."""
    listed = [
        path.read_text()
        for server in starting._servers.values()
        for path in Path(f"/proc/{server._process.pid}/task").glob("*/children")
    ]
    return {int(pid) for text in listed for pid in text.split()}
