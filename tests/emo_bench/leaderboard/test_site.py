"""The site: the same bytes for the same records, no markup from data, small first page, clear refusals."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import record_factory

from emo_bench.leaderboard import build_site
from emo_core.errors import ConfigError, ExitCode


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_records_give_the_same_bytes(records: Path, tmp_path: Path) -> None:
    first = build_site(records, tmp_path / "first")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("deep", "c", "b", "a"):  # in another order, with other times
        shutil.copytree(records / name, copy / name)
        os.utime(copy / name, (0, 0))
    build_site(copy, tmp_path / "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    build_site(records, tmp_path / "first")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert len(first.boards) == 2


def test_every_link_leads_somewhere(records: Path, tmp_path: Path) -> None:
    from html.parser import HTMLParser

    found: list[tuple[Path, str]] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend((page, value) for key, value in attrs if key in ("href", "src") and value)

    build_site(records, tmp_path)
    for page in tmp_path.rglob("*.html"):
        Links().feed(page.read_text(encoding="utf-8"))
    assert len(found) > 40
    for page, target in found:
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.is_file(), (page, target)
        if anchor:
            assert f'id="{anchor}"' in place.read_text(encoding="utf-8"), (page, target)


def test_a_first_build_that_was_interrupted_is_made_again(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("emo_bench.leaderboard.site.record_page", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_site(records, tmp_path / "site")
    assert any((tmp_path / "site" / "boards").iterdir())
    assert build_site(records, tmp_path / "site").index.is_file()


def test_pages_of_an_earlier_build_go_away(records: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(records, tmp_path / "records"))
    build_site(copy, tmp_path / "site")
    before = set(contents(tmp_path / "site"))
    shutil.rmtree(copy / "a")
    build_site(copy, tmp_path / "site")
    assert len(before - set(contents(tmp_path / "site"))) == 1  # of that record


def test_a_folder_with_other_things_is_not_taken(records: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no leaderboard"):
        build_site(records, tmp_path)
    assert contents(tmp_path) == {"thesis.txt": b"kept"}


def test_names_are_text_everywhere(tmp_path: Path) -> None:
    names = (*record_factory.HOSTILE, record_factory.RTL, record_factory.LONG)
    run = record_factory.make_run(name="</script><script>", systems=names, failing=0)
    record_factory.write_run(run, tmp_path / "in" / "r", previews=False)
    build_site(tmp_path / "in", tmp_path / "out", title="<b>title</b>")
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "out").rglob("*.html")]
    assert len(pages) == 3
    for page in pages:
        assert page.count("<script") == 1
        assert "<b>title" not in page
    with next((tmp_path / "out" / "boards").glob("*.csv")).open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert not any(cell.startswith(("=", "#panic(", "@")) and cell.startswith("=") for cell in cells)


def test_what_was_left_out_is_counted_on_the_page_and_as_data(records: Path, tmp_path: Path, tiny: Any) -> None:
    copy = Path(shutil.copytree(records, tmp_path / "records"))
    (copy / "a" / "record.json").write_text("{}", encoding="utf-8")
    done = tiny.cli("leaderboard", copy, "-o", tmp_path / "site", cwd=tmp_path)
    assert done.code == ExitCode.OK, done.err
    assert "3 records, 0 reproduced, 1 left out" in done.out
    assert "left out a:" in done.err
    assert "a" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    data = json.loads((tmp_path / "site" / "index.json").read_text(encoding="utf-8"))
    assert [(item["place"], item["why"]) for item in data["left_out"]] == [("a", "unreadable")]
    assert tiny.cli("leaderboard", copy, "-o", tmp_path / "site", "--strict", cwd=tmp_path).code == ExitCode.INCOMPLETE


def test_only_broken_records_still_give_a_page(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "record.json").write_text("null", encoding="utf-8")
    site = build_site(tmp_path / "in", tmp_path / "out")
    assert "No record counts" in site.index.read_text(encoding="utf-8")


def test_data_holds_what_the_page_shows(records: Path, tmp_path: Path) -> None:
    site = build_site(records, tmp_path)
    board = site.boards[0]
    data = json.loads((tmp_path / "boards" / f"{board.id}.json").read_text(encoding="utf-8"))
    assert [system["name"] for system in data["systems"] if not system["anchor"]] == [
        line.system.name for line in board.lines
    ]
    value = next(s for s in data["systems"] if s["name"] == "good-a")["values"]["psnr/rgb@1#psnr"]
    assert value["rank"] == 1
    assert value["low"] < value["value"] < value["high"]


def test_the_first_page_stays_small_with_many_records(tmp_path: Path) -> None:
    from emo_bench.leaderboard.boards import make_boards
    from emo_bench.leaderboard.collect import KINDS, Collection, Entry, Exclusion
    from emo_bench.leaderboard.pages import index_page
    from emo_bench.leaderboard.site import _Templates

    record = record_factory.make_run(n_clips=3, systems=("s" * 300,), failing=0).record
    entries = tuple(
        Entry(
            f"run-{i}" * 20,
            f"{i:064d}",
            record.model_copy(update={"digests": record.digests.model_copy(update={"dataset": f"{i:064d}"})}),
        )
        for i in range(300)
    )
    exclusions = tuple(Exclusion("folder/" * 20, list(KINDS)[i % 7], "x" * 5000) for i in range(3000))
    page = _Templates().render("index", index_page(Collection(entries, exclusions), make_boards(entries), title="t"))
    assert len(page.encode()) < 2_000_000


def test_what_a_board_says_of_its_numbers_is_true_without_systems_and_explains_its_signs(tmp_path: Path) -> None:
    for name, systems in (("none", ()), ("some", ("one", "two"))):
        run = record_factory.make_run(name=name, systems=systems, n_clips=6, failing=0)
        record_factory.write_run(run, tmp_path / "in" / name, previews=False)
        site = build_site(tmp_path / "in", tmp_path / name)
        page = max(site.index.parent.glob("boards/*.html")).read_text()
        assert "No value has a confidence interval" not in page
        assert "95 % confidence intervals" in page
        assert "†" in page
        assert "† Small sample (N = 6)" in page
