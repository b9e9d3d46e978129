"""Text tags: they are there, nothing else changes, and the same bytes come out twice."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from emo_bench.media.disclosure import disclosure_tags, write_tagged
from emo_bench.media.preview import write_preview
from emo_bench.media.types import Audio
from emo_bench.report.frame_images import evenly, shots
from emo_core.errors import ClipError


def packets(path: Path) -> list[tuple[str, int | None, int | None, bool, bytes]]:
    with av.open(str(path)) as container:
        return [(p.stream.type, p.pts, p.dts, p.is_keyframe, bytes(p)) for p in container.demux() if p.size]


def looks(path: Path) -> list[tuple[object, ...]]:
    with av.open(str(path)) as container:
        (video,) = container.streams.video
        context = video.codec_context
        facts = (video.average_rate, video.frames, video.duration, context.color_range, context.colorspace)
        return [facts, *[(audio.rate, audio.duration) for audio in container.streams.audio]]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = np.random.default_rng(1).integers(0, 256, (75, 48, 64, 3), dtype=np.uint8)
    audio = Audio(np.random.default_rng(2).normal(0, 0.1, 48000).astype(np.float32), 16000)
    return write_preview(tmp_path_factory.mktemp("plain") / "a.mp4", iter([frames]), audio, fps=Fraction(25))


def test_tags_are_added_and_nothing_else_changes(plain: Path, tmp_path: Path) -> None:
    tags = disclosure_tags("AI-generated: täst", {"system": "über", "seed": 3})
    made = write_tagged(plain, tmp_path / "b.mp4", tags)
    assert packets(made) == packets(plain)
    assert looks(made) == looks(plain)
    with av.open(str(made)) as container:
        assert container.metadata["title"] == "AI-generated: täst"
        assert json.loads(container.metadata["comment"]) == {"system": "über", "seed": 3}
    assert b"moov" in made.read_bytes()[:200]  # players start before the file is complete
    assert write_tagged(plain, tmp_path / "c.mp4", tags).read_bytes() == made.read_bytes()


def test_a_file_can_be_tagged_in_place_and_again(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(plain.read_bytes())
    write_tagged(path, path, {"title": "first", "comment": "kept"})
    write_tagged(path, path, {"title": "second"})
    with av.open(str(path)) as container:
        assert (container.metadata["title"], container.metadata["comment"]) == ("second", "kept")
    assert packets(path) == packets(plain)


def test_what_is_no_video_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    with pytest.raises(ClipError, match=r"a\.mp4 cannot be copied"):
        write_tagged(tmp_path / "a.mp4", tmp_path / "b.mp4", {})
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_list_of_other_files_is_no_video(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "other.mp4").write_bytes(plain.read_bytes())
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n", encoding="utf-8")
    with pytest.raises(ClipError, match=r"list\.mp4 cannot be copied"):
        write_tagged(tmp_path / "list.mp4", tmp_path / "made.mp4", {})
    assert shots(tmp_path / "list.mp4", evenly(2)) == []
    assert len(shots(tmp_path / "other.mp4", evenly(2))) == 2
