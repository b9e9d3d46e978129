"""A tiny fake of HDTF: generated videos and annotation files in the published format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class FakeHdtf:
    """Folders of the fake HDTF.

    Attributes:
        raw: The user's videos.
        annotations: The text files.
        target: Where to prepare.
        write: Writes annotation files of a part; keys are 'annotion_time' and so on.
        video: Writes a video below ``raw``.
    """

    raw: Path
    annotations: Path
    target: Path
    write: Callable[..., None]
    video: Callable[..., Path]


@pytest.fixture
def fake_hdtf(tmp_path: Path, tiny: Any) -> FakeHdtf:
    """Part WDA: AdamSchiff with clips 0-1 s and 1-2 s, JohnLewis0 with one clip; part RD: Radio10."""
    raw, annotations = tmp_path / "raw", tmp_path / "HDTF_dataset"
    annotations.mkdir()

    def write(part: str, **tables: str) -> None:
        for table, text in tables.items():
            (annotations / f"{part}_{table}.txt").write_text(text, encoding="utf-8")

    def video(name: str, **options: Any) -> Path:
        return tiny.clip(raw / name, **options)

    write(
        "WDA",
        video_url="\ufeffAdamSchiff https://www.youtube.com/watch?v=wMypCqkYKS8&t=8s\n"
        "JohnLewis0 https://www.youtube.com/watch?v=AAAAAAAAAAA\n",
        annotion_time="AdamSchiff.mp4 00:00-00:01 00:01-00:02 \nJohnLewis0.mp4 00:00-00:01\n",
        crop_wh="AdamSchiff_0.mp4 8 32 0 32\nAdamSchiff_1.mp4 16 48 0 48\nJohnLewis0_0.mp4 0 48 0 48\n",
        resolution="AdamSchiff.mp4 48\nJohnLewis0.mp4 48\n",
        crop_ratio="AdamSchiff_0.mp4 1.2\nAdamSchiff_1.mp4 1.2\nJohnLewis0_0.mp4 1.0\n",
    )
    write(
        "RD",
        video_url="Radio10 https://www.youtube.com/watch?v=BBBBBBBBBBB\n",
        annotion_time="Radio10.mp4 0:00:00-0:00:01\n",
        crop_wh="Radio10_0.mp4 0 96 0 96\n",
        resolution="Radio10.mp4 96\n",
        crop_ratio="Radio10_0.mp4 1.0\n",
    )
    video("AdamSchiff.mkv", seconds=2.0, person=0)
    video("WDA_JohnLewis0.mkv", seconds=1.0, person=1)
    video("A radio show [BBBBBBBBBBB].mkv", seconds=1.0, person=2)
    return FakeHdtf(raw, annotations, tmp_path / "prepared", write, video)
