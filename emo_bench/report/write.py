"""Writes the files of a report; each format is made by its own module, imported only when requested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from emo_bench.record.run_data import RunData, load_run
from emo_core.atomic import write_bytes, write_text
from emo_core.errors import ConfigError

if TYPE_CHECKING:
    from emo_bench.compare.join_runs import Block
    from emo_bench.record.published import PublishedTable
    from emo_bench.report.content import Material
    from emo_bench.report.figure_style import NamedFigure

FORMATS = ("csv", "json", "md", "html", "latex", "pdf", "figures")
DEFAULT_FORMATS = ("csv", "json", "md", "html")


def write_report(
    run: Path | RunData,
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    output: Path | None = None,
    published: Sequence[str | Path] | None = None,
    figures: bool = True,
    by: Sequence[str] = (),
) -> list[Path]:
    """Writes the report of a run.

    Args:
        run: The run folder, or what was read from it.
        formats: Some of ``FORMATS``.
        output: Folder of the files; ``report`` within the run folder when absent.
        published: Files or names of ``configs/published``, shown in grey; those on the run's data set when absent.
        figures: Whether the page shows figures, which take some seconds to draw.
        by: Keys of clips (``meta.KEY``, ``split``) to show the run by, a section each.

    Returns:
        The files, in the order of ``formats``.

    Raises:
        ConfigError: for an unknown format or table, or when there is no place to write to.
        RecordError: when the record cannot be read.
    """
    _check(formats)
    data = run if isinstance(run, RunData) else load_run(run)
    folder = output or (data.folder / "report" if data.folder else None)
    if folder is None:
        raise ConfigError("a record without a folder needs a place for its report", fix="give `output`")
    return _write(_Report(data, folder, published, by=by), formats, figures=figures)


def write_joint_report(
    runs: Sequence[Path | RunData],
    *,
    output: Path,
    formats: Sequence[str] = DEFAULT_FORMATS,
    published: Sequence[str | Path] | None = None,
    figures: bool = True,
    by: Sequence[str] = (),
) -> list[Path]:
    """Writes one report of several runs: one table of all systems that share clips and protocols with the first run.

    Runs that cannot be compared with it stand in tables of their own, each with the reason. Players, figures and
    values per clip are those of the first table.

    Args:
        runs: Run folders, or what was read from them; at least one.
        output: Folder of the files.
        formats: Some of ``FORMATS``.
        published: As for ``write_report``.
        figures: As for ``write_report``.
        by: As for ``write_report``, of the first table.

    Raises:
        ConfigError: for an unknown format or table, or without a run.
        RecordError: when a record cannot be read.
    """
    from emo_bench.compare.join_runs import join_runs

    _check(formats)
    if not runs:
        raise ConfigError("there is no run to report on", expected="at least one run folder")
    blocks = join_runs([run if isinstance(run, RunData) else load_run(run) for run in runs])
    return _write(_Report(blocks[0].run, output, published, blocks[1:], by=by), formats, figures=figures)


def _check(formats: Sequence[str]) -> None:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ConfigError(f"unknown report format {unknown[0]!r}", expected=f"some of {', '.join(FORMATS)}")


def _write(report: _Report, formats: Sequence[str], *, figures: bool) -> list[Path]:
    writers: dict[str, Callable[[], list[Path]]] = {
        "csv": report.csv,
        "json": report.json,
        "md": report.markdown,
        "html": lambda: report.html(figures=figures),
        "latex": report.latex,
        "pdf": report.pdf,
        "figures": report.figures,
    }
    return [path for name in dict.fromkeys(formats) for path in writers[name]()]


class _Report:
    """One report: figures and published tables are made when they are first asked for, and only once."""

    def __init__(
        self,
        run: RunData,
        folder: Path,
        published: Sequence[str | Path] | None,
        others: Sequence[Block] = (),
        *,
        by: Sequence[str] = (),
    ) -> None:
        self._run = run
        self._folder = folder
        self._wanted = published
        self._others = others
        self._by = by

    @cached_property
    def drawn(self) -> list[NamedFigure]:
        from emo_bench.report.figures import make_figures

        return make_figures(self._run)

    @cached_property
    def published(self) -> list[PublishedTable]:
        from emo_bench.report.published_choice import chosen_tables

        return chosen_tables(self._run.record, self._wanted)

    @cached_property
    def _material(self) -> Material:
        from emo_bench.report.content import Material

        return Material(self._run, self._others, self.published, by=self._by)

    @property
    def _with_figures(self) -> Material:
        return replace(self._material, figures=self.drawn)

    def _section_figures(self, shown_in: Literal["md", "latex"]) -> None:
        """Markdown and LaTeX name the figures of sections as files beside them."""
        from emo_bench.report.figures import write_figures
        from emo_bench.report.sections import make_sections

        drawn = [figure for section in make_sections(self._material, shown_in) for figure in section.figures]
        write_figures(drawn, self._folder / "figures")

    def csv(self) -> list[Path]:
        from emo_bench.report.sections import section_kinds
        from emo_bench.report.text_tables import long_csv, section_csv, wide_csv

        paths = []
        for number, run in enumerate((self._run, *(block.run for block in self._others)), start=1):
            suffix = f"-{number}" if number > 1 else ""
            paths += self._text(f"table{suffix}.csv", wide_csv(run))
            paths += self._text(f"values{suffix}.csv", long_csv(run))
        for kind in section_kinds():
            name = f"{kind.name}.csv"
            tables = [table for one in kind.build(self._material) for table in one.tables] if kind.data else []
            if tables:
                paths += self._text(name, section_csv(tables[0]))
            elif kind.data:
                # Files of an earlier report of this run are outdated.
                (self._folder / name).unlink(missing_ok=True)
        return paths

    def json(self) -> list[Path]:
        from emo_bench.report.text_tables import tables_json

        return self._text("table.json", tables_json(self._run, others=self._others))

    def markdown(self) -> list[Path]:
        from emo_bench.report.text_tables import markdown_report

        self._section_figures("md")
        return self._text("table.md", markdown_report(self._material))

    def html(self, *, figures: bool) -> list[Path]:
        from emo_bench.report.html import html_report

        return self._text("report.html", html_report(self._with_figures if figures else self._material))

    def latex(self) -> list[Path]:
        from emo_bench.report.latex import latex_document

        self._section_figures("latex")
        return self._text("tables.tex", latex_document(self._material))

    def pdf(self) -> list[Path]:
        from emo_bench.report.pdf import pdf_report

        write_bytes(self._folder / "report.pdf", pdf_report(self._with_figures))
        return [self._folder / "report.pdf"]

    def figures(self) -> list[Path]:
        from emo_bench.report.figures import write_figures

        return write_figures(self.drawn, self._folder / "figures")

    def _text(self, name: str, text: str) -> list[Path]:
        write_text(self._folder / name, text)
        return [self._folder / name]
