"""The web server of the viewer: this machine only, a token in every address, reading only.

No part of an address is ever used as a path: runs, clips and systems are looked up by id and number.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from emo_bench.record.columns import ordered_systems
from emo_bench.report.notes import SYNTHETIC_NOTICE
from emo_bench.viewer.clips import (
    ReadingStore,
    VideoCache,
    browser_data,
    clip_keys,
    curves,
    lag_curves,
    reason_of,
    was_made,
)
from emo_bench.viewer.runs import FoundRun, RunFolder
from emo_core.errors import EmoBenchError
from emo_core.version import __version__

ADDRESS = "127.0.0.1"
PIECE = 1 << 16
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; media-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The address holds the token, so no page may pass it on, and no other page may read or frame this one."""

_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")


@dataclass(frozen=True)
class Answer:
    """What a request gets: bytes, or a file."""

    body: bytes = b""
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    file: Path | None = None


class NotFoundError(Exception):
    """There is nothing at this address."""


class Viewer:
    """What is behind the addresses.

    Args:
        folder: Folder of runs.
        store: Folder of clips; None for the one that each run names.
        work: A temporary folder for videos.
    """

    def __init__(self, folder: Path, store: Path | None, work: Path) -> None:
        self.folder = RunFolder(folder)
        self.token = secrets.token_urlsafe(24)
        self._store = store
        self._videos = VideoCache(work)

    @cached_property
    def _templates(self) -> Any:
        from jinja2 import Environment, PackageLoader, StrictUndefined

        found = Environment(
            loader=PackageLoader("emo_bench.viewer"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        found.globals.update(version=__version__)
        return found

    def answer(self, path: str) -> Answer:
        """What lies at an address, given without its token.

        Raises:
            NotFoundError: nothing.
            EmoBenchError: when what lies there cannot be read.
        """
        for pattern, reply in self._routes.items():
            if found := re.fullmatch(pattern, path):
                return reply(*found.groups())
        raise NotFoundError

    @cached_property
    def _routes(self) -> Mapping[str, Callable[..., Answer]]:
        return {
            r"/": self._index,
            r"/style\.css": lambda: Answer(_text("report", "report.css", "viewer", "viewer.css"), "text/css"),
            r"/list\.js": lambda: Answer(_text("viewer", "list.js"), "text/javascript"),
            r"/browser\.js": lambda: Answer(_text("viewer", "browser.js"), "text/javascript"),
            r"/runs\.json": lambda: _json([self._line(run) for run in self.folder.runs()]),
            r"/run/([0-9a-f]{12})/": self._browser,
            r"/run/([0-9a-f]{12})/data\.json": lambda key: _json(browser_data(self._run(key).data())),
            r"/run/([0-9a-f]{12})/curves/(\d{1,6})\.json": self._curves,
            r"/run/([0-9a-f]{12})/clip/(\d{1,6})/(\d{1,4})\.mp4": self._video,
            r"/run/([0-9a-f]{12})/clip/(\d{1,6})/(\d{1,4})\.json": self._reason,
        }

    def _run(self, key: str) -> FoundRun:
        run = self.folder.get(key)
        if run is None:
            raise NotFoundError
        return run

    def _index(self) -> Answer:
        page = self._templates.get_template("list.html.j2").render(folder=str(self.folder.folder))
        return Answer(_page_bytes(page))

    def _line(self, run: FoundRun) -> dict[str, Any]:
        """A run in the list; a record that cannot be read is named, not hidden."""
        line: dict[str, Any] = {"id": run.id, "place": run.place, **run.progress()}
        if run.finished:
            try:
                record = run.data().record
            except EmoBenchError as error:
                return {**line, "state": "unreadable", "problem": error.message[:300]}
            counts = record.counts
            line |= {"title": record.title or record.name, "status": record.status, "finished": record.timings.finished}
            line |= {"done": counts.done, "failed": counts.failed, "total": counts.planned}
            line["systems"] = sum(not system.anchor for system in record.systems)
            line["clips"] = len(record.clips)
        return line

    def _browser(self, key: str) -> Answer:
        run = self._run(key)
        record = run.data().record
        notes = [*([SYNTHETIC_NOTICE] if record.synthetic else []), *run.data().notes]
        page = self._templates.get_template("browser.html.j2").render(
            title=record.title or record.name, place=run.place, notes=notes
        )
        return Answer(_page_bytes(page))

    def _place(self, key: str, clip: str, system: str) -> tuple[FoundRun, str, str, int]:
        run = self._run(key)
        record = run.data().record
        systems = ordered_systems(record)
        if int(clip) >= len(record.clips) or int(system) >= len(systems):
            raise NotFoundError
        seeds = record.config.get("seeds") or [0]
        return run, record.clips[int(clip)].id, systems[int(system)].name, int(seeds[0])

    def _curves(self, key: str, clip: str) -> Answer:
        run, name, _, _ = self._place(key, clip, "0")
        seeds = run.data().record.config.get("seeds") or [0]
        data = run.data()
        return _json({"traces": curves(data, name, int(seeds[0])), "lags": lag_curves(data, name, int(seeds[0]))})

    def _video(self, key: str, clip: str, system: str) -> Answer:
        run, name, system_name, seed = self._place(key, clip, system)
        store = self._store_of(run)
        made = was_made(run.data(), system_name, name, seed)
        stored = clip_keys(run.folder).get((system_name, name, seed)) if made else None
        video = self._videos.video(store, stored) if store is not None and stored is not None else None
        if video is None:
            raise NotFoundError
        return Answer(kind="video/mp4", file=video)

    def _reason(self, key: str, clip: str, system: str) -> Answer:
        """Why there is no video."""
        run, name, system_name, _ = self._place(key, clip, system)
        known = reason_of(run.data()).get((system_name, name))
        if known is None and self._store_of(run) is None:
            known = "the store of this run is not here; name it with --store"
        if known is None:
            try:
                self._video(key, clip, system)
                known = "it can be read now; load the page again"
            except NotFoundError:
                known = "the store does not hold this clip any more"
            except EmoBenchError as error:
                known = str(error)
        return _json({"reason": known})

    def _store_of(self, run: FoundRun) -> ReadingStore | None:
        """The store that was named, else the run's own where it lies below the viewed or the working folder."""
        if self._store is not None:
            return ReadingStore(self._store)
        named = run.data().record.config.get("store")
        if not isinstance(named, str):
            return None
        place = Path(named).resolve()
        inside = any(place.is_relative_to(root) for root in (Path.cwd().resolve(), self.folder.folder))
        return ReadingStore(place) if inside and place.is_dir() else None


def _page_bytes(page: str) -> bytes:
    """A name of a folder may hold bytes that are no text."""
    return page.encode("utf-8", "replace")


def _json(value: Any) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=True, allow_nan=False).encode(), "application/json")


def _text(*names: str) -> bytes:
    pairs = zip(names[::2], names[1::2], strict=True)
    return b"".join((files(f"emo_bench.{package}") / "templates" / name).read_bytes() for package, name in pairs)


class _Handler(BaseHTTPRequestHandler):
    """One request; the server holds the viewer."""

    server: Server
    server_version = "emo-bench"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Answers, or refuses without saying why."""
        self._reply(with_body=True)

    def do_HEAD(self) -> None:
        """The same without the body."""
        self._reply(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: addresses hold the token."""
        del format, args

    def _reply(self, *, with_body: bool) -> None:
        try:
            answer = self._answer()
        except NotFoundError:
            answer = Answer(b"not found\n", "text/plain", 404)
        except EmoBenchError as error:
            answer = Answer(f"{error}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8", 422)
        except Exception as error:  # a run may be anyone's; the viewer goes on whatever is in it
            answer = Answer(f"this cannot be shown: {type(error).__name__}\n".encode(), "text/plain", 500)
        try:
            self._send(answer, with_body=with_body)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def _answer(self) -> Answer:
        # The Host header tells a page of another site that was pointed at this machine (DNS rebinding).
        if self.headers.get("Host", "") not in self.server.hosts:
            return Answer(b"wrong host\n", "text/plain", 403)
        token, _, rest = self.path.removeprefix("/").partition("?")[0].partition("/")
        if not hmac.compare_digest(token.encode(), self.server.viewer.token.encode()):
            return Answer(b"wrong or missing token\n", "text/plain", 403)
        return self.server.viewer.answer(f"/{rest}")

    def _send(self, answer: Answer, *, with_body: bool) -> None:
        size = answer.file.stat().st_size if answer.file is not None else len(answer.body)
        start, end, status = 0, size, answer.status
        if answer.file is not None and (asked := _RANGE.fullmatch(self.headers.get("Range", ""))):
            start = int(asked[1])
            end = min(int(asked[2]) + 1, size) if asked[2] else size
            status = 206 if start < end else 416
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        if answer.file is not None:
            self.send_header("Accept-Ranges", "bytes")
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            if status == 416:
                self.send_header("Content-Range", f"bytes */{size}")
        length = 0 if status == 416 else end - start
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if not with_body:
            return
        if answer.file is None:
            self.wfile.write(answer.body)
            return
        with answer.file.open("rb") as stream:
            stream.seek(start)
            while length > 0 and (piece := stream.read(min(PIECE, length))):
                self.wfile.write(piece)
                length -= len(piece)


class Server(ThreadingHTTPServer):
    """Listens on this machine's own address only.

    Args:
        viewer: What is shown.
        port: 0 for any that is free.
    """

    daemon_threads = True

    def __init__(self, viewer: Viewer, port: int = 0) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.viewer = viewer
        self.hosts = frozenset({f"{ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"})

    @property
    def url(self) -> str:
        """The address to open, with its token."""
        return f"http://{ADDRESS}:{self.server_port}/{self.viewer.token}/"
