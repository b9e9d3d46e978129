"""Results for other places: read by those places' own readers where they are installed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import record_factory
from ruamel.yaml import YAML
from tiny_sets import write_wild_lines

from emo_bench.data.manifest import Manifest, read_manifest, write_manifest
from emo_bench.publish.checklist import NOT_RECORDED, checklist, checklist_markdown
from emo_bench.publish.croissant import croissant
from emo_bench.publish.model_index import chosen_system, model_card, model_index, model_index_yaml
from emo_bench.record.run_data import RunData, load_run
from emo_core.errors import ConfigError, ExitCode


@pytest.fixture(scope="module")
def run(run_folder: Path) -> RunData:
    return load_run(run_folder)


def answers(record: Any) -> dict[str, str]:
    return {item.question: item.answer for item in checklist(record)}


def test_the_checklist_says_what_the_record_shows(run: RunData) -> None:
    found = answers(run.record)
    assert run.record.digests.dataset in found["Are the data identified exactly?"]
    assert found["Are the random seeds stated?"] == "Generation seeds 0."
    assert "95 %" in found["Are error bars reported, with their method?"]
    assert "with uncommitted changes" in found["Is the version of the code stated?"]
    assert "no_face ×1" in found["Is it said what failed or was left out?"]
    assert found["Did the people who are shown consent?"] == NOT_RECORDED


def test_what_the_record_does_not_show_is_not_recorded(run: RunData) -> None:
    record = run.record
    bare = record.model_copy(
        update={
            "config": {},
            "comparisons": (),
            "checks": (),
            "values": tuple(value.model_copy(update={"interval": None, "watermark": ""}) for value in record.values),
            "provenance": record.provenance.model_copy(update={"host": {}, "packages": {}}),
            "protocols": tuple(p.model_copy(update={"weights": ()}) for p in record.protocols),
        }
    )
    changed = {question for question, answer in answers(bare).items() if answer == NOT_RECORDED} - {
        question for question, answer in answers(record).items() if answer == NOT_RECORDED
    }
    assert changed == {
        "Are the random seeds stated?",
        "Are error bars reported, with their method?",
        "Were differences tested, with correction for their number?",
        "Are samples that are too small marked?",
        "Was it checked that the metrics see what they must see on these data?",
        "Is the hardware stated?",
        "Is the software stated?",
        "Are the licences of the metrics' weights stated?",
    }
    assert checklist_markdown(bare).count("- [ ]") == sum(answer == NOT_RECORDED for answer in answers(bare).values())


def test_the_model_index_holds_every_number_with_its_protocol(run: RunData) -> None:
    block = YAML(typ="safe").load(model_index_yaml(run, "emo-synth"))
    assert block == model_index(run, "emo-synth")
    (result,) = block["model-index"][0]["results"]
    metrics = {(m["args"]["protocol"], m["type"]): m for m in result["metrics"]}
    known = {(v.protocol, v.key): v for v in run.record.values if v.system == "emo-synth" and v.value is not None}
    assert set(metrics) == set(known)
    for place, entry in known.items():
        assert metrics[place]["value"] == entry.value
        assert metrics[place]["args"]["low"] == entry.interval.low  # type: ignore[union-attr]
    assert result["dataset"]["revision"] == run.record.digests.dataset
    assert result["dataset"]["args"]["synthetic"] is True


def test_the_hub_reads_the_card(run: RunData, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = tmp_path / "README.md"
    card.write_text(model_card(run, "emo-synth"), encoding="utf-8")
    loaded = hub.ModelCard.load(card)
    results = loaded.data.eval_results
    assert loaded.data.model_name == "emo-synth"
    assert len(results) == len(model_index(run, "emo-synth")["model-index"][0]["results"][0]["metrics"])
    assert {item.dataset_name for item in results} == {"hdtf-synth/mini"}


def test_hostile_names_stay_text_in_the_card(hostile_folder: Path) -> None:
    run = load_run(hostile_folder)
    for name in (*record_factory.HOSTILE, record_factory.RTL):
        card = model_card(run, name)
        _, front, body = card.split("---\n", 2)
        assert YAML(typ="safe").load(front)["model-index"][0]["name"] == name
        assert "<script" not in body


def test_the_system_must_be_clear(run: RunData) -> None:
    with pytest.raises(ConfigError, match="several systems"):
        chosen_system(run.record, None)
    with pytest.raises(ConfigError, match="no system 'ground-truth' under test"):
        chosen_system(run.record, "ground-truth")
    with pytest.raises(ConfigError, match="not as it was written"):
        model_index(dataclasses.replace(run, damage=("changed",)), "emo-synth")


def test_croissant_lists_every_kind_of_file_with_digests(tiny_set: Path) -> None:
    manifest = read_manifest(tiny_set)
    found = croissant(
        tiny_set, manifest, licence="CC-BY-4.0", url="https://example.org/set", description="Three clips."
    )
    file, *sets = found["distribution"]
    assert file["sha256"] == __import__("hashlib").sha256(tiny_set.read_bytes()).hexdigest()
    endings = {Path(entry.video).suffix for entry in manifest.entries}
    assert {item["includes"] for item in sets} >= {f"**/*{ending}" for ending in endings}
    assert manifest.digest in found["description"]
    assert "version" not in found
    columns = {field["source"]["extract"]["column"] for field in found["recordSet"][0]["field"]}
    assert columns >= {"id", "video", "identity", "split"}


def test_croissant_finds_files_as_their_endings_are_written(tiny_set: Path) -> None:
    """Patterns tell large letters from small ones."""
    manifest = read_manifest(tiny_set)
    names = ("a.MP4", "b.mp4", "c.Mp4")
    entries = [entry.model_copy(update={"video": name}) for entry, name in zip(manifest.entries, names, strict=True)]
    found = croissant(tiny_set, Manifest(manifest.root, entries))
    sets = [item for item in found["distribution"] if "includes" in item]
    for name in names:
        (one,) = (item for item in sets if PurePosixPath("set", name).match(item["includes"]))
        assert one["encodingFormat"] == "video/mp4"
    assert len({item["@id"] for item in sets}) == len(sets)


def test_the_formats_own_library_takes_the_metadata(tiny_set: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("mlcroissant")
    import shutil

    folder = Path(shutil.copytree(tiny_set.parent, tmp_path / "set"))
    manifest = read_manifest(folder / tiny_set.name)
    found = croissant(
        folder / tiny_set.name,
        manifest,
        name="tiny",
        licence="CC-BY-4.0",
        url="https://example.org/set",
        cite_as="Nobody (2026)",
        version="1.0.0",
    )
    (folder / "croissant.json").write_text(json.dumps(found), encoding="utf-8")
    dataset = library.Dataset(jsonld=str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("clips"))
    assert [record["clips/id"].decode() for record in records] == [entry.id for entry in manifest.entries]


def test_the_command_line_writes_each(tiny: Any, run_folder: Path, tiny_set: Path, tmp_path: Path) -> None:
    for name, what, more in (
        ("checklist.md", "checklist", ()),
        ("checklist.json", "checklist", ()),
        ("card.md", "model-index", ("--system", "emo-synth")),
        ("results.yaml", "model-index", ("--system", "emo-synth")),
    ):
        done = tiny.cli("export", run_folder, tmp_path / name, "--what", what, *more, cwd=tmp_path)
        assert (done.code, (tmp_path / name).is_file()) == (ExitCode.OK, True), done.err
    wrong = tiny.cli("export", run_folder, tmp_path / "x.docx", "--what", "checklist", cwd=tmp_path)
    assert (wrong.code, "ends in" in wrong.err) == (ExitCode.USAGE, True)
    done = tiny.cli("data", "croissant", tiny_set, "-o", tmp_path / "c.json", cwd=tmp_path)
    assert (done.code, json.loads((tmp_path / "c.json").read_text())["@type"]) == (ExitCode.OK, "sc:Dataset"), done.err


def contents(path: Path) -> tuple[str, str, list[tuple[int, int | None, int | None, bytes]]]:
    """Title, comment and packets of a video."""
    import av

    with av.open(str(path)) as container:
        found = [(p.stream.index, p.pts, p.dts, bytes(p)) for p in container.demux() if p.size]
        return container.metadata.get("title", ""), container.metadata.get("comment", ""), found


def test_exported_previews_are_signed_but_for_anchors(run_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    from emo_bench.media.certificate import local_signer
    from emo_bench.media.credentials import read_credentials
    from emo_bench.publish.previews import export_previews

    run = load_run(run_folder)
    made = export_previews(run, tmp_path / "out", signer=local_signer(tmp_path / "certificate"))
    assert (made.n_signed, made.n_plain) == (2 * 2, 2 * 6)
    for entry in json.loads((tmp_path / "out" / "index.json").read_text(encoding="utf-8")):
        found = read_credentials(tmp_path / "out" / entry["file"])
        assert (found is not None) == entry["signed"] == (entry["system"] in ("emo-synth", "wav2lip-like"))
        assert found is None or (found.state, found.facts["system"]) == ("intact", entry["system"])
        source = next(p.path for p in run.previews if (p.clip, p.system) == (entry["clip"], entry["system"]))
        title, comment, packets = contents(tmp_path / "out" / entry["file"])
        assert packets == contents(source)[2]
        if entry["signed"]:
            assert title.startswith("AI-generated video")
            assert json.loads(comment)["system"] == entry["system"]
        else:
            assert (title, comment) == ("", "")
    assert load_run(run_folder).damage == ()
    with pytest.raises(ConfigError, match="not empty"):
        export_previews(run, tmp_path / "out", signer=local_signer(tmp_path / "certificate"))


def test_croissant_names_portraits(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, write_wild_lines(tmp_path, n_clips=2))
    found = croissant(path, read_manifest(path))
    assert "**/*.png" in {item.get("includes") for item in found["distribution"]}
    assert "portrait" in {field["source"]["extract"]["column"] for field in found["recordSet"][0]["field"]}
