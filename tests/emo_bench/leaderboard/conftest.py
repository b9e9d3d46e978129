"""Folders of records for leaderboards."""

from __future__ import annotations

from pathlib import Path

import pytest
import record_factory


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three records on equal terms, and one with fewer clips; do not change it."""
    folder = tmp_path_factory.mktemp("records")
    for number, (name, systems) in enumerate(
        {"a": ("good-a", "bad-a"), "b": ("good-b", "bad-b"), "c": ("one",)}.items()
    ):
        run = record_factory.make_run(name=name, systems=systems, noise_seed=number, failing=0)
        record_factory.write_run(run, folder / name, previews=False)
    few = record_factory.make_run(name="few", systems=("lonely",), n_clips=4, failing=0)
    record_factory.write_run(few, folder / "deep" / "few", previews=False)
    return folder
