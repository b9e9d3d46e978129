"""The sections of a report: each is one module here that registers a function from the run to what is shown.

Every format shows title and results first; everything after that is a section.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from emo_bench.report.content import Material, Section

Format = Literal["html", "latex", "md", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
Builder = Callable[[Material], Sequence[Section]]


@dataclass(frozen=True)
class SectionKind:
    """A registered section.

    Attributes:
        name: Its name.
        place: Sections stand in the order of their places.
        build: Makes it; gives nothing when the run has no data for it.
        formats: Where it is shown.
        data: Whether its first table is a file ``NAME.csv`` and a key of ``table.json`` as well.
    """

    name: str
    place: int
    build: Builder
    formats: tuple[Format, ...]
    data: bool


_kinds: dict[str, SectionKind] = {}


def section(
    name: str, *, place: int, formats: tuple[Format, ...] = FORMATS, data: bool = False
) -> Callable[[Builder], Builder]:
    """Registers the function below it as a section of every report.

    Args:
        name: Short name, unique.
        place: Sections stand in the order of their places.
        formats: Where it is shown, everywhere by default.
        data: Whether its table is written as ``NAME.csv``, and into ``table.json``; its heads need a ``key``.

    Raises:
        ValueError: when there is a section of that name.
    """

    def register(build: Builder) -> Builder:
        if name in _kinds:
            raise ValueError(f"expected each section once, found another {name!r}")
        _kinds[name] = SectionKind(name, place, build, formats, data)
        return build

    return register


@cache
def _load() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def section_kinds() -> tuple[SectionKind, ...]:
    """All registered sections in their order."""
    _load()
    return tuple(sorted(_kinds.values(), key=lambda kind: (kind.place, kind.name)))


def make_sections(material: Material, shown_in: Format) -> tuple[Section, ...]:
    """The sections of a format that the run has data for."""
    return tuple(made for kind in section_kinds() if shown_in in kind.formats for made in kind.build(material))
