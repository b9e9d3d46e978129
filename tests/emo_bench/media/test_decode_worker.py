"""The child's own code, run in this process (so that coverage sees it) on the same messages."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emo_bench.media.audio_samples import channel_samples
from emo_bench.media.decode_worker import Sender, serve
from emo_bench.media.limits import DEFAULT_LIMITS
from emo_bench.media.wire import HEADER, Kind


def ask(source: Path | bytes, **request: Any) -> list[tuple[Kind, bytes]]:
    stream = io.BytesIO(source if isinstance(source, bytes) else source.read_bytes())
    with tempfile.TemporaryFile() as answers:
        serve({"limits": DEFAULT_LIMITS.as_json()} | request, stream, Sender(answers.fileno()))
        answers.seek(0)
        data = answers.read()
    messages = []
    while data:
        kind, length = HEADER.unpack_from(data)
        messages.append((Kind(kind), data[HEADER.size : HEADER.size + length]))
        data = data[HEADER.size + length :]
    return messages


def test_scan_sends_facts_then_sound_then_the_outcome(talking: Path) -> None:
    messages = ask(talking, what="scan", video=True, audio=True, send_audio=True)
    assert [messages[0][0], messages[-1][0]] == [Kind.INFO, Kind.DONE]
    assert {kind for kind, _ in messages[1:-1]} == {Kind.AUDIO}
    outcome = json.loads(messages[-1][1])
    assert outcome["stamps"] == [512 * index for index in range(50)]
    assert outcome["size"] == [128, 64]
    sent = sum(json.loads(body.partition(b"\n")[0])["samples"] for _, body in messages[1:-1])
    assert sent == outcome["audio_samples"] >= 32000


def test_frames_sends_the_wanted_ones_in_the_wanted_size(talking: Path, media: Any) -> None:
    messages = ask(talking, what="frames", indices=[3, 4, 40], size=[64, 32])
    assert [kind for kind, _ in messages] == [Kind.FRAME] * 3 + [Kind.DONE]
    pictures = [np.frombuffer(body, np.uint8).reshape(32, 64, 3) for _, body in messages[:3]]
    assert [media.index_of(picture) for picture in pictures] == [3, 4, 40]


def test_failures_are_messages(talking: Path) -> None:
    too_late = ask(talking, what="frames", indices=[0, 70], size=None)
    assert too_late[-1][0] is Kind.ERROR
    assert "only 1 of 2" in json.loads(too_late[-1][1])["message"]
    assert json.loads(ask(b"text", what="scan", video=True, audio=True, send_audio=False)[0][1])["code"] == "decode"
    tight = DEFAULT_LIMITS.as_json() | {"max_frames": 10}
    assert json.loads(ask(talking, what="scan", video=True, audio=True, send_audio=False, limits=tight)[-1][1]) == {
        "code": "limit",
        "message": "the header promises 50 frames, more than 10",
    }


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize(("name", "kind", "full"), [("s16", "i2", 2**15), ("s32", "i4", 2**31), ("dbl", "f8", 1)])
def test_sample_formats(planar: bool, name: str, kind: str, full: int) -> None:
    channels = np.array([[0.5, -0.5, 0.25], [0.0, -0.5, 0.25]])
    coded = (channels * full).astype(kind)
    body = (coded if planar else coded.T).tobytes()
    table = channel_samples(body, sample_format=name + "p" * planar, channels=2)
    assert table.tolist() == channels.tolist()
