"""Receiving a file from an address, and one member of a zip archive: never more than expected, never forever."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class Limits:
    """Seconds without a byte, and the moment by which everything must be there."""

    timeout_s: float
    deadline: float


def receive_file(address: str, target: Path, *, size: int, limits: Limits) -> None:
    """Receives a file in a thread of its own, since even headers may drip for hours."""
    failed: list[BaseException] = []

    def receive() -> None:
        try:
            _receive_now(address, target, size=size, limits=limits)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    thread.join(max(0.0, limits.deadline - time.monotonic()) + 1.0)
    if thread.is_alive():
        raise TimeoutError("took too long and was given up")
    if failed:
        raise failed[0]


def _receive_now(address: str, target: Path, *, size: int, limits: Limits) -> None:
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class WebOnly(HTTPRedirectHandler):
        """Follows redirects to http and https only; the library would go to ftp as well."""

        def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            _check_scheme(newurl)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    _check_scheme(address)
    with build_opener(WebOnly).open(address, timeout=limits.timeout_s) as response, target.open("wb") as stream:
        _copy(response, stream, size=size, deadline=limits.deadline)


def _check_scheme(address: str) -> None:
    from urllib.parse import urlsplit

    if urlsplit(address).scheme not in ("https", "http"):
        raise ValueError("only http and https addresses are fetched")


def take_member(archive: Path, name: str, target: Path, *, size: int) -> None:
    """Extracts one member, of at most ``size`` bytes."""
    from zipfile import ZipFile

    with ZipFile(archive) as packed, packed.open(name) as source, target.open("wb") as stream:
        _copy(source, stream, size=size, deadline=math.inf)


def _copy(source: IO[bytes], target: IO[bytes], *, size: int, deadline: float) -> None:
    received = 0
    # What has arrived, not a whole piece: a slow drip would fill one for hours.
    read = getattr(source, "read1", source.read)
    while piece := read(1 << 18):
        received += len(piece)
        if received > size:
            raise ValueError(f"more than the expected {size} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError(f"took too long: {received} bytes until the deadline")
        target.write(piece)
