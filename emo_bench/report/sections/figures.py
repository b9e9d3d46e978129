"""The figures of the run."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.report.content import Material, Section
from emo_bench.report.figure_style import NamedFigure
from emo_bench.report.sections import section


@section("figures", place=90, formats=("pdf",))
def figures(material: Material) -> Sequence[Section]:
    """All of them."""
    return _section(material.figures)


@section("page-figures", place=90, formats=("html",))
def page_figures(material: Material) -> Sequence[Section]:
    """All but the anchor checks, which the page has as a table."""
    return _section([figure for figure in material.figures if figure.name != "anchor-checks"])


def _section(shown: Sequence[NamedFigure]) -> Sequence[Section]:
    return (Section("figures", "Figures", tuple(shown), main=True, nav="Figures"),) if shown else ()
