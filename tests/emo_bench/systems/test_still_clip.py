from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from emo_bench.systems.still_clip import load_still_clip


def test_what_is_unusual_about_the_audio_of_a_portrait_is_noted(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "face.png")
    wave_form = (np.sin(np.arange(16_000) / 9) * 9_000).astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.stack([wave_form, -wave_form], axis=1).tobytes())
    still = load_still_clip(tmp_path / "face.png", tmp_path / "a.wav", fps=Fraction(25), rate=16_000)
    assert [note.code for note in still.notes] == ["audio_converted", "channels_cancel"]
