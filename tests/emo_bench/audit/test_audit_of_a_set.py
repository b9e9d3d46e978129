"""A whole audit on small real clips: a metric that passes, one that is blind, one that is wrong, one without values."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from emo_bench.audit.distortions import chosen_corruptions
from emo_bench.audit.result import FILES, AuditRecord, as_markdown, read_audit
from emo_bench.audit.run import audit_suite_of, run_audit
from emo_bench.cli.main import main
from emo_bench.extract.catalogue import load_catalogues, metrics
from emo_bench.runner.suite import suite_from_values
from emo_core.errors import ConfigError, RecordError
from emo_metrics.contract import ClipFeatures, ClipMetric, Direction, ProtocolSpec, Unscored
from emo_metrics.metrics.psnr_ssim import Psnr

NAMES = ("blur", "noise", "mouth-warp", "identity-swap", "audio-late")
LEVELS = ("blur=8,32", "noise=20,60", "mouth-warp=4,12", "identity-swap=0.3,1", "audio-late=1,5")


class WrongWayRound(Psnr):
    """Says that the noisiest picture is the best."""

    spec: ClassVar[ProtocolSpec] = replace(
        Psnr.spec, name="wrong/psnr@1", values=(replace(Psnr.spec.values[0], direction=Direction.LOWER),)
    )


class Speechless(ClipMetric):
    """Has no value for any clip."""

    spec: ClassVar[ProtocolSpec] = replace(Psnr.spec, name="speechless/psnr@1")

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        raise Unscored("undefined", "there is nothing to say")


@pytest.fixture(scope="module", autouse=True)
def planted() -> Iterator[None]:
    load_catalogues()
    added = {"wrong/psnr@1": WrongWayRound, "speechless/psnr@1": Speechless}
    for name, kind in added.items():
        metrics.add(name, kind)
    yield
    for name in added:
        del metrics._targets[name]


def audit(tiny, manifest: Path, folder: Path, names=NAMES, levels=LEVELS, **changes) -> AuditRecord:
    values = tiny.values(manifest, folder, **{"anchors": ["frozen"], **changes})
    suite = audit_suite_of(suite_from_values(values, base=folder), output=folder / "audit")
    return run_audit(suite, chosen_corruptions(names, levels))


@pytest.fixture(scope="module")
def manifest(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.set(tmp_path_factory.mktemp("set"), n_clips=4, face_box=(12.0, 6.0, 52.0, 42.0))


@pytest.fixture(scope="module")
def work_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


METRICS = ["psnr/rgb@1", "flicker/luma@1", "wrong/psnr@1", "speechless/psnr@1"]


@pytest.fixture(scope="module")
def record(tiny, manifest: Path, work_folder: Path) -> AuditRecord:
    return audit(tiny, manifest, work_folder, metrics=METRICS)


def verdicts(record: AuditRecord, protocol: str) -> dict[str, str]:
    return {item.distortion: item.verdict for item in record.findings if item.protocol == protocol and item.primary}


def test_verdicts(record: AuditRecord) -> None:
    assert verdicts(record, "psnr/rgb@1") | {"mouth-warp": ""} == {
        "blur": "pass", "noise": "pass", "mouth-warp": "", "identity-swap": "pass", "audio-late": "cannot",
    }  # fmt: skip
    assert verdicts(record, "wrong/psnr@1")["noise"] == "fail"
    assert set(verdicts(record, "speechless/psnr@1").values()) == {"no_value", "cannot"}
    assert verdicts(record, "flicker/luma@1")["identity-swap"] == "cannot"
    told = {item.distortion: item.smallest_told for item in record.findings if item.protocol == "psnr/rgb@1"}
    assert told["blur"] == 8
    assert told["audio-late"] is None
    assert {check.worse for check in record.anchors} == {"frozen"}
    assert (record.n_clips, record.n_identities, record.status) == (4, 4, "complete")


def test_files_say_the_same(record: AuditRecord, work_folder: Path) -> None:
    folder = work_folder / "audit"
    assert read_audit(folder) == record
    with (folder / "audit.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["protocol"], row["key"], row["distortion"]): row["verdict"] for row in rows} == {
        (item.protocol, item.key, item.distortion): item.verdict for item in record.findings
    }
    text = (folder / "audit.md").read_text()
    assert text == as_markdown(record)
    assert "| `psnr/rgb@1` | PSNR | ✓ 8 |" in text
    assert "`wrong/psnr@1` psnr, noise: puts level 60 before level 20" in text
    assert (folder / "audit.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "audit.pdf").read_bytes().startswith(b"%PDF")
    (folder / "broken.json").write_text("{}")
    with pytest.raises(RecordError, match="not the record of an audit"):
        read_audit(folder / "broken.json")


def test_a_second_audit_computes_nothing_and_finds_the_same(
    tiny, manifest: Path, work_folder: Path, record: AuditRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a frame was made again")

    picture = (work_folder / "audit" / "audit.png").read_bytes()
    monkeypatch.setattr("emo_bench.engine.units.extract_clip", never)
    again = audit(tiny, manifest, work_folder, metrics=METRICS)
    assert again.timings.units_computed == 0
    assert again.timings.units_reused > 0
    assert again.findings == record.findings
    assert again.digests == record.digests
    assert (work_folder / "audit" / "audit.png").read_bytes() == picture


def test_only_new_levels_are_computed(tiny, manifest: Path, work_folder: Path, record: AuditRecord) -> None:
    more = audit(tiny, manifest, work_folder, names=["blur"], levels=["blur=8,32,40"], metrics=METRICS[:1])
    assert more.timings.units_computed == 4
    assert verdicts(more, "psnr/rgb@1") == {"blur": "pass"}


def test_the_statistics_are_those_of_the_suite(tiny, manifest: Path, tmp_path: Path, record: AuditRecord) -> None:
    given = {"names": ["noise"], "levels": ["noise=20,60"], "metrics": METRICS[:1], "store": str(tmp_path / "store")}
    few, many = (
        audit(tiny, manifest, tmp_path / str(number), statistics={"resamples": number}, **given)
        for number in (100, 2000)
    )
    assert few.findings != many.findings
    (noise,) = (f for f in record.findings if (f.protocol, f.distortion) == ("psnr/rgb@1", "noise") and f.primary)
    assert few.findings == (noise,)  # as the small suites of these tests say


def test_shifted_sound_needs_no_pictures_again(tiny, manifest: Path, work_folder: Path, record: AuditRecord) -> None:
    shifted = audit(tiny, manifest, work_folder, names=["audio-late"], levels=["audio-late=7"], metrics=METRICS[:1])
    assert shifted.timings.units_computed == 0


def test_one_clip_and_no_face_box(tiny, tmp_path: Path) -> None:
    manifest = tiny.set(tmp_path / "set", n_clips=1)
    record = audit(
        tiny, manifest, tmp_path, names=["blur", "mouth-warp", "identity-swap"], levels=["blur=2,8"],
        metrics=["psnr/rgb@1"], weights={"folders": []},
    )  # fmt: skip
    found = {item.distortion: item for item in record.findings}
    assert found["blur"].verdict == "tie"
    assert "at least 2 independent units" in found["blur"].reason
    assert found["identity-swap"].verdict == "no_value"
    assert "no second identity" in found["identity-swap"].reason
    assert found["mouth-warp"].verdict == "no_value"
    assert record.status == "incomplete"
    assert {entry.system.partition("@")[0] for entry in record.failures} >= {"mouth-warp", "identity-swap"}


def test_broken_clips_are_reported(tiny, tmp_path: Path) -> None:
    manifest = tiny.set(tmp_path / "set", n_clips=3)
    (tmp_path / "set" / "clip-01.mkv").write_bytes(b"nothing")
    record = audit(tiny, manifest, tmp_path, names=["noise"], levels=["noise=20,60"], metrics=["psnr/rgb@1"])
    assert (record.n_clips, record.status) == (2, "incomplete")
    assert verdicts(record, "psnr/rgb@1") == {"noise": "pass"}
    assert any(entry.clip == "clip-01" and entry.stage == "prepare" for entry in record.failures)


def test_nothing_of_an_earlier_audit_stays_beside_a_later_one(
    tiny, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "audit"
    audit(tiny, manifest, tmp_path, names=["noise"], levels=["noise=20,60"], metrics=METRICS[:1])
    assert {path.name for path in folder.glob("audit.*")} == set(FILES)
    monkeypatch.setattr("emo_bench.audit.figure.heat_map", lambda record: None)  # as where nothing is judged
    suite = str(tiny.suite(manifest, tmp_path, anchors=[]))
    assert main(["audit", "--config", suite, "-m", METRICS[0], "-d", "noise", "-o", str(folder), "-q"]) == 0
    assert {path.name for path in folder.glob("audit.*")} == {"audit.json", "audit.csv", "audit.md"}
    assert "figure:" not in capsys.readouterr().out

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emo_bench.audit.run.findings", interrupted)
    with pytest.raises(KeyboardInterrupt):
        audit(tiny, manifest, tmp_path, names=["noise"], levels=["noise=20,60"], metrics=METRICS[:1])
    assert not list(folder.glob("audit.*"))


def test_command_line(tiny, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = str(tiny.suite(manifest, tmp_path, anchors=[]))
    options = ["--metrics", "psnr/rgb@1", "-d", "noise", "--levels", "noise=20,60", "-o", str(tmp_path / "out"), "-q"]
    assert main(["audit", "--config", suite, *options]) == 0
    shown = capsys.readouterr().out
    assert "✓ 20" in shown
    assert f"record: {tmp_path / 'out' / 'audit.json'}" in shown
    assert main(["audit", "--config", suite, *options, "--json"]) == 0
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["verdict"], finding["smallest_told"]) == ("pass", 20)
    assert main(["audit", "--config", suite, "-d", "nois"]) == 2
    assert "did you mean 'noise'" in capsys.readouterr().err
    assert main(["audit", "--config", suite, "-m", "psnr/rgb"]) == 2


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(tiny, manifest: Path, tmp_path: Path) -> None:
    found = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        changes = {"metrics": METRICS[:2], "execution": {"workers": workers}}
        found.append(audit(tiny, manifest, folder, names=["noise"], levels=["noise=20,60"], **changes).findings)
    assert found[0] == found[1]


def test_the_folder_of_a_run_is_not_audited_into(tiny, manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    (folder / "record.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"(?s)is the folder of a run.*--output"):
        audit(tiny, manifest, tmp_path, metrics=["psnr/rgb@1"])
    assert [path.name for path in folder.iterdir()] == ["record.json"]
