"""Findings as a paragraph of each protocol's page; ``python -m emo_bench.humans.pages docs/protocols`` writes them."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from emo_bench.humans.result import Finding, ValidityResult, shipped_findings
from emo_bench.humans.validity_report import READINGS, number
from emo_core.atomic import write_text

BEGIN, END = "<!-- agreement with people -->", "<!-- end -->"
_BLOCK = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END) + "\n?", re.DOTALL)


def page_paragraphs(results: Iterable[ValidityResult]) -> dict[str, str]:
    """Page -> what stands in it, for every protocol of this project that has findings."""
    from emo_metrics.registered import METRICS

    lines: dict[str, list[str]] = defaultdict(list)
    for result in results:
        by_value: dict[tuple[str, str], list[Finding]] = defaultdict(list)
        for item in result.findings:
            if item.protocol in METRICS:
                by_value[item.protocol, item.key].append(item)
        for (protocol, _), items in by_value.items():
            lines[_page_of(protocol)].append(_line(result, items))
    return {page: _paragraph(found) for page, found in lines.items()}


def _page_of(protocol: str) -> str:
    import importlib

    from emo_metrics.registered import METRICS

    module, _, name = METRICS[protocol].partition(":")
    page: str = getattr(importlib.import_module(module), name).spec.page
    return page


def _line(result: ValidityResult, items: list[Finding]) -> str:
    parts = []
    for entry in result.questions:
        own = [item for item in items if item.question == entry.question]
        said = next((item for item in own if item.declared), own[0])
        if said.headline.value is None:
            continue
        text = f"{entry.question} {number(said.headline)}"
        if entry.ceiling.value is not None:
            text += f" of {entry.ceiling.value:.2f}"
        others = [item for item in own if item is not said and item.headline.value is not None]
        text += "".join(f" ({READINGS[item.reading]}: {number(item.headline, interval=False)})" for item in others)
        parts.append(text)
    shown = "; ".join(parts) or "no value"
    return f"- `{items[0].protocol}` `{items[0].key}`, {result.name}: {shown}"


def _paragraph(lines: list[str]) -> str:
    words = (
        "**Agrees with people** ([how this was measured](../validity.md)): share of pairs in which it prefers what "
        "most raters prefer, with its interval, of what raters reach among themselves; 0.50 is chance.\n\n"
    )
    return f"{BEGIN}\n{words}" + "\n".join(lines) + f"\n{END}\n"


def update_pages(folder: Path, results: Iterable[ValidityResult]) -> list[Path]:
    """Puts the paragraphs into the pages of a folder; gives those that changed."""
    changed = []
    wanted = page_paragraphs(results)
    for path in sorted(folder.glob("*.md")):
        old = path.read_text(encoding="utf-8")
        new = _BLOCK.sub("", old).rstrip() + "\n"
        if path.stem in wanted:
            new = f"{new}\n{wanted[path.stem]}"
        if new != old:
            write_text(path, new)
            changed.append(path)
    return changed


if __name__ == "__main__":
    for page in update_pages(Path(sys.argv[1]), shipped_findings()):
        sys.stdout.write(f"{page}\n")
