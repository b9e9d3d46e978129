"""What a report says, as plain values that every format renders: sections of tables, figures, texts and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from emo_bench.record.coverage import WHOLE
from emo_bench.report.figure_style import NamedFigure
from emo_bench.report.page_parts import Players, Rankings

if TYPE_CHECKING:
    from emo_bench.compare.join_runs import Block
    from emo_bench.record.published import PublishedTable
    from emo_bench.record.run_data import RunData

Mark = Literal["", "best", "second", "tie"]
Words = Literal["", "name", "prose"]
Layout = Literal["results", "list", "matrix"]


@dataclass(frozen=True)
class Cell:
    """One number in a table.

    Attributes:
        text: The number with the column's digits, or the status word.
        value: The number, or None.
        low: Lower end of the interval, or None.
        high: Upper end of the interval, or None.
        interval_text: ``[low, high]`` with the column's digits, or empty.
        level: Confidence level, or None.
        method: How the interval was made.
        status: ``ok`` or why there is no number.
        reason: In a sentence.
        mark: Whether it is best or second best beyond doubt, or tied with the best.
        n_scored: Clips behind it.
        n_planned: Clips asked for.
        n_identities: People behind it.
        watermark: Set when N is too small to quote the number without saying so.
        gap: Distance to the ground truth's value, or None.
        frame_coverage: Mean share of frames behind it, or None when unknown.
        sort: What the column is sorted by; the number when None.
        tip: More about it, for a page.
        badge: A page sets the text in a coloured box of this kind: ``win``, ``bad``, ``pass``, ``fail``, ``tie``, ...
        sign: What a page shows beside the text of a badge.
    """

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval_text: str = ""
    level: float | None = None
    method: str = ""
    status: str = "ok"
    reason: str = ""
    mark: Mark = ""
    n_scored: int = 0
    n_planned: int = 0
    n_identities: int = 0
    watermark: str = ""
    gap: float | None = None
    frame_coverage: float | None = None
    sort: float | None = None
    tip: str = ""
    badge: str = ""
    sign: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether a status word stands in place of a number."""
        return self.value is None and self.status != "ok"

    @property
    def sort_key(self) -> float | str:
        """What its column is sorted by; empty for what comes last."""
        return next((key for key in (self.sort, self.value) if key is not None), "")

    @property
    def coverage_text(self) -> str:
        """What the number rests on where that is not everything: ``2/3 clips, 85 % of frames``; else empty."""
        clips = f"{self.n_scored}/{self.n_planned} clips" if self.n_scored < self.n_planned else ""
        lost = self.frame_coverage is not None and self.frame_coverage < WHOLE
        frames = f"{100 * (self.frame_coverage or 0):.0f} % of frames" if lost else ""
        return ", ".join(part for part in (clips, frames) if part) if self.value is not None else ""


@dataclass(frozen=True)
class Head:
    """The head of a column.

    Attributes:
        label: Its words.
        arrow: Which way it improves, as a sign; or empty.
        unit: Of its numbers; or empty.
        key: Name of the column in CSV and JSON; or empty.
        direction: Which way it improves, in words; or empty.
        protocol: Protocol of its numbers; or empty.
        tip: More about it, for a page.
        descending: Whether a page sorts it from the largest down at first.
        words: Whether its cells are words, set from the left: a ``name``, or ``prose`` that takes several lines.
    """

    label: str
    arrow: str = ""
    unit: str = ""
    key: str = ""
    direction: str = ""
    protocol: str = ""
    tip: str = ""
    descending: bool = False
    words: Words = ""

    @property
    def text(self) -> str:
        """Label and arrow."""
        return f"{self.label} {self.arrow}".strip()


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        label: What it is about, usually the name of a system.
        cells: One for each column after the first.
        anchor: Whether it is set apart, as anchors are.
        truth: Whether it is the ground truth, whose values bars show as a tick.
        tip: More about it, for a page.
        group: What a page can pick it by, where the table names ``groups``.
        clip: The clip that it is about, which a page opens in its players.
        minor: Whether print leaves it out.
    """

    label: str
    cells: tuple[Cell, ...]
    anchor: bool = False
    truth: bool = False
    tip: str = ""
    group: str = ""
    clip: str = ""
    minor: bool = False

    @property
    def search_text(self) -> str:
        """What a page searches: its label and words."""
        return " ".join((self.label, *(cell.text for cell in self.cells if cell.value is None and not cell.is_missing)))


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Short name for labels and files, unique in a report.
        title: Headline; empty when the section's title says it all.
        heads: Columns after the first.
        rows: Lines.
        first: Head of the first column.
        notes: What stands below it.
        about: What it shows, in a sentence, for captions that stand alone; the title when empty.
        protocols: Protocols of its values.
        quiet: Whether it is printed in grey, as numbers that are not of this run.
        layout: ``results`` has a row for each system and bars for intervals, ``list`` compact lines of words and
            numbers, ``matrix`` badges.
        groups: Label of a page's choice between the groups of rows, such as ``All systems``; no choice when empty.
        search: Label of a page's field to search rows; no field when empty.
        printed: How many rows print has room for; all when None.
        cut: What print says of the rows that it leaves out, with ``{n}`` for their number.
    """

    name: str
    title: str
    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    first: str = "System"
    notes: tuple[str, ...] = ()
    about: str = ""
    protocols: tuple[str, ...] = ()
    quiet: bool = False
    layout: Layout = "results"
    groups: str = ""
    search: str = ""
    printed: int | None = None
    cut: str = "{n} more rows are left out."

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups of its rows."""
        return tuple(dict.fromkeys(row.group for row in self.rows))

    @property
    def for_print(self) -> Table:
        """The table as far as print has room for it."""
        rows = tuple(row for row in self.rows if not row.minor)
        kept = rows[: self.printed]
        notes = (*self.notes, self.cut.format(n=len(rows) - len(kept))) if len(kept) < len(rows) else self.notes
        if self.rows and not rows:
            notes = (*notes, "No row has a result.")
        return replace(self, rows=kept, notes=notes)


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Notes:
    """A list of sentences.

    Attributes:
        items: The sentences.
        bad: Whether they tell of failures.
    """

    items: tuple[str, ...]
    bad: bool = False


@dataclass(frozen=True)
class Fact:
    """A line of a list of facts.

    Attributes:
        label: What it is.
        text: In words.
        code: A digest or name in a fixed-width font, behind the words; print shortens it.
    """

    label: str
    text: str
    code: str = ""


@dataclass(frozen=True)
class Facts:
    """A list of facts.

    Attributes:
        items: The facts.
    """

    items: tuple[Fact, ...]


@dataclass(frozen=True)
class Entry:
    """Something with a name, and facts that a page unfolds.

    Attributes:
        name: Its name.
        title: What it is.
        tag: A word beside it.
        off: Whether it is greyed out.
        facts: What there is to know.
    """

    name: str
    title: str
    tag: str
    off: bool
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Entries:
    """A list of things with facts."""

    items: tuple[Entry, ...]


@dataclass(frozen=True)
class Listing:
    """A file or settings, letter by letter; a page unfolds it."""

    title: str
    text: str


Part = Table | NamedFigure | Text | Notes | Facts | Entries | Listing | Rankings | Players


@dataclass(frozen=True)
class Section:
    """A part of a report with a headline.

    Attributes:
        name: Short name, unique in a report: anchor on the page, name of files.
        title: Headline.
        parts: Tables, figures, texts and so on, in order.
        main: Whether its headline is of the first order; otherwise it belongs to the section before it.
        nav: Its entry in a page's navigation; none when empty.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    main: bool = False
    nav: str = ""

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables."""
        return tuple(part for part in self.parts if isinstance(part, Table))

    @property
    def figures(self) -> tuple[NamedFigure, ...]:
        """Its figures."""
        return tuple(part for part in self.parts if isinstance(part, NamedFigure))

    @property
    def texts(self) -> tuple[str, ...]:
        """Its paragraphs."""
        return tuple(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        run: The run.
        others: Runs that cannot stand in the same table, with the reason.
        published: Tables of papers.
        figures: Figures of the run, for the formats that show them.
        by: Keys of clips (``meta.KEY``) that the run is shown by.
    """

    run: RunData
    others: Sequence[Block] = ()
    published: Sequence[PublishedTable] = ()
    figures: Sequence[NamedFigure] = ()
    by: Sequence[str] = ()
