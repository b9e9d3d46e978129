"""Training files: every mistake is named with its place; all shipped files are right; sets can be given by option."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emo_bench.data.manifest import ManifestEntry, write_manifest
from emo_bench.train.config import EMOTraining, load_training, sources_of, training_schema
from emo_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
EMO = "kind: emo\npreset: tiny\nstages:\n  - name: image\n    steps: 3\n"


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "train").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_files_are_right(path: Path) -> None:
    assert load_training(path).kind in {"emo", "wav2lip", "extractors", "sync"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (EMO.replace("steps: 3", 'steps: "3"'), r":5: stages\[0\]\.steps: .*found '3'"),
        (EMO + "    clips: -4\n", r":6: stages\[0\]\.clips: .*found -4"),
        (EMO + "seed: abc\n", ":6: seed: .*found 'abc'"),
        (EMO + "    mouth_wieght: 1\n", r":6: stages\[0\]\.mouth_wieght: .*did you mean 'mouth_weight'"),
        (
            "kind: sync\ntalking: [a.csv]\nnetwork: {steps: 1, batch: 2}\nheld_out: [{manifest: b.jsonl}]\n",
            r":4: held_out: .*leave_out",
        ),
        (
            (ROOT / "configs" / "train" / "extractors.yaml").read_text("utf-8") + "\nheld_out: [{manifest: b.jsonl}]\n",
            "held_out: .*measures nothing",
        ),
        (EMO + "optimizer: muno\n", ":6: optimizer: found 'muno'.*did you mean 'muon'"),
        (EMO.replace("name: image", "name: imgae"), r":4: stages\[0\]\.name: .*did you mean 'image'"),
        (EMO + "data: [{manifest: a, weight: 0}]\n", r":6: data\[0\]\.weight"),
        (EMO + "autoencoder: {crop: 33}\n", ":6: autoencoder.crop"),
        (EMO.replace("  - name: image\n    steps: 3\n", "  []\n"), ":3: stages"),
        (EMO.replace("kind: emo", "kind: eom"), ":1: kind: found 'eom', expected one of: .*did you mean 'emo'"),
        ("preset: tiny\n", "missing key 'kind'"),
        ("kind: wav2lip\ngenerator: {steps: 1, sync_weight: 0.03}\n", "expected an 'expert' stage"),
        ("kind: wav2lip\ngenerator: {steps: 1}\nnetwork: {image_size: 64}\n", ":3: network.image_size"),
        (
            "kind: wav2lip\ngenerator: {steps: 1}\nexpert: {steps: 1, precision: bfloat16, lower_weight: 2}\n",
            "expected no lower_weight, precision in 'expert'",
        ),
        ("kind: extractors\n", "locator: missing key"),
        ("kind: sync\ntalking: [a.csv]\n", "network: missing key"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=named):
        load_training(path)


def test_overrides_reach_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(EMO, encoding="utf-8")
    read = load_training(path, ["stages[0].steps=7", "size=64"])
    assert isinstance(read, EMOTraining)
    assert (read.stages[0].steps, read.size) == (7, 64)
    with pytest.raises(ConfigError, match=r"--set seed=x: seed"):
        load_training(ROOT / "configs" / "train" / "extractors.yaml", ["seed=x"])


def test_sets_can_be_given_by_option(tmp_path: Path) -> None:
    def manifest(folder: Path, *splits: str) -> Path:
        folder.mkdir(parents=True)
        entries = [
            ManifestEntry(id=split, video="v.mkv", identity="i", split=split, sha256={"video": "0" * 64})
            for split in splits
        ]
        write_manifest(folder / "manifest.jsonl", entries)
        return folder / "manifest.jsonl"

    slices = [manifest(tmp_path / "synth" / name, name) for name in ("train", "validation")]
    mine = manifest(tmp_path / "mine", "train", "validation")
    stills = manifest(tmp_path / "stills", "train")
    train, held_out = sources_of([str(tmp_path / "synth"), f"{tmp_path / 'mine'}=2.5", f"{stills}=0.1"])
    assert [(source.manifest, source.weight) for source in train] == [
        (str(slices[0]), 1.0),
        (str(mine), 2.5),
        (str(stills), 0.1),
    ]
    assert [source.manifest for source in held_out] == [str(slices[1]), str(mine)]
    for wrong in (f"{mine}=0", f"{mine}=many", str(tmp_path / "nothing")):
        with pytest.raises(ConfigError, match="--data"):
            sources_of([wrong])


def test_the_schema_knows_every_kind() -> None:
    schema = json.dumps(training_schema())
    for name in ("EMOTraining", "Wav2LipTraining", "ExtractorTraining", "vtlp_factors", "self_forcing"):
        assert name in schema


def test_validate_and_schema_know_training_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from emo_bench.cli.schema import Kind, schema
    from emo_bench.cli.validate import validate

    path = tmp_path / "train.yaml"
    path.write_text(EMO, encoding="utf-8")
    assert validate([path]) == 0
    assert capsys.readouterr().out == f"{path}: ok: trains emo\n"
    assert validate([path], ["stages[0].clips=-4"]) == 2
    assert "--set stages[0].clips=-4: stages[0].clips" in capsys.readouterr().err
    path.write_text(EMO.replace("kind: emo\n", ""), encoding="utf-8")
    assert validate([path]) == 2
    assert "missing key 'kind'" in capsys.readouterr().err
    assert schema(Kind.TRAIN) == 0
    printed = capsys.readouterr().out
    assert printed == (ROOT / "configs" / "schema" / "train.json").read_text(encoding="utf-8")
