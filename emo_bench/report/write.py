"""Writes the files of a report; each format is made by its own module, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from emo_bench.core.atomic import write_text
from emo_bench.core.errors import ConfigError
from emo_bench.report.run_data import RunData, load_run

FORMATS = ("csv", "json", "md", "html", "latex", "pdf", "figures")
DEFAULT_FORMATS = ("csv", "json", "md", "html")


def write_report(
    run: Path | RunData,
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    output: Path | None = None,
    published: Sequence[Path] = (),
) -> list[Path]:
    """Writes the report of a run.

    Args:
        run: The run folder, or what was read from it.
        formats: Some of ``FORMATS``.
        output: Folder of the files; ``report`` within the run folder when absent.
        published: Files of ``configs/published``, shown in grey.

    Returns:
        The files, in the order of ``formats``.

    Raises:
        ConfigError: for an unknown format, or when there is no place to write to.
        RecordError: when the record cannot be read.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ConfigError(f"unknown report format {unknown[0]!r}", expected=f"some of {', '.join(FORMATS)}")
    data = run if isinstance(run, RunData) else load_run(run)
    folder = output or (data.folder / "report" if data.folder else None)
    if folder is None:
        raise ConfigError("a record without a folder needs a place for its report", fix="give `output`")
    writers: dict[str, Callable[[], list[Path]]] = {
        "csv": lambda: _csv(data, folder),
        "json": lambda: _json(data, folder),
        "md": lambda: _markdown(data, folder),
        "html": lambda: _html(data, folder, published),
        "latex": lambda: _latex(data, folder),
    }
    return [path for name in formats for path in writers[name]()]


def _text(path: Path, text: str) -> list[Path]:
    write_text(path, text)
    return [path]


def _csv(data: RunData, folder: Path) -> list[Path]:
    from emo_bench.report.text_tables import long_csv, wide_csv

    return _text(folder / "table.csv", wide_csv(data)) + _text(folder / "values.csv", long_csv(data))


def _json(data: RunData, folder: Path) -> list[Path]:
    from emo_bench.report.text_tables import tables_json

    return _text(folder / "table.json", tables_json(data))


def _markdown(data: RunData, folder: Path) -> list[Path]:
    from emo_bench.report.text_tables import markdown_report

    return _text(folder / "table.md", markdown_report(data))


def _html(data: RunData, folder: Path, published: Sequence[Path]) -> list[Path]:
    from emo_bench.report.html import html_report
    from emo_bench.report.published import read_published

    return _text(folder / "report.html", html_report(data, published=[read_published(path) for path in published]))


def _latex(data: RunData, folder: Path) -> list[Path]:
    from emo_bench.report.latex import latex_document

    return _text(folder / "tables.tex", latex_document(data))
