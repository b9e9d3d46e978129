"""Shares finished runs between tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import browser as chromium
import pytest
import record_factory


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two systems with previews of two clips."""
    return record_factory.write_run(record_factory.make_run(), tmp_path_factory.mktemp("runs") / "plain")


@pytest.fixture(scope="session")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose systems have names with meaning in HTML, LaTeX, typst, spreadsheets and right-to-left scripts."""
    names = (*record_factory.HOSTILE, record_factory.RTL, record_factory.LONG)
    run = record_factory.make_run(systems=names, n_clips=4, failing=2)
    return record_factory.write_run(run, tmp_path_factory.mktemp("runs") / "hostile", previews=False)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    """A window of headless Chromium; tests that use it have the marks `chromium.NEEDED`."""
    with chromium.started(tmp_path_factory.mktemp("profile")) as window:
        yield window
