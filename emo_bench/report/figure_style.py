"""Colours, marks and deterministic bytes of all figures."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any, Literal

from emo_bench.record.columns import ordered_systems
from emo_bench.record.schema import RunRecord, SystemEntry
from emo_core.text import shortened

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, told apart by all common kinds of colour vision."""

MARKERS = ("o", "s", "D", "^", "v", "P")
ANCHOR_MARKERS = ("o", "s", "x", "^", "v", "+")
ANCHOR_COLOURS = ("#8a8d95", "#6b6e77", "#a3a6ad", "#7a7d86", "#b4b7bd", "#5d6069")
TRUTH_COLOUR = "#17181c"
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1.5, 1.5, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
FigureKind = Literal["svg", "pdf", "png"]
LONGEST_NAME = 28
LEGEND_ROWS = 3
"""A figure has room for so many rows of its legend."""
TEXT_WIDTH = 7.0
"""Width of a full figure in inches."""


@dataclass(frozen=True)
class SystemStyle:
    """How a system is drawn everywhere."""

    name: str
    label: str
    colour: str
    marker: str
    dash: Any
    anchor: bool
    truth: bool


@dataclass(frozen=True)
class NamedFigure:
    """A figure of a report.

    Attributes:
        name: File name without extension.
        caption: What it shows.
        figure: The matplotlib figure.
        full: Whether it needs the whole width of a page.
        photo: Whether it shows video frames.
    """

    name: str
    caption: str
    figure: Any
    full: bool = True
    photo: bool = False

    @property
    def file_kind(self) -> Literal["svg", "png"]:
        """``png`` for video frames, ``svg`` for drawings."""
        return "png" if self.photo else "svg"


def system_styles(record: RunRecord) -> tuple[SystemStyle, ...]:
    """The systems in table order with their colours and marks."""
    anchors = tested = 0
    styles = []
    for system in ordered_systems(record):
        truth = system.kind == "ground_truth"
        if system.anchor:
            colour = TRUTH_COLOUR if truth else ANCHOR_COLOURS[anchors % len(ANCHOR_COLOURS)]
            marker, dash = ANCHOR_MARKERS[anchors % len(ANCHOR_MARKERS)], DASHES[anchors % len(DASHES)]
            anchors += 1
        else:
            colour = PALETTE[tested % len(PALETTE)]
            # Moved on with every round of colours, so that no two systems share both.
            marker = MARKERS[(tested + tested // len(PALETTE)) % len(MARKERS)]
            dash = DASHES[tested // len(PALETTE) % len(DASHES)]
            tested += 1
        styles.append(SystemStyle(system.name, short_name(system), colour, marker, dash, system.anchor, truth))
    return tuple(styles)


def short_name(system: SystemEntry) -> str:
    """A name that fits beside an axis, without characters that turn the writing direction."""
    return short_label(system.name, LONGEST_NAME)


def short_label(text: str, longest: int = 40) -> str:
    """Text for a label or caption, without characters that turn the writing direction.

    >>> short_label("a\u202eb"), short_label("abcdef", 4)
    ('ab', 'ab…f')
    """
    clean = "".join(letter for letter in text if letter.isprintable())
    return shortened(clean, longest)


@contextmanager
def style() -> Iterator[None]:
    """All figures are made and saved within this."""
    import matplotlib as mpl

    with (
        as_file(files("emo_bench.report") / "emo_bench.mplstyle") as path,
        mpl.rc_context(fname=str(path)),
        warnings.catch_warnings(),
    ):
        # Letters that the font lacks are shown as boxes; that is no reason to talk.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """A figure with axes as a list, without touching pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def figure_bytes(figure: Any, kind: FigureKind, *, dpi: int = 200) -> bytes:
    """A figure as a file; the same figure gives the same bytes."""
    metadata = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None},
        "png": {"Software": None},
    }
    stream = io.BytesIO()
    with style():
        figure.savefig(stream, format=kind, metadata=metadata[kind], dpi=dpi)
    return stream.getvalue()


def legend_below(figure: Any, styles: Sequence[SystemStyle], *, lines: bool = False) -> None:
    """One legend for all panels, under them."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=style.colour, marker="" if lines else style.marker, linestyle=style.dash if lines else "none",
            linewidth=1.6, markersize=4,
        )
        for style in styles
    ]  # fmt: skip
    if handles:
        labels = [style.label for style in styles]
        columns = legend_columns(figure, labels, most=max(2, int(figure.get_figwidth() / 1.4)))
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def legend_columns(figure: Any, labels: Sequence[str], *, most: int) -> int:
    """Columns of a legend that the figure is wide enough for, so that none is cut off; makes room for many rows."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    size = FontProperties(size=rcParams["legend.fontsize"]).get_size_in_points()
    widest = max(TextPath((0, 0), label or " ", size=size).get_extents().width for label in labels)
    # The handles of the legend with lines are the longest, 2.6 letters.
    beside = (2.6 + rcParams["legend.handletextpad"] + rcParams["legend.columnspacing"]) * size
    columns = min(len(labels), most, max(1, int(72 * figure.get_figwidth() / (widest + beside))))
    # A long legend makes the figure taller, not its axes lower.
    more = max(0, math.ceil(len(labels) / columns) - LEGEND_ROWS)
    figure.set_figheight(figure.get_figheight() + more * (1 + rcParams["legend.labelspacing"]) * size / 72)
    return columns
