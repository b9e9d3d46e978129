"""Which units a run has, who partners whom, when a unit is done, and what a forecast rests on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest
from emo_bench.engine.context import RunContext
from emo_bench.engine.loading import check_before_work
from emo_bench.engine.plan import forecast, other_units, partner_of, truth_units
from emo_bench.engine.units import is_done, work
from emo_bench.extract.feature_store import FeatureResult
from emo_bench.runner.run import run_suite, spec_of
from emo_bench.runner.suite import load_suite, suite_from_values
from emo_core.errors import EmoBenchError


def manifest_of(pairs: dict[str, str]) -> Manifest:
    rows = [ManifestEntry(id=i, video=f"{i}.mkv", identity=p, sha256={"video": "0" * 64}) for i, p in pairs.items()]
    return Manifest(Path(), rows)


NAMES = st.text("abcdef", min_size=1, max_size=3)


PAIRS = st.dictionaries(NAMES, st.sampled_from("pqr"), min_size=1, max_size=8)


@given(PAIRS, st.sampled_from(["other_clip", "other_identity"]))
def test_partners(pairs: dict[str, str], rule: str) -> None:
    manifest = manifest_of(pairs)
    several = len(set(pairs.values())) > 1
    for clip, person in pairs.items():
        partner = partner_of(clip, manifest, manifest, rule)
        if several:
            assert partner is not None
            assert pairs[partner] != person
        elif rule == "other_clip" and len(pairs) > 1:
            assert partner not in (None, clip)
        else:
            assert partner is None


def test_partners_come_from_the_clips_that_work_and_go_round() -> None:
    manifest = manifest_of({"a": "1", "b": "1", "c": "2", "d": "3"})
    pool = Manifest(Path(), [entry for entry in manifest.entries if entry.id != "c"])
    assert partner_of("a", manifest, manifest, "other_clip") == "c"
    assert partner_of("a", manifest, pool, "other_clip") == "d"
    assert partner_of("d", manifest, pool, "other_identity") == "a"


def test_partners_do_not_say_the_same_at_the_same_time() -> None:
    driven = [("a", "x", (0, 75)), ("b", "x", (10, 85)), ("c", "x", (90, 165)), ("d", "y", (0, 75))]
    rows = [
        entry.model_copy(update={"meta": {"reenacted": True, "driver": driver, "driver_frames": list(frames)}})
        for entry, (_, driver, frames) in zip(manifest_of({n: n for n, *_ in driven}).entries, driven, strict=True)
    ]
    manifest = Manifest(Path(), rows)
    chosen = {clip: partner_of(clip, manifest, manifest, "other_clip") for clip in "abcd"}
    assert chosen == {"a": "c", "b": "c", "c": "d", "d": "a"}
    alone = Manifest(Path(), rows[:2])
    assert partner_of("a", alone, alone, "other_identity") is None
    heard = {
        name: entry.model_copy(update={"audio": f"{name}.wav", "sha256": {**entry.sha256, "audio": digest * 64}})
        for name, digest, entry in zip("abc", "112", manifest_of({n: n for n in "abc"}).entries, strict=True)
    }
    manifest = Manifest(Path(), heard.values())
    assert partner_of("a", manifest, manifest, "other_clip") == "c"


def test_with_one_clip_the_exchanging_anchors_say_why_not(tiny, tmp_path: Path) -> None:
    manifest = tiny.set(tmp_path / "set", n_clips=1)
    record = run_suite(load_suite(tiny.suite(manifest, tmp_path)))
    assert {failure.system: failure.code for failure in record.failures} == {
        "shuffled-audio": "system_error",
        "other-identity": "system_error",
    }
    assert all("at least two" in failure.reason for failure in record.failures)
    assert record.status == "incomplete"


@pytest.fixture(scope="module")
def context(tiny, tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> RunContext:
    folder = tmp_path_factory.mktemp("context")
    suite = load_suite(tiny.suite(tiny_set, folder, seeds=[3, 4], anchors=["frozen"], metrics=["flicker/luma@1"]))
    return RunContext(spec_of(suite, read_manifest(tiny_set)))


def test_units_done_forecast(context: RunContext) -> None:
    units = [*truth_units(context), *other_units(context)]
    assert [(unit.system, unit.clip, unit.seed) for unit in units] == [
        (system, f"clip-0{n}", 3) for system in ("ground-truth", "frozen") for n in range(3)
    ]
    assert not any(is_done(context, unit) for unit in units)
    before = forecast(context)
    assert before.units == {"ground-truth": (3, 0), "frozen": (3, 0)}
    assert "not measured" in before.basis
    outcomes = [work(context, unit) for unit in units]
    assert [(outcome.code, outcome.computed, outcome.reused) for outcome in outcomes] == [("ok", 2, 0)] * 6
    assert all(is_done(context, unit) for unit in units)
    after = forecast(context)
    assert after.units == {"ground-truth": (3, 3), "frozen": (3, 3)}
    assert (after.seconds, after.bytes) == (0, 0)
    assert [work(context, unit).computed for unit in units] == [0] * 6
    features = context.feature_keys(outcomes[0].unit.clip, outcomes[0].clip, outcomes[0].clip)
    for name, key in features.items():
        assert context.features.has(name, key)
        context.features.path(name, key).unlink()
    assert not is_done(context, units[0])
    assert (work(context, units[0]).computed, work(context, units[0]).reused) == (1, 1) or is_done(context, units[0])


@pytest.mark.parametrize(("fps", "index"), [("25", 2), ("50", 4), ("30000/1001", 2), ("12", 1)])
def test_the_portrait_is_the_frame_of_the_same_moment_at_any_rate(
    tiny, tiny_set: Path, tmp_path: Path, fps: str, index: int
) -> None:
    values = {"anchors": ["frozen"], "metrics": ["flicker/luma@1"], "media": {"fps": fps}}
    suite = load_suite(tiny.suite(tiny_set, tmp_path, **values))
    context = RunContext(spec_of(suite, read_manifest(tiny_set)))
    truth, frozen = truth_units(context)[0], other_units(context)[0]
    assert work(context, truth).code == work(context, frozen).code == "ok"
    stored = context.stored_truth(truth.clip)
    assert stored is not None
    assert context.reference_index(truth.clip, stored.sidecar) == index
    real, still = (context.clips.open(found)[0].read_all() for found in (stored, context.stored_clip(frozen)) if found)
    assert (still == real[index]).all()


def test_another_rate_is_another_portrait_and_another_key(tiny, tiny_set: Path, tmp_path: Path) -> None:
    def key(**changes: object) -> str:
        manifest = read_manifest(tiny_set)
        suite = load_suite(tiny.suite(tiny_set, tmp_path, anchors=["frozen"], media={"fps": "50"}))
        entries = [entry.model_copy(update=changes) for entry in manifest.entries]
        context = RunContext(spec_of(suite, Manifest(manifest.root, entries)))
        return context.keys.clip(other_units(context)[0])

    assert key(reference_frame=2) != key(reference_frame=4)


def test_a_missing_system_folder_or_partner_stops_before_work(tiny, tiny_set: Path, tmp_path: Path) -> None:
    values = tiny.values(tiny_set, tmp_path, systems=[{"name": "mine", "kind": "videos", "folder": "nowhere"}])
    suite = suite_from_values(values, base=tmp_path)
    with pytest.raises(EmoBenchError, match=r"system 'mine': no folder .*nowhere"):
        run_suite(suite)
    assert not (tmp_path / "store").exists()


def test_missing_weights_are_told_before_work_and_never_replaced(
    tiny, tiny_set: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EMO_BENCH_WEIGHTS", raising=False)
    metrics = ["f-sim/mobilefacenet@1", "flicker/luma@1"]
    suite = load_suite(tiny.suite(tiny_set, tmp_path, anchors=[], metrics=metrics))
    missing = check_before_work(RunContext(spec_of(suite, read_manifest(tiny_set))).loader)
    assert [entry.protocol for entry in missing] == ["f-sim/mobilefacenet@1"]
    record = run_suite(suite)
    assert record.status == "incomplete"
    by_name = {protocol.name: protocol for protocol in record.protocols}
    assert by_name["f-sim/mobilefacenet@1"].status == "unavailable"
    assert "are missing" in by_name["f-sim/mobilefacenet@1"].reason
    assert f"in one of: {Path('~/cache')}" in by_name["f-sim/mobilefacenet@1"].reason
    values = {entry.protocol: entry for entry in record.values}
    assert (values["f-sim/mobilefacenet@1"].status, values["f-sim/mobilefacenet@1"].value) == ("skipped", None)
    assert values["flicker/luma@1"].status == "ok"


def test_a_truth_without_features_is_extracted_from_the_stored_clip(context: RunContext) -> None:
    unit = truth_units(context)[1]
    work(context, unit)
    outcome = work(context, unit)
    (name, key), *_ = context.feature_keys(outcome.unit.clip, outcome.clip, outcome.clip).items()
    stored = context.features.get(name, key)
    context.features.put(name, key, FeatureResult({}, "no_face", "made up"))
    assert work(context, unit).features == {name: ("no_face", "made up")}
    context.features.put(name, key, stored)
    assert work(context, unit).features == {name: ("ok", "")}
