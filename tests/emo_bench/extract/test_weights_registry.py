"""Weights are pinned, hashed at every load, and downloaded only when asked, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import re
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emo_bench.extract import weights
from emo_bench.extract.weights import WeightsFile, WeightsFinder, fetch, states, weights_table
from emo_core.errors import WeightsError

CONTENT = b"network " * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., WeightsFile]:
    """Replaces the registry; entries are added by calling it. No user's folders are searched."""
    entries: dict[str, WeightsFile] = {}
    monkeypatch.setattr(weights, "weights_table", lambda: entries)
    monkeypatch.setenv("EMO_BENCH_WEIGHTS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def add(name: str, **values: object) -> WeightsFile:
        given = {"licence": "MIT", "sha256": DIGEST, "bytes": len(CONTENT), **values}
        entries[name] = WeightsFile(name=name, **given)  # type: ignore[arg-type]
        return entries[name]

    return add


def test_the_real_table_is_whole() -> None:
    entries = weights_table().values()
    assert len(entries) > 10
    for entry in entries:
        assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256), entry.name
        assert entry.licence, entry.name
        assert "/" not in entry.name or (entry.own and ".." not in entry.name and not entry.name.startswith("/"))
        assert not entry.name.startswith(".")
        assert all(url.startswith("https://") for url in entry.urls), entry.name


def test_files_inside_an_installed_package_are_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMO_BENCH_WEIGHTS", "")
    heads = [entry.name for entry in weights_table().values() if entry.name.startswith("lpips-lin-v0.1")]
    assert len(heads) == 3
    for state in states(WeightsFinder(), heads, verify=True):
        assert state.state == "ok", state.entry.name
        assert state.entry.source() == "installed package lpips"
        assert fetch(state.entry.name) == state.path


@pytest.mark.parametrize(("urls", "source"), [(["https://somewhere/file"], "official URL"), ([], "by hand")])
def test_the_source_in_words(table: Callable[..., WeightsFile], urls: list[str], source: str) -> None:
    assert table("network.bin", urls=tuple(urls)).source() == source


@pytest.mark.parametrize("there", [False, True])
def test_files_of_the_users_own_are_never_fetched_nor_called_wrong(
    table: Callable[..., WeightsFile], tmp_path: Path, there: bool
) -> None:
    table("mine/network.bin", own=True, sha256=None, bytes=None)
    if there:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "network.bin").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match="are your own and cannot be fetched") as told:
        fetch("mine/network.bin", target=tmp_path)
    assert "delete" not in str(told.value)


def test_a_file_made_from_the_arrays_of_another(table: Callable[..., WeightsFile], tmp_path: Path) -> None:
    import json
    import pickle

    import numpy as np

    numbers = {"mean": np.arange(3, dtype=np.float32), "std": np.ones(2, dtype=np.float32)}
    expected = json.dumps({"mean": [0.0, 1.0, 2.0], "std": [1.0, 1.0]}).encode()
    mirror, folder = tmp_path / "mirror", tmp_path / "weights"
    mirror.mkdir()
    (mirror / "numbers.pkl").write_bytes(pickle.dumps(numbers, protocol=4))
    digest = hashlib.sha256((mirror / "numbers.pkl").read_bytes()).hexdigest()
    table("numbers.pkl", sha256=digest, bytes=None)
    table("numbers.json", sha256=hashlib.sha256(expected).hexdigest(), bytes=len(expected), made_from="numbers.pkl")
    assert fetch("numbers.json", target=folder, mirror=mirror).read_bytes() == expected
    # Code in the pickle does not run, and other arrays are not taken.
    for content, message in ((b"cos\nsystem\n(S'touch bad'\ntR.", "is not read"), (pickle.dumps({}), "pinned bytes")):
        (mirror / "numbers.pkl").write_bytes(content)
        table("numbers.pkl", sha256=hashlib.sha256(content).hexdigest(), bytes=None)
        for name in ("numbers.pkl", "numbers.json"):
            (folder / name).unlink(missing_ok=True)
        with pytest.raises(WeightsError, match=message):
            fetch("numbers.json", target=folder, mirror=mirror)
        assert not (folder / "numbers.json").exists()


def test_every_registered_extractor_names_known_weights() -> None:
    from emo_bench.extract.catalogue import extractors, load_catalogues

    load_catalogues()
    for name in extractors.names():
        for file in extractors.get(name).weights:
            assert file in weights_table(), (name, file)


class TestFinding:
    def test_the_right_bytes(self, table: Callable[..., WeightsFile], tmp_path: Path) -> None:
        table("net.pt")
        (tmp_path / "net.pt").write_bytes(CONTENT)
        assert WeightsFinder(folders=(tmp_path / "none", tmp_path)).require("net.pt") == tmp_path / "net.pt"

    def test_the_environment_is_searched_after_the_suites_folders(
        self, table: Callable[..., WeightsFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table("net.pt")
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "net.pt").write_bytes(CONTENT)
        monkeypatch.setenv("EMO_BENCH_WEIGHTS", os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "b")]))
        assert WeightsFinder().require("net.pt").parent.name == "b"
        assert WeightsFinder(folders=(tmp_path / "a",)).require("net.pt").parent.name == "a"

    @pytest.mark.parametrize("change", [lambda b: b[:-1] + b"!", lambda b: b[:-1], lambda b: b + b"\0", lambda b: b""])
    def test_one_wrong_byte(self, table, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
        table("net.pt")
        data = change(CONTENT)
        (tmp_path / "net.pt").write_bytes(data)
        with pytest.raises(WeightsError) as caught:
            WeightsFinder(folders=(tmp_path,)).require("net.pt")
        for word in (str(tmp_path / "net.pt"), DIGEST, hashlib.sha256(data).hexdigest(), f"{len(data)} bytes"):
            assert word in str(caught.value)

    def test_a_file_that_changes_after_it_was_checked(self, table, tmp_path: Path) -> None:
        table("net.pt")
        (tmp_path / "net.pt").write_bytes(CONTENT)
        finder = WeightsFinder(folders=(tmp_path,))
        finder.require("net.pt")
        (tmp_path / "net.pt").write_bytes(CONTENT.upper())
        os.utime(tmp_path / "net.pt", ns=(1, 1))
        with pytest.raises(WeightsError, match="pinned bytes"):
            finder.require("net.pt")

    @pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Sign in", b"\n  <HTML><head>"])
    def test_a_web_page_is_called_one(self, table, tmp_path: Path, page: bytes) -> None:
        table("net.pt")
        (tmp_path / "net.pt").write_bytes(page)
        with pytest.raises(WeightsError, match="is a web page, not weights"):
            WeightsFinder(folders=(tmp_path,)).require("net.pt")

    def test_missing_says_where_to_put_it_and_how_to_get_it(self, table, tmp_path: Path) -> None:
        table("net.pt", urls=("https://x/net.pt",))
        table("rare.pt")
        with pytest.raises(WeightsError) as caught:
            WeightsFinder(folders=(tmp_path,)).require("net.pt")
        assert str(tmp_path) in caught.value.expected
        assert "emo-bench weights fetch net.pt" in caught.value.fix
        with pytest.raises(WeightsError) as caught:
            WeightsFinder().require("rare.pt")
        assert caught.value.fix == "put it there"

    def test_unknown_unpinned_and_forbidden(self, table, tmp_path: Path) -> None:
        table("nc.pt", non_commercial=True, licence="CC BY-NC 4.0")
        table("unpinned.pt", sha256=None)
        for name in ("nc.pt", "unpinned.pt"):
            (tmp_path / name).write_bytes(CONTENT)
        finder = WeightsFinder(folders=(tmp_path,), policy="no-non-commercial")
        with pytest.raises(WeightsError, match=r"non-commercial use only \(CC BY-NC 4.0\)"):
            finder.require("nc.pt")
        assert WeightsFinder(folders=(tmp_path,)).require("nc.pt")
        with pytest.raises(WeightsError, match="no published SHA-256"):
            finder.require("unpinned.pt")
        with pytest.raises(WeightsError, match="not in the registry"):
            finder.require("other.pt")
        found = {state.entry.name: state.state for state in states(finder, verify=True)}
        assert found == {"nc.pt": "ok", "unpinned.pt": "unpinned"}
        (tmp_path / "nc.pt").write_bytes(b"x")
        assert states(finder, ["nc.pt"], verify=True)[0].state == "wrong bytes"
        assert states(finder, ["nc.pt"], verify=False)[0].state == "ok"


class Server(http.server.ThreadingHTTPServer):
    """Serves what is in ``content`` by path and counts requests."""

    daemon_threads = True

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.announced: int | None = None
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        data = self.server.content.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.announced or len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


class TestFetching:
    def test_a_good_file_once(self, table, server: Server, tmp_path: Path) -> None:
        server.content["/net.pt"] = CONTENT
        table("net.pt", urls=(server.url("/net.pt"),))
        path = fetch("net.pt", target=tmp_path / "new")
        assert path.read_bytes() == CONTENT
        assert fetch("net.pt", target=tmp_path / "new") == path
        assert server.asked == ["/net.pt"]

    def test_into_the_cache_where_it_is_found(self, table, server: Server) -> None:
        server.content["/net.pt"] = CONTENT
        table("net.pt", urls=(server.url("/net.pt"),))
        assert fetch("net.pt") == WeightsFinder().require("net.pt")

    def test_the_second_mirror_when_the_first_is_wrong(self, table, server: Server, tmp_path: Path) -> None:
        server.content |= {"/wrong": CONTENT.upper(), "/right": CONTENT}
        table("net.pt", urls=(server.url("/gone"), server.url("/wrong"), server.url("/right")))
        assert fetch("net.pt", target=tmp_path).read_bytes() == CONTENT
        assert server.asked == ["/gone", "/wrong", "/right"]

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (CONTENT.upper(), "pinned bytes"),
            (CONTENT[:-1], "pinned bytes"),
            (CONTENT + b"!", "more than the expected"),
            (b"<!doctype html><title>Sign in</title>", "web page"),
            (b"", "pinned bytes"),
        ],
    )
    def test_other_bytes_are_refused_and_nothing_is_left(
        self, table, server: Server, tmp_path: Path, data: bytes, words: str
    ) -> None:
        server.content["/net.pt"] = data
        table("net.pt", urls=(server.url("/net.pt"),))
        with pytest.raises(WeightsError, match="could not be fetched") as caught:
            fetch("net.pt", target=tmp_path)
        assert words in caught.value.found
        assert left_in(tmp_path) == []

    def test_a_steady_drip_ends_at_the_deadline(self, table, tmp_path: Path) -> None:
        import socket
        import time

        listener = socket.create_server(("127.0.0.1", 0))

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                for letter in b"HTTP/1.0 200 OK\r\n\r\n" + CONTENT:
                    connection.sendall(bytes([letter]))
                    time.sleep(0.2)

        threading.Thread(target=drip, daemon=True).start()
        table("net.pt", urls=(f"http://127.0.0.1:{listener.getsockname()[1]}/net.pt",))
        started = time.monotonic()
        with pytest.raises(WeightsError, match="took too long"):
            fetch("net.pt", target=tmp_path, total_s=1.0)
        assert time.monotonic() - started < 30
        listener.close()

    @pytest.mark.parametrize("target", ["ftp://127.0.0.1/net.pt", "file:///etc/passwd"])
    def test_a_redirect_to_another_scheme_is_not_followed(self, table, tmp_path: Path, target: str) -> None:
        class Redirect(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header("Location", target)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        with http.server.HTTPServer(("127.0.0.1", 0), Redirect) as redirecting:
            threading.Thread(target=redirecting.serve_forever, daemon=True).start()
            table("net.pt", urls=(f"http://127.0.0.1:{redirecting.server_port}/net.pt",))
            with pytest.raises(WeightsError, match=r"only http and https|not allowed"):
                fetch("net.pt", target=tmp_path)
            redirecting.shutdown()

    def test_an_encrypted_archive_is_refused(self, table, server: Server, tmp_path: Path) -> None:
        import io
        import zipfile

        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("net.pt", CONTENT)
        data = bytearray(packed.getvalue())
        for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(mark) + place] |= 1  # the flag that says so
        server.content["/net.zip"] = bytes(data)
        table("net.pt", urls=(server.url("/net.zip") + "#net.pt",))
        with pytest.raises(WeightsError, match="encrypted"):
            fetch("net.pt", target=tmp_path)
        assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]

    def test_a_connection_that_ends_early(self, table, server: Server, tmp_path: Path) -> None:
        server.content["/net.pt"] = CONTENT[:1000]
        server.announced = len(CONTENT)
        table("net.pt", urls=(server.url("/net.pt"),))
        with pytest.raises(WeightsError, match="could not be fetched"):
            fetch("net.pt", target=tmp_path, timeout_s=2)
        assert left_in(tmp_path) == []

    def test_a_server_that_talks_nonsense_and_one_that_is_not_there(self, table, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            table("net.pt", urls=(f"http://127.0.0.1:{port}/net.pt", "file:///etc/passwd", "ftp://127.0.0.1/x"))

            def talk() -> None:
                connection, _ = listening.accept()
                connection.recv(100)
                connection.sendall(b"no http at all\r\n\r\n")
                connection.close()

            threading.Thread(target=talk, daemon=True).start()
            with pytest.raises(WeightsError) as caught:
                fetch("net.pt", target=tmp_path)
            assert caught.value.found.count("only http and https") == 2
        with pytest.raises(WeightsError, match="could not be fetched"):
            fetch("net.pt", target=tmp_path)
        assert left_in(tmp_path) == []

    def test_a_member_of_an_archive(self, table, server: Server, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
            pack.writestr("models/net.pt", CONTENT)
            pack.writestr("bomb.pt", b"\0" * 1_000_000, compress_type=zipfile.ZIP_DEFLATED)
        server.content |= {"/pack.zip": (tmp_path / "pack.zip").read_bytes(), "/no.zip": b"no archive"}
        table("net.pt", urls=(server.url("/no.zip#models/net.pt"), server.url("/pack.zip#models/net.pt")))
        table("bomb.pt", urls=(server.url("/pack.zip#bomb.pt"),))
        table("absent.pt", urls=(server.url("/pack.zip#nowhere/absent.pt"),))
        target = tmp_path / "new"
        assert fetch("net.pt", target=target).read_bytes() == CONTENT
        for name, words in (("bomb.pt", "more than the expected"), ("absent.pt", "nowhere/absent.pt")):
            with pytest.raises(WeightsError) as caught:
                fetch(name, target=target)
            assert words in caught.value.found
        assert left_in(target) == ["net.pt"]

    def test_several_at_once_download_once(self, table, server: Server, tmp_path: Path) -> None:
        server.content["/net.pt"] = CONTENT
        table("net.pt", urls=(server.url("/net.pt"),))
        paths: list[Path] = []
        threads = [threading.Thread(target=lambda: paths.append(fetch("net.pt", target=tmp_path))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [path.read_bytes() for path in paths] == [CONTENT] * 4
        assert server.asked == ["/net.pt"]

    def test_what_cannot_be_checked_is_not_fetched(self, table, server: Server, tmp_path: Path) -> None:
        server.content["/net.pt"] = CONTENT
        table("net.pt", sha256=None, urls=(server.url("/net.pt"),))
        with pytest.raises(WeightsError, match="could not be checked"):
            fetch("net.pt", target=tmp_path)
        (tmp_path / "here.pt").write_bytes(b"someone's own file")
        table("here.pt", urls=(server.url("/net.pt"),))
        with pytest.raises(WeightsError, match="pinned bytes"):
            fetch("here.pt", target=tmp_path)
        assert (tmp_path / "here.pt").read_bytes() == b"someone's own file"
        assert server.asked == []


def test_a_whole_run_opens_no_connection(tiny, tiny_set: Path, tmp_path: Path) -> None:
    """Even where weights are missing; sockets fail in the run and in every process that it starts."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, socket\n"
        "def refuse(self, address, *rest):\n"
        "    if self.family != socket.AF_UNIX:\n"
        "        open(os.environ['TOLD'], 'a').write(repr(address))\n"
        "        raise OSError('no network here')\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "def lookup(*rest, **more):\n"
        "    open(os.environ['TOLD'], 'a').write(repr(rest))\n"
        "    raise socket.gaierror('no network here')\n"
        "socket.getaddrinfo = socket.gethostbyname = lookup\n",
        encoding="utf-8",
    )
    suite = tiny.suite(tiny_set, tmp_path, anchors=[], metrics=["f-sim/mobilefacenet@1", "flicker/luma@1"])
    extra = {"PYTHONPATH": str(tmp_path / "site"), "TOLD": str(tmp_path / "told"), "XDG_CACHE_HOME": str(tmp_path)}
    done = tiny.cli("run", "--config", suite, "--json", cwd=tmp_path, extra=extra)
    assert done.code == 3, done.err
    assert done.json["counts"]["done"] == 3
    assert not (tmp_path / "told").exists(), (tmp_path / "told").read_text()
