"""Two runs on the same clips measured the same ground truth, or the gate does not compare them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import record_factory

from emo_bench.config.schema import REFERENCE_SET
from emo_bench.gate import GateRules, Rule, evaluate_gate
from emo_bench.gate.rules import Requirements
from emo_bench.record.run_data import RunData, load_run
from emo_bench.record.schema import ReferenceSetEntry
from emo_bench.record.set_samples import SAMPLES_FILE, ClipSamples, write_set_samples

PROTOCOL = "e-fid/mediapipe-52@1"
RULES = GateRules(
    resamples=200, require=Requirements(recomputed=False, sealed=False), rules=(Rule(protocol="*", primary_only=True),)
)


def run_with(
    folder: Path, change: Callable[[np.ndarray], np.ndarray | None], *, system: str = "ground-truth", seed: int = 0
) -> RunData:
    """A run whose samples of one system were changed, or left out, in the first clip."""
    run = record_factory.make_run(n_clips=10, failing=0)
    found = []
    for name in ("ground-truth", "emo-synth", REFERENCE_SET):
        rng = np.random.default_rng(len(name))
        for clip in run.record.clips:
            samples: np.ndarray | None = rng.normal(size=(20, 52))
            if name == system and clip is run.record.clips[0]:
                samples = change(samples)
            if samples is None:
                continue
            found.append(
                ClipSamples(protocol=PROTOCOL, system=name, clip=clip.id, seed=seed, coverage=1.0, samples=samples)
            )
    folder.mkdir()
    write_set_samples(folder, found)
    return load_run(record_factory.write_run(run, folder, previews=False))


def same(samples: np.ndarray) -> np.ndarray:
    return samples


def problems(baseline: RunData, candidate: RunData) -> list[str]:
    return [text for text in evaluate_gate(baseline, candidate, RULES).problems if "of both runs is the same" in text]


CHANGES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "moved": lambda samples: samples + 0.05,
    "fewer": lambda samples: samples[:-1],
    "not a number": lambda samples: np.where(samples == samples.max(), np.nan, samples),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_samples_of_the_ground_truth_are_refused(tmp_path: Path, change: Callable[..., np.ndarray]) -> None:
    honest, forged = run_with(tmp_path / "a", same), run_with(tmp_path / "b", change)
    assert problems(honest, honest) == []
    (problem,) = problems(honest, forged)
    assert f"samples of {PROTOCOL} differ in 1 of 10 clips" in problem
    assert repr(honest.record.clips[0].id) in problem
    assert evaluate_gate(honest, forged, RULES).outcome == "invalid"
    assert evaluate_gate(forged, honest, RULES).outcome == "invalid"


def test_real_clips_are_matched_whatever_the_seeds_of_the_systems_are(tmp_path: Path) -> None:
    honest = run_with(tmp_path / "a", same)
    assert problems(honest, run_with(tmp_path / "b", same, seed=7)) == []
    (problem,) = problems(honest, run_with(tmp_path / "c", CHANGES["moved"], seed=7))
    assert "differ in 1 of 10 clips" in problem


def test_clips_that_are_missing_on_one_side_of_the_real_ones_are_refused(tmp_path: Path) -> None:
    """A distance from nine real clips is not the distance from ten, though both follow from their samples."""
    whole, fewer = run_with(tmp_path / "a", same), run_with(tmp_path / "b", lambda samples: None)
    clip = repr(whole.record.clips[0].id)
    for pair, side in (((whole, fewer), "candidate"), ((fewer, whole), "baseline")):
        (problem,) = problems(*pair)
        assert f"the {side} lacks samples of {PROTOCOL} of 1 of 10 clips, for example {clip}" in problem
        assert evaluate_gate(*pair, RULES).outcome == "invalid"
    # Runs keep the samples of a protocol wholly or, where they are too large, not at all.
    without = run_with(tmp_path / "c", same)
    (tmp_path / "c" / SAMPLES_FILE).unlink()
    assert problems(whole, without) == []


def test_rounding_of_another_processor_and_other_systems_are_let_through(tmp_path: Path) -> None:
    honest = run_with(tmp_path / "a", same)
    assert problems(honest, run_with(tmp_path / "b", lambda samples: samples * (1 + 1e-5))) == []
    assert problems(honest, run_with(tmp_path / "c", lambda samples: samples + 1, system="emo-synth")) == []


def test_the_reference_set_counts_where_both_runs_have_the_same(tmp_path: Path) -> None:
    runs = run_with(tmp_path / "a", same), run_with(tmp_path / "b", CHANGES["moved"], system=REFERENCE_SET)
    assert problems(*runs) == []

    def with_set(run: RunData, digest: str) -> RunData:
        entry = ReferenceSetEntry(name="real", digest=digest, n_clips=10, n_identities=10, synthetic=False)
        return dataclasses.replace(run, record=run.record.model_copy(update={"reference_set": entry}))

    (problem,) = problems(with_set(runs[0], "a" * 64), with_set(runs[1], "a" * 64))
    assert problem.startswith("The reference set of both runs is the same")
    fewer = run_with(tmp_path / "c", lambda samples: None, system=REFERENCE_SET)
    (problem,) = problems(with_set(runs[0], "a" * 64), with_set(fewer, "a" * 64))
    assert "the candidate lacks samples" in problem
    assert problems(with_set(runs[0], "a" * 64), with_set(runs[1], "b" * 64)) == []


def test_distances_from_the_real_clips_of_other_data_are_refused_whatever_the_rules_allow(tmp_path: Path) -> None:
    """Without a reference set the real clips of a run's own data are what its sets are compared with."""
    run = run_with(tmp_path / "a", same)
    digests = run.record.digests.model_copy(update={"dataset": "e" * 64})
    other = dataclasses.replace(run, record=run.record.model_copy(update={"digests": digests}))
    anything = RULES.model_copy(update={"require": Requirements(recomputed=False, sealed=False, same_dataset=False)})
    verdict = evaluate_gate(run, other, anything)
    assert verdict.outcome == "invalid"
    (problem,) = verdict.problems
    assert problem.startswith("The real clips that sets are compared with differ")
    of_clips = anything.model_copy(update={"rules": (Rule(protocol="lmd/*"), Rule(protocol="f-sim/*"))})
    assert evaluate_gate(run, other, of_clips).problems == ()


def test_other_values_of_a_clip_of_the_ground_truth_are_refused() -> None:
    run = record_factory.make_run(n_clips=10, failing=0)
    first = next(row for row in run.rows if (row.system, row.key) == ("ground-truth", "f-sim"))
    assert first.value is not None
    moved = dataclasses.replace(first, value=first.value + 5)
    forged = dataclasses.replace(run, rows=tuple(moved if row is first else row for row in run.rows))
    assert problems(run, run) == []
    (problem,) = problems(run, forged)
    assert (
        f"clip {first.clip!r} has {first.value:.6g} in the baseline and {moved.value:.6g} in the candidate" in problem
    )
