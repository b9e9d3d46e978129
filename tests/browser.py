"""Headless Chromium through its driver: the few WebDriver commands that tests need, over plain HTTP on this machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DRIVER = shutil.which("chromedriver")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
NEEDED = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DRIVER and BROWSER), reason="no Chromium with its driver on this machine"),
]
"""Marks of tests that need it."""


class Browser:
    """A window."""

    def __init__(self, port: int, profile: Path) -> None:
        self.base = f"http://127.0.0.1:{port}"
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--window-size=1400,1000",
            "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}",
        ]  # fmt: skip
        wanted = {"goog:chromeOptions": {"binary": BROWSER, "args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = ""
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        url = f"{self.base}/session/{self.session}{path}" if self.session else f"{self.base}{path}"
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - this machine only
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["value"]

    def open(self, place: Path | str) -> None:
        """Opens a file, or an address of this machine."""
        self.call("POST", "/url", {"url": place if isinstance(place, str) else place.as_uri()})

    def resize(self, width: int, height: int) -> None:
        self.call("POST", "/window/rect", {"width": width, "height": height})

    def run(self, script: str) -> Any:
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def wait(self, script: str, seconds: float = 20) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if (value := self.run(script)) not in (None, False, 0):
                return value
            time.sleep(0.1)
        pytest.fail(f"never true: {script}")

    def complaints(self) -> list[str]:
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]


@contextmanager
def started(profile: Path) -> Iterator[Browser]:
    """A driver and a window for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        window = Browser(port, profile)
        yield window
        window.call("DELETE", "")
    finally:
        process.terminate()
        process.wait(timeout=20)
