"""The viewer over HTTP: this machine and the token only, nothing outside the folder, nothing written; true clips."""

from __future__ import annotations

import http.client
import json
import os
import shutil
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import record_factory

from emo_bench.record.columns import ordered_systems
from emo_bench.record.unit_times import JOURNAL_FILE
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_bench.viewer.clips import ReadingStore, clip_keys, curves
from emo_bench.viewer.runs import FoundRun, RunFolder
from emo_bench.viewer.server import ADDRESS, NotFoundError, Server, Viewer
from emo_core.errors import ClipError


def get(server: Server, path: str, *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """A request without the help of a client that would clean up the address."""
    connection = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=120)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def page(server: Server, path: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    return get(server, f"/{server.viewer.token}/{path}", **headers)


def listed(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(page(server, "runs.json")[2])
    return found


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def test_only_this_machine_is_served(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url.startswith("http://127.0.0.1:")
    assert len(server.viewer.token) >= 32


def test_folders_may_have_names_that_are_no_text(folder: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    shutil.copytree(folder / "run", odd / "run\udcff")
    viewer = Viewer(odd, None, tmp_path)
    (run,) = json.loads(viewer.answer("/runs.json").body)
    assert b"odd?" in viewer.answer("/").body
    assert b"run?" in viewer.answer(f"/run/{run['id']}/").body


def test_a_journal_that_was_made_anew_is_counted_from_its_start(tmp_path: Path) -> None:
    run = FoundRun("0", tmp_path, "run")
    line = json.dumps({"system": "a", "clip": "c", "seed": 0, "code": "ok"}) + "\n"
    for n_lines in (5, 2, 3):
        (tmp_path / JOURNAL_FILE).write_text(line * n_lines)
        assert run.progress()["done"] == n_lines


@pytest.mark.parametrize("path", ["/", "/runs.json", "/wrong/", "//", "/style.css", "/favicon.ico"])
def test_nothing_without_the_token(server: Server, path: str) -> None:
    status, _, body = get(server, path)
    assert (status, body) == (403, b"wrong or missing token\n")
    assert get(server, f"/{server.viewer.token[:-1]}/")[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "[::1]:80", ""])
def test_another_host_is_refused_even_with_the_token(server: Server, host: str) -> None:
    assert page(server, "runs.json", Host=host)[0] == 403
    assert page(server, "runs.json", Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reading(server: Server, method: str) -> None:
    assert get(server, f"/{server.viewer.token}/", method=method)[0] == 501


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd", "run/../../etc/passwd", "run/%2e%2e/", "style.css/../server.py", "run/000000000000/",
        "run/zzzzzzzzzzzz/data.json", "%00", "run/{id}/clip/999999/0.mp4", "run/{id}/clip/0/9999.mp4",
        "run/{id}/clip/-1/0.mp4", "run/{id}/curves/999999.json", "run/{id}/record.json", "run/{id}/../run/record.json",
    ],
)  # fmt: skip
def test_no_path_leads_out(server: Server, path: str) -> None:
    key = listed(server)[0]["id"]
    assert page(server, path.replace("{id}", key))[0] == 404


def test_answers_forbid_embedding_sniffing_and_passing_on_the_address(server: Server) -> None:
    headers = page(server)[1]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_the_list_names_the_finished_run(server: Server) -> None:
    (run,) = listed(server)
    assert (run["state"], run["status"], run["systems"], run["clips"]) == ("finished", "complete", 2, 3)


def test_a_clip_has_the_size_and_the_frames_of_the_store(server: Server, folder: Path, tmp_path: Path) -> None:
    (run,) = listed(server)
    data = json.loads(page(server, f"run/{run['id']}/data.json")[2])
    number = next(i for i, system in enumerate(data["systems"]) if system["name"] == "one")
    status, headers, body = page(server, f"run/{run['id']}/clip/0/{number}.mp4")
    assert (status, headers["Content-Type"]) == (200, "video/mp4")
    (tmp_path / "clip.mp4").write_bytes(body)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)
    store_folder = next(path.parent for path in folder.rglob("clips") if path.is_dir())
    store = ReadingStore(store_folder)
    stored = store.get(clip_keys(folder / "run")["one", data["clips"][0]["name"], 0])
    assert stored is not None
    frames = store.open(stored)[0].read_all().astype(int)
    assert shown.shape == frames.shape
    assert np.abs(shown - frames).mean() < 3.0  # 4:2:0 at CRF 10


def test_ranges_let_a_browser_seek(server: Server) -> None:
    (run,) = listed(server)
    path = f"run/{run['id']}/clip/0/0.mp4"
    whole = page(server, path)[2]
    status, headers, body = page(server, path, Range="bytes=100-199")
    assert (status, body, headers["Content-Range"]) == (206, whole[100:200], f"bytes 100-199/{len(whole)}")
    assert page(server, path, Range=f"bytes={len(whole) - 5}-")[2] == whole[-5:]
    assert page(server, path, Range=f"bytes={len(whole)}-")[0] == 416
    assert page(server, path, Range="bytes=9-2")[0] == 416
    assert page(server, path, Range="lines=1-2")[0] == 200


def test_looking_writes_nothing(server: Server, folder: Path) -> None:
    before = contents(folder)
    (run,) = listed(server)
    for path in ("", f"run/{run['id']}/", f"run/{run['id']}/data.json", f"run/{run['id']}/curves/0.json"):
        assert page(server, path)[0] == 200, path
    assert page(server, f"run/{run['id']}/clip/1/0.mp4")[0] == 200
    assert contents(folder) == before


def test_a_damaged_clip_is_told_and_stays_where_it_is(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    root = next(path.parent for path in copy.rglob("clips") if path.is_dir())
    store = ReadingStore(root)
    key = clip_keys(copy / "run")["frozen", sorted({clip for _, clip, _ in clip_keys(copy / "run")})[0], 0]
    stored = store.get(key)
    assert stored is not None
    file = store.objects.path(stored.sidecar.audio)
    file.write_bytes(b"x" * file.stat().st_size)
    before = contents(copy)
    with pytest.raises(ClipError, match="is damaged"):
        store.open(stored)
    (tmp_path / "work").mkdir()
    viewer = Viewer(copy, root, tmp_path / "work")
    (run,) = viewer.folder.runs()
    systems = [system.name for system in ordered_systems(run.data().record)]
    answer = viewer.answer(f"/run/{run.id}/clip/0/{systems.index('frozen')}.json")
    assert "is damaged" in json.loads(answer.body)["reason"]
    assert contents(copy) == before


def test_a_clip_that_fails_now_is_not_shown_as_an_earlier_run_made_it(tiny: Any, tmp_path: Path) -> None:
    manifest = tiny.set(tmp_path / "set")
    made = Path(shutil.copytree(manifest.parent, tmp_path / "made"))
    values = {"anchors": ["frozen"], "systems": [{"name": "one", "kind": "videos", "folder": str(made)}]}

    def videos(seed: int) -> set[tuple[int, str]]:
        record = run_suite(load_suite(tiny.suite(manifest, tmp_path, seeds=[seed], **values)))
        viewer = Viewer(tmp_path, None, tmp_path)
        (run,) = viewer.folder.runs()
        found = set()
        for clip, (number, system) in product(range(3), enumerate(ordered_systems(record))):
            with suppress(NotFoundError):
                viewer.answer(f"/run/{run.id}/clip/{clip}/{number}.mp4")
                found.add((clip, system.name))
        return found

    everything = set(product(range(3), ("ground-truth", "frozen", "one")))
    assert videos(seed=5) == everything
    (made / "clip-01.mkv").unlink()
    assert videos(seed=5) == everything - {(1, "one")}
    source = manifest.parent / "clip-02.mkv"
    source.write_bytes(source.read_bytes() + b"x")  # no longer the file of the manifest
    assert videos(seed=5) == everything - {(1, "one"), *((2, name) for _, name in everything)}
    assert videos(seed=6) == everything - {(1, "one"), *((2, name) for _, name in everything)}


def test_a_running_suite_is_followed_by_what_is_new(tmp_path: Path) -> None:
    run = FoundRun("x" * 12, tmp_path, "x")
    journal = tmp_path / "journal.jsonl"
    old = json.dumps({"system": "a", "clip": "old", "seed": 0, "code": "ok"}) + "\n"
    journal.write_text(old, encoding="utf-8")
    plan = {"stage": "generate", "total": 3, "journal_from": len(old)}
    (tmp_path / "progress.json").write_text(json.dumps(plan), encoding="utf-8")
    assert (run.progress()["state"], run.progress()["done"]) == ("running", 0)
    with journal.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"system": "a", "clip": "c1", "seed": 0, "code": "no_face"}) + "\n")
        stream.write('{"system": "a", "cl')  # half a line
        stream.flush()
        found = run.progress()
        assert (found["done"], found["failed"], found["last"], found["total"]) == (1, 1, "a c1", 3)
        stream.write('ip": "c2", "seed": 0, "code": "ok"}\n')
    assert run.progress()["done"] == 2
    os.utime(journal, (0, 0))
    assert run.progress()["state"] == "quiet"


HOSTILE_PLANS = {
    "a": "{",
    "b": '{"stage": 1, "total": "x"}',
    "c": "[]",
    "d": '{"journal_from": -1}',
    "e": '{"journal_from": 1e30}',
    "f": f'{{"journal_from": {10**30}}}',
    "g": "[" * 100_000,
}


def test_hostile_files_in_the_folder_are_named_or_ignored(tmp_path: Path) -> None:
    for name, text in HOSTILE_PLANS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal.jsonl").write_text(f"nonsense\n[1]\n{'[' * 100_000}\n", encoding="utf-8")
        (tmp_path / name / "progress.json").write_text(text, encoding="utf-8")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "record.json").write_text("null", encoding="utf-8")
    (tmp_path / "link").symlink_to("/", target_is_directory=True)
    runs = RunFolder(tmp_path).runs()
    assert sorted(run.place for run in runs) == [*HOSTILE_PLANS, "y"]
    assert {run.progress()["done"] for run in runs} == {0}


@pytest.mark.parametrize("synthetic", [True, False])
def test_clips_that_a_program_made_are_called_so(tmp_path: Path, synthetic: bool) -> None:
    run = record_factory.make_run(n_clips=2, systems=("a",), failing=0, synthetic=synthetic)
    record_factory.write_run(run, tmp_path / "run")
    viewer = Viewer(tmp_path, None, tmp_path / "work")
    (found,) = viewer.folder.runs()
    assert (b"Synthetic data" in viewer.answer(f"/run/{found.id}/").body) == synthetic


def test_a_run_leaves_no_file_of_its_progress(folder: Path) -> None:
    assert not (folder / "run" / "progress.json").exists()


def test_curves_put_the_mouth_first(run_folder: Path) -> None:
    from emo_bench.record.run_data import load_run

    found = curves(load_run(run_folder), "clip-00", 0)
    assert found[0]["name"] == "mouth_opening"
    assert {len(values) for values in found[0]["systems"].values()} == {75}
