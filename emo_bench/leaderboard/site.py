"""Writes the static site of a leaderboard: the same records give the same bytes, whenever and wherever."""

from __future__ import annotations

import csv
import gc
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from emo_bench.leaderboard.boards import Board, make_boards
from emo_bench.leaderboard.collect import KINDS, Collection, collect, counts_by_kind
from emo_bench.leaderboard.pages import BADGE_TIPS, board_data, board_page, index_page, record_page
from emo_core.atomic import write_bytes
from emo_core.errors import ConfigError
from emo_core.text import csv_cell
from emo_core.version import __version__

MARK_FILE = "index.json"
OWN_FOLDERS = ("boards", "records")
POLICY = (
    "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Site:
    """What was built.

    Attributes:
        index: The first page.
        boards: All boards.
        collection: The records that count, and what was left out.
    """

    index: Path
    boards: tuple[Board, ...]
    collection: Collection


def build_site(folder: Path, target: Path, *, title: str = "Talking portraits") -> Site:
    """Builds the site of all records below a folder.

    Args:
        folder: Of records, each in the folder that its run wrote.
        target: The site's folder; made when missing. Pages of an earlier build go away.
        title: Headline of the first page.

    Raises:
        ConfigError: when there are no records, or the target holds something else.
    """
    _claim(target)
    with _no_garbage_collection():
        return _build(folder, target, title)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Records stay until the site is built; looking through them for garbage takes a third of the reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _build(folder: Path, target: Path, title: str) -> Site:
    collection = collect(folder)
    boards = make_boards(collection.entries)
    templates = _Templates()
    # First of all, so that the folder of a build that was interrupted is known as the site's own.
    _write(target / MARK_FILE, _json(_index(collection, boards)))
    for name in OWN_FOLDERS:
        shutil.rmtree(target / name, ignore_errors=True)
    for board in boards:
        _write(target / "boards" / f"{board.id}.html", templates.render("board", board_page(board)))
        data = board_data(board)
        _write(target / "boards" / f"{board.id}.json", _json(data, indent=None))
        _write(target / "boards" / f"{board.id}.csv", _csv(data))
        for entry in board.entries:
            _write(target / "records" / f"{entry.id}.html", templates.render("record", record_page(entry, board)))
    _write(target / "style.css", _text("report", "report.css") + _text("leaderboard", "board.css"))
    _write(target / "board.js", _text("report", "report.js") + _text("leaderboard", "board.js"))
    _write(target / "index.html", templates.render("index", index_page(collection, boards, title=title)))
    return Site(target / "index.html", boards, collection)


def _claim(target: Path) -> None:
    """A folder is only taken when it is empty, or holds an earlier build."""
    if target.is_dir() and any(target.iterdir()) and not _is_site(target):
        raise ConfigError(
            f"{target} is not empty and holds no leaderboard",
            expected="a fresh folder, or that of an earlier build",
            fix="choose another one with --output",
        )


def _is_site(target: Path) -> bool:
    try:
        return bool(json.loads((target / MARK_FILE).read_text(encoding="utf-8"))["leaderboard"] == 1)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _index(collection: Collection, boards: tuple[Board, ...]) -> dict[str, Any]:
    return {
        "leaderboard": 1,
        "boards": [
            {
                "id": board.id,
                "terms": board.terms,
                "dataset": board.first.dataset_name,
                "systems": len(board.lines),
                "records": [entry.place for entry in board.entries],
            }
            for board in boards
        ],
        "reproduced": [entry.place for entry in collection.entries if entry.reproduced],
        "left_out": [asdict(exclusion) for exclusion in collection.exclusions],
        "left_out_by_kind": {KINDS[kind]: count for kind, count in counts_by_kind(collection.exclusions)},
    }


class _Templates:
    """The pages' templates, compiled once; everything that is shown is escaped."""

    def __init__(self) -> None:
        from jinja2 import Environment, PackageLoader, StrictUndefined

        self._environment = Environment(
            loader=PackageLoader("emo_bench.leaderboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(csp=POLICY, version=__version__, badge_tips=BADGE_TIPS)

    def render(self, name: str, values: dict[str, Any]) -> str:
        return self._environment.get_template(f"{name}.html.j2").render(**values)


def _text(package: str, name: str) -> str:
    return (files(f"emo_bench.{package}") / "templates" / name).read_text(encoding="utf-8")


def _json(value: Any, *, indent: int | None = 1) -> str:
    """Indented for people; boards are not, since indenting 900 systems takes a second."""
    return json.dumps(value, indent=indent, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def _csv(data: dict[str, Any]) -> str:
    """One line per system and value."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = ("value", "low", "high", "level", "gap", "rank", "shared", "status", "clips", "planned", "not_ranked")
    writer.writerow(["system", "kind", "anchor", "record", "reproduced", "protocol", "key", *columns])
    for system in data["systems"]:
        head = [system["name"], system["kind"], system["anchor"], system["record"]["folder"], system["reproduced"]]
        for column, value in system["values"].items():
            protocol, _, key = column.rpartition("#")
            cells = [value[name] if value is not None else None for name in columns]
            writer.writerow([csv_cell(cell) for cell in (*head, protocol, key, *cells)])
    return stream.getvalue()


def _write(path: Path, text: str) -> None:
    # A site can be built again, so it need not survive a power failure; a page is still whole or absent.
    write_bytes(path, text.encode("utf-8", "replace"), durable=False)
