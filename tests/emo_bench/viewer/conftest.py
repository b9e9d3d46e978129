"""A real small run with its store, and a server that shows it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_bench.viewer.server import Server, Viewer


@pytest.fixture(scope="module")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a set, a run of it (``run``) and the store."""
    folder = tmp_path_factory.mktemp("viewed")
    manifest = tiny.set(folder / "set")
    systems = [{"name": name, "kind": "videos", "folder": str(folder / "set")} for name in ("one", "two")]
    run_suite(load_suite(tiny.suite(manifest, folder, anchors=["frozen"], systems=systems)))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Viewer(folder, None, tmp_path_factory.mktemp("work"))) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join(timeout=20)
