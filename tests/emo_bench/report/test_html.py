from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import record_factory

from emo_bench.record.published import load_published
from emo_bench.report import load_run, write_report
from emo_bench.report.content import Material
from emo_bench.report.figure_style import NamedFigure, new_figure
from emo_bench.report.html import html_report

VOID = {"meta", "br", "img", "input", "rect", "circle", "path", "link", "hr", "wbr"}


class Page(HTMLParser):
    """Collects elements, texts and what is left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] == "style":
            self.styles.append(data)
        else:
            self.texts.append(data)


@pytest.fixture(scope="module")
def page(run_folder: Path) -> Page:
    return Page(html_report(Material(load_run(run_folder))))


@pytest.fixture(scope="module")
def hostile(hostile_folder: Path) -> Page:
    return Page(html_report(Material(load_run(hostile_folder))))


def test_the_page_is_well_formed(page: Page, hostile: Page) -> None:
    assert page.open == []
    assert hostile.open == []


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "action", "poster", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    styles = " ".join(page.styles)
    assert "url(" not in styles
    assert "@import" not in styles
    program = page.scripts[-1]
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|https?://(?!www\.w3\.org)", program)


def test_the_policy_allows_exactly_this_style_and_script(page: Page) -> None:
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for text in (page.styles[0], page.scripts[-1]):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_no_inline_handlers_or_styles(hostile: Page) -> None:
    for tag, attributes in hostile.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag


def test_hostile_names_are_text(hostile: Page) -> None:
    shown = "".join(hostile.texts)
    for name in (*record_factory.HOSTILE, record_factory.RTL):
        assert name in shown
    assert sum(tag == "script" for tag, _ in hostile.elements) == 1


def test_hostile_names_within_script_data_stay_data(tmp_path: Path) -> None:
    name = "</script><img src=x>"
    run = record_factory.make_run(n_clips=2, systems=(name, "b"), anchors=("ground_truth",))
    page = Page(html_report(Material(load_run(record_factory.write_run(run, tmp_path)))))
    assert not any(tag == "img" for tag, _ in page.elements)
    tiles = json.loads(page.scripts[0])["clips"][0]["tiles"]
    assert [tile["system"] for tile in tiles] == ["ground-truth", name, "b"]


def test_every_video_is_inside_and_whole(page: Page, run_folder: Path) -> None:
    data = json.loads(page.scripts[0])
    assert len(data["clips"]) == 2
    videos = page.scripts[1:-1]
    assert len(videos) == sum(tile["video"] is not None for clip in data["clips"] for tile in clip["tiles"])
    stored = {path.read_bytes() for path in (run_folder / "previews").glob("*.mp4")}
    assert {base64.b64decode(text) for text in videos} == stored


def test_numbers_intervals_protocols_and_failures_are_shown(page: Page) -> None:
    shown = "".join(page.texts)
    tips = " ".join(attributes.get("data-tip") or "" for _, attributes in page.elements)
    assert "95 of 96 generated clips are complete, 1 failed." in shown
    assert "1 × no_face" in shown
    assert "31 of 75 frames have no face" in shown
    assert "Synthetic data" in shown
    assert "f-sim/mobilefacenet@1" in tips
    assert "cluster-bootstrap-bca" in tips
    assert "589e048f" in shown
    assert "wrong order" in shown


def test_real_data_has_no_synthetic_banner() -> None:
    assert 'class="synthetic"' not in html_report(Material(record_factory.make_run(n_clips=2, synthetic=False)))


def test_sortable_cells_carry_their_numbers(page: Page) -> None:
    keys = [attributes["data-v"] for tag, attributes in page.elements if tag == "td" and "data-v" in attributes]
    numbers = [float(key) for key in keys if key and re.fullmatch(r"-?[\d.e+-]+", key)]
    assert len(numbers) > 500


def test_figures_are_inside(run_folder: Path) -> None:
    picture = NamedFigure("intervals", "Intervals <b>", new_figure(1, 1)[0])
    page = Page(html_report(Material(load_run(run_folder), figures=[picture])))
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert (images[0]["src"] or "").startswith("data:image/svg+xml;base64,")
    assert images[0]["alt"] == "Intervals <b>"


def test_published_numbers_stand_apart_and_unranked(tmp_path: Path) -> None:
    path = tmp_path / "emo.yaml"
    path.write_text(
        "source: arXiv 2402.17485v3\ntable: Table 1\ndataset: HDTF\nnote: HDTF\nrows:\n"
        "  - {system: EMO, values: {FID: 8761.5, SyncNet: 3.89}}\n"
        "  - {system: Wav2Lip, values: {FID: 9.38, SyncNet: null}}\n"
    )
    text = html_report(Material(record_factory.make_run(n_clips=2), published=[load_published(path)]))
    block = text[text.index("published-1") :].split("</section>")[0]
    assert "never ranked" in block
    assert "8761.5" in block
    assert "8761.5" not in text.replace(block, "")


def test_the_same_run_gives_the_same_bytes(run_folder: Path, tmp_path: Path) -> None:
    first = write_report(run_folder, output=tmp_path / "a", figures=False)
    second = write_report(run_folder, output=tmp_path / "b", figures=False)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
