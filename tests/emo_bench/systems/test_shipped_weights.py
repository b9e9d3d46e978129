"""Weights that ship with the project are those of the release, to the byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from emo_bench.systems import shipped
from emo_core.errors import WeightsError


@pytest.mark.parametrize("name", ["emo-synth", "wav2lip-synth"])
def test_the_weights_of_this_checkout_are_the_pinned_ones(name: str) -> None:
    # After a training: python -m emo_bench.systems.shipped
    assert shipped.check_shipped(name) == shipped.pins()[name]


@pytest.mark.parametrize("name", ["emo-synth", "wav2lip-synth"])
def test_a_flipped_bit_a_lost_and_a_foreign_file_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / name
    shutil.copytree(shipped.folders()[name], copy)
    monkeypatch.setattr(shipped, "folders", lambda: {name: copy})
    assert shipped.check_shipped(name)
    file = next(copy.rglob("*.safetensors"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(WeightsError, match="not those of this release"):
        shipped.check_shipped(name)
    file.unlink()
    with pytest.raises(WeightsError, match="no such file"):
        shipped.check_shipped(name)
    file.write_bytes(whole)
    (copy / "more.json").write_text("{}", encoding="utf-8")
    with pytest.raises(WeightsError, match="no such file"):
        shipped.check_shipped(name)
