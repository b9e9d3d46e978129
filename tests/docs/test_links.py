"""Every relative link of the documentation leads to a file that is there, and every page is linked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").rglob("*.md")])
PAGES = [page for page in PAGES if "api" not in page.parts]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def targets(page: Path) -> list[Path]:
    """The files that a page links to, addresses on the network left out."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = [target.partition("#")[0] for target in LINK.findall(text) if "://" not in target]
    return [page.parent / target for target in found if target and not target.startswith("mailto:")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    missing = [str(target) for target in targets(page) if not target.exists()]
    assert not missing


def test_every_page_of_the_documentation_can_be_reached_from_the_index() -> None:
    start = ROOT / "docs" / "index.md"
    seen, waiting = {start.resolve()}, [start]
    while waiting:
        page = waiting.pop()
        found = [target for target in targets(page) if target.suffix == ".md"]
        if ":glob:" in page.read_text(encoding="utf-8"):
            found += list(page.parent.glob("*.md"))
        for target in found:
            if target.exists() and target.resolve() not in seen:
                seen.add(target.resolve())
                waiting.append(target)
    unreached = [str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if page.resolve() not in seen]
    assert not [page for page in unreached if not page.startswith("docs/api/")]


def test_the_list_of_decisions_names_each_once() -> None:
    folder = ROOT / "docs" / "adr"
    listed = [target.name for target in targets(folder / "README.md") if target.name.startswith("0")]
    assert listed == [page.name for page in sorted(folder.glob("0*.md"))]
