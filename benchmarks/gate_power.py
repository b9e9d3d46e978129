"""What the regression gate really catches: checkpoints that are worse in known ways, and checkpoints that are not.

The accepted checkpoint is Wav2Lip trained on HDTF-Synth. Worse ones are made from it: noise on every weight (as a part
of that tensor's standard deviation), the audio read some frames ahead so that the lips come too early, the portrait of
another person. All speak the same clips of people that no network was trained on; then whole runs are judged with the
rules of configs/gates, for many draws of people, as many as the suite of a pull request has.

False alarms are counted in two ways, since a checkpoint without randomness gives the same video for every seed and a
comparison with itself would prove nothing:

swap      For every person a coin decides which of two checkpoints speaks in the baseline and which in the candidate.
          The two runs differ in real videos by real amounts, and neither can be worse: every alarm is false, whatever
          the two checkpoints are. This is the chance of a false alarm that the gate promises.
siblings  The accepted checkpoint with a tiny noise on its weights, another one for each sibling: as good, not the same.
          An alarm here says that the gate reports differences too small to matter.

Half the sampling steps need a system that samples; none with weights ships yet, so that this is not measured.

    python benchmarks/gate_power.py --data data/hdtf-synth --work runs/gate-power        (about 10 minutes of two cores)
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo_bench.config.schema import RunConfig, System
from emo_bench.data.manifest import ManifestEntry, read_manifest, write_manifest
from emo_bench.data.sets.hdtf_synth import make_hdtf_synth
from emo_bench.engine.context import RunContext
from emo_bench.engine.plan import other_units, truth_units
from emo_bench.engine.pool import run_units
from emo_bench.engine.spec import RunSpec
from emo_bench.engine.unit import GROUND_TRUTH, Outcome, Unit
from emo_bench.gate import GateRules, evaluate_gate, read_rules
from emo_bench.record.run_data import ClipRow, RunData
from emo_bench.record.schema import Timings
from emo_bench.runner.build_record import build_record
from emo_bench.scoring.evaluate import evaluate
from emo_bench.systems.system import GeneratedClip, GenerationRequest, systems
from emo_bench.systems.wav2lip import Wav2Lip
from emo_core.atomic import write_json
from emo_core.hashing import sha256_file
from emo_core.rng import numpy_generator, torch_generator

REPOSITORY = Path(__file__).resolve().parents[1]
SUITE_METRICS = (
    "fid/synth@1", "fvd/synth@1", "sync/synth@1", "f-sim/synth@1", "e-fid/synth@1", "head-velocity/synth@1",
    "mouth-truth/synth@1", "psnr/rgb@1", "ssim/gauss11@1",
)  # fmt: skip
"""As in configs/suites/checkpoint.yaml."""

NOISES = (0.03, 0.1, 0.3)
EARLY_FRAMES = (1, 2, 4)
SIBLING_NOISE = 1e-3
SIBLINGS = 2


class OtherPortrait(Wav2Lip):
    """Wav2Lip that is handed the portrait of another person."""

    partner = "other_identity"

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Speaks from the first frame of the partner's clip."""
        assert request.partner is not None
        first = next(iter(request.partner.video.open()))[0]
        return super().generate(dataclasses.replace(request, reference_image=first))


@dataclass(frozen=True)
class Variant:
    """A checkpoint and what is wrong with it."""

    name: str
    kind: str = "wav2lip"
    noise: float = 0.0
    seed: int = 0
    early: int = 0


def variants() -> tuple[Variant, ...]:
    """The accepted checkpoint first, then its siblings, then the worse ones."""
    siblings = [Variant(f"sibling-{seed}", noise=SIBLING_NOISE, seed=seed) for seed in range(1, SIBLINGS + 1)]
    noisy = [Variant(f"noise-{noise:g}", noise=noise) for noise in NOISES]
    early = [Variant(f"early-{frames}", early=frames) for frames in EARLY_FRAMES]
    return (Variant("accepted"), *siblings, *noisy, *early, Variant("other-portrait", kind="other_portrait"))


def write_variant(source: Path, variant: Variant, folder: Path) -> Path:
    """The weights of a variant as a file."""
    import torch

    from emo_models.baselines.wav2lip.checkpoints import load_generator, save_generator

    path = folder / f"{variant.name}.safetensors"
    generator = load_generator(source)
    draw = torch_generator(variant.seed, "gate power", f"{variant.noise}")
    with torch.no_grad():
        for parameter in generator.parameters():
            if variant.noise and parameter.numel() > 1:
                size = variant.noise * float(parameter.std())
                parameter += size * torch.randn(parameter.shape, generator=draw)
    start = generator.config.window_start + variant.early
    generator.config = dataclasses.replace(generator.config, window_start=start)
    save_generator(generator, path)
    return path


def collect_people(data: Path, target: Path, *, people: int) -> Path:
    """One clip each of so many people that no network was trained on; returns the manifest."""
    chosen: dict[str, tuple[Path, ManifestEntry]] = {}
    for part in ("mini", "test"):
        make_hdtf_synth(data / part, slice=part, size=128)
        for entry in read_manifest(data / part / "manifest.jsonl").entries:
            chosen.setdefault(entry.identity, (data / part, entry))
    if len(chosen) < people:
        raise SystemExit(f"expected at least {people} people in the mini and test slices, found {len(chosen)}")
    kept = [chosen[name] for name in sorted(chosen)[:people]]
    for root, entry in kept:
        for relative in filter(None, (entry.video, entry.audio, entry.truth)):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / relative, target / relative)
    write_manifest(target / "manifest.jsonl", [entry for _, entry in kept])
    return target / "manifest.jsonl"


def suite(chosen: Sequence[System], manifest: Path, work: Path) -> RunConfig:
    """The suite of the measurement."""
    return RunConfig.model_validate_json(
        json.dumps(
            {
                "name": "gate-power",
                "dataset": {"kind": "manifest", "manifest": str(manifest.absolute())},
                "anchors": [],
                "systems": [{"name": one.name, "kind": one.kind, **one.options} for one in chosen],
                "metrics": list(SUITE_METRICS),
                "statistics": {"resamples": 100},  # of no concern to the gate, which resamples by its own rules
                "execution": {"workers": 1},
                "store": str(work / "store"),
            }
        ),
    )


class Clips:
    """All clips of all variants with their features, from which runs are put together."""

    def __init__(self, source: Path, manifest: Path, work: Path) -> None:
        self.work, self.manifest = work, manifest
        self.names = [variant.name for variant in variants()]
        files = {one.name: write_variant(source, one, work / "weights") for one in variants()}
        self._systems = [
            System(
                name=one.name,
                kind=one.kind,
                weights="wav2lip-synth",
                file=str(files[one.name].absolute()),
                sha256=sha256_file(files[one.name]),
            )
            for one in variants()
        ]
        entries = read_manifest(manifest).entries
        self.identities = {entry.id: entry.identity for entry in entries}
        self._entries = {entry.id: entry for entry in entries}
        self.outcomes: dict[tuple[str, str], Outcome] = {}

    def make(self) -> None:
        """Generates and extracts everything that is missing."""
        spec = self._spec(suite(self._systems, self.manifest, self.work), tuple(self._entries.values()))
        context = RunContext(spec)
        for units in (truth_units(context), other_units(context)):
            for outcome in run_units(spec, units, workers=1, timeout_s=600):
                if outcome.code != "ok":
                    raise SystemExit(f"{outcome.unit}: {outcome.code}: {outcome.reason}")
                self.outcomes[outcome.unit.system, outcome.unit.clip] = outcome
                print(f"\r{len(self.outcomes)} clips", end="", flush=True)
        print()

    def _spec(self, config: RunConfig, entries: tuple[ManifestEntry, ...]) -> RunSpec:
        return RunSpec(config, Path(), self.manifest.parent, entries, self.work / "store")

    def run(self, speakers: Mapping[str, str]) -> RunData:
        """A run of one system on some clips.

        Args:
            speakers: Clip -> variant that speaks it.
        """
        config = suite([self._systems[0].model_copy(update={"name": "checkpoint"})], self.manifest, self.work)
        context = RunContext(self._spec(config, tuple(self._entries[clip] for clip in sorted(speakers))))
        units = {Unit("checkpoint", clip, 0): self.outcomes[name, clip] for clip, name in speakers.items()}
        outcomes = [self.outcomes[GROUND_TRUTH, clip] for clip in sorted(speakers)]
        outcomes += [dataclasses.replace(outcome, unit=unit) for unit, outcome in units.items()]
        evaluation = evaluate(context, outcomes, step=lambda name: None)
        record = build_record(
            context,
            outcomes=outcomes,
            planned=[outcome.unit for outcome in outcomes],
            evaluation=evaluation,
            timings=Timings(started="", finished="", seconds=0.0),
            config_given="",
            overrides=(),
            dataset_name="HDTF-Synth",
            synthetic=True,
        )
        rows = tuple(ClipRow(**{name: getattr(row, name) for name in ClipRow.__slots__}) for row in evaluation.rows)
        return RunData(record=record, rows=rows)


@dataclass
class Count:
    """Verdicts of repeated runs."""

    runs: int = 0
    failed: int = 0
    warned: int = 0
    reasons: dict[str, int] = dataclasses.field(default_factory=dict)

    def add(self, baseline: RunData, candidate: RunData, rules: GateRules) -> None:
        """Judges one pair of runs."""
        verdict = evaluate_gate(baseline, candidate, rules)
        assert verdict.outcome != "invalid", verdict.problems
        worse = [rule for rule in verdict.rules if rule.outcome in ("worse", "lost")]
        self.runs += 1
        self.failed += verdict.outcome == "fail"
        self.warned += bool(worse)
        for rule in worse:
            name = f"{rule.change.protocol} {rule.change.key}" + (" (warn)" if rule.severity == "warn" else "")
            self.reasons[name] = self.reasons.get(name, 0) + 1


def draws(clips: Clips, *, people: int, count: int) -> Iterator[list[str]]:
    """Clips of so many people, drawn again and again."""
    everyone = sorted(set(clips.identities.values()))
    generator = numpy_generator(0, "gate power: people", str(people))
    for _ in range(count):
        drawn = set(generator.choice(everyone, size=people, replace=False)) if people < len(everyone) else set(everyone)
        yield sorted(clip for clip, who in clips.identities.items() if who in drawn)


def measure(clips: Clips, rules: GateRules, *, people: int, count: int, swaps: int) -> dict[str, Count]:
    """Verdicts for every variant against the accepted checkpoint, and for swapped pairs."""
    found: dict[str, Count] = {name: Count() for name in clips.names[1:]}
    for chosen in draws(clips, people=people, count=count):
        baseline = clips.run(dict.fromkeys(chosen, "accepted"))
        for name, counted in found.items():
            counted.add(baseline, clips.run(dict.fromkeys(chosen, name)), rules)
    for other in (f"noise-{NOISES[1]:g}", f"early-{EARLY_FRAMES[1]}"):
        found[f"swap {other}"] = Count()
        for index, chosen in enumerate(draws(clips, people=people, count=swaps)):
            coin = numpy_generator(index, "gate power: swap", other)
            who = {name: bool(coin.integers(2)) for name in sorted(set(clips.identities.values()))}
            one = {clip: "accepted" if who[clips.identities[clip]] else other for clip in chosen}
            two = {clip: other if who[clips.identities[clip]] else "accepted" for clip in chosen}
            found[f"swap {other}"].add(clips.run(one), clips.run(two), rules)
    return found


def upper_bound(failed: int, runs: int) -> float:
    """One-sided 95 % upper bound of a rate (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    return 1.0 if failed == runs else float(beta.ppf(0.95, failed + 1, runs - failed))


def table(found: Mapping[str, Count]) -> str:
    """The verdicts as Markdown."""
    lines = [
        "| candidate | runs | failed | rate | upper 95 % bound | what was worse |",
        "| --- | --: | --: | --: | --: | --- |",
    ]
    for name, count in found.items():
        reasons = sorted(count.reasons.items(), key=lambda item: -item[1])[:4]
        text = ", ".join(f"{what} {number}" for what, number in reasons) or "nothing"
        rate = count.failed / count.runs
        bound = upper_bound(count.failed, count.runs)
        lines.append(f"| {name} | {count.runs} | {count.failed} | {rate:.0%} | {bound:.0%} | {text} |")
    return "\n".join(lines)


def main() -> None:
    """Makes the clips, judges, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shipped = REPOSITORY / "models/emo_models/baselines/wav2lip/weights/wav2lip_synth.safetensors"
    parser.add_argument("--weights", type=Path, default=shipped, help="the accepted checkpoint")
    parser.add_argument("--data", type=Path, default=Path("data/hdtf-synth"))
    parser.add_argument("--work", type=Path, default=Path("runs/gate-power"))
    parser.add_argument("--rules", type=Path, default=REPOSITORY / "configs/gates/default.yaml")
    parser.add_argument("--people", type=int, default=20, help="people, one clip each")
    parser.add_argument("--drawn", type=int, default=12, help="people in each run; as in the suite 'checkpoint'")
    parser.add_argument("--draws", type=int, default=20, help="runs for each checkpoint")
    parser.add_argument("--swaps", type=int, default=50, help="runs for each pair of swapped checkpoints")
    given = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    systems.add("other_portrait", OtherPortrait)
    started = time.process_time()
    manifest = collect_people(given.data, given.work / "set", people=given.people)
    clips = Clips(given.weights, manifest, given.work)
    clips.make()
    print(f"clips and features: {time.process_time() - started:.0f} s of processor time")
    rules = read_rules(given.rules)
    found = measure(clips, rules, people=given.drawn, count=given.draws, swaps=given.swaps)
    print(f"everything: {time.process_time() - started:.0f} s of processor time\n")
    print(f"{given.drawn} of {given.people} people in each run, weights {sha256_file(given.weights)[:12]}\n")
    print(table(found))
    plain: dict[str, Any] = {name: dataclasses.asdict(count) for name, count in found.items()}
    write_json(given.work / "gate_power.json", {"drawn": given.drawn, "people": given.people, "verdicts": plain})


if __name__ == "__main__":
    np.seterr(all="warn")
    main()
