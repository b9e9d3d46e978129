"""Writes the files of a report; each format is made by its own module, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from emo_bench.core.atomic import write_bytes, write_text
from emo_bench.core.errors import ConfigError
from emo_bench.report.run_data import RunData, load_run

if TYPE_CHECKING:
    from emo_bench.report.figure_style import NamedFigure

FORMATS = ("csv", "json", "md", "html", "latex", "pdf", "figures")
DEFAULT_FORMATS = ("csv", "json", "md", "html")


def write_report(
    run: Path | RunData,
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    output: Path | None = None,
    published: Sequence[Path] = (),
    figures: bool = True,
) -> list[Path]:
    """Writes the report of a run.

    Args:
        run: The run folder, or what was read from it.
        formats: Some of ``FORMATS``.
        output: Folder of the files; ``report`` within the run folder when absent.
        published: Files of ``configs/published``, shown in grey.
        figures: Whether the page shows figures, which take some seconds to draw.

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
    drawn = _Figures(data)
    writers: dict[str, Callable[[], list[Path]]] = {
        "csv": lambda: _csv(data, folder),
        "json": lambda: _json(data, folder),
        "md": lambda: _markdown(data, folder, published),
        "html": lambda: _html(data, folder, published, drawn if figures else None),
        "latex": lambda: _latex(data, folder, published),
        "pdf": lambda: _pdf(data, folder, published, drawn),
        "figures": lambda: _figures(folder, drawn),
    }
    return [path for name in formats for path in writers[name]()]


class _Figures:
    """Draws the figures of a run when they are first asked for."""

    def __init__(self, run: RunData) -> None:
        self._run = run

    @cached_property
    def made(self) -> list[NamedFigure]:
        from emo_bench.report.figures import make_figures

        return make_figures(self._run)


def _text(path: Path, text: str) -> list[Path]:
    write_text(path, text)
    return [path]


def _csv(data: RunData, folder: Path) -> list[Path]:
    from emo_bench.report.text_tables import long_csv, wide_csv

    return _text(folder / "table.csv", wide_csv(data)) + _text(folder / "values.csv", long_csv(data))


def _json(data: RunData, folder: Path) -> list[Path]:
    from emo_bench.report.text_tables import tables_json

    return _text(folder / "table.json", tables_json(data))


def _markdown(data: RunData, folder: Path, published: Sequence[Path]) -> list[Path]:
    from emo_bench.record.published import load_published
    from emo_bench.report.text_tables import markdown_report

    tables = [load_published(path) for path in published]
    return _text(folder / "table.md", markdown_report(data, published=tables))


def _html(data: RunData, folder: Path, published: Sequence[Path], drawn: _Figures | None) -> list[Path]:
    from emo_bench.record.published import load_published
    from emo_bench.report.html import html_report

    pictures = []
    if drawn is not None:
        from emo_bench.report.figures import page_figures

        pictures = page_figures(drawn.made)
    tables = [load_published(path) for path in published]
    return _text(folder / "report.html", html_report(data, figures=pictures, published=tables))


def _latex(data: RunData, folder: Path, published: Sequence[Path]) -> list[Path]:
    from emo_bench.record.published import load_published
    from emo_bench.report.latex import latex_document

    tables = [load_published(path) for path in published]
    return _text(folder / "tables.tex", latex_document(data, published=tables))


def _pdf(data: RunData, folder: Path, published: Sequence[Path], drawn: _Figures) -> list[Path]:
    from emo_bench.record.published import load_published
    from emo_bench.report.pdf import pdf_report

    tables = [load_published(path) for path in published]
    write_bytes(folder / "report.pdf", pdf_report(data, figures=drawn.made, published=tables))
    return [folder / "report.pdf"]


def _figures(folder: Path, drawn: _Figures) -> list[Path]:
    from emo_bench.report.figures import write_figures

    return write_figures(drawn.made, folder / "figures")
