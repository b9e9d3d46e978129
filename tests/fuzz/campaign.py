"""A seeded fuzz campaign: mutated media, records, stored files, YAML and manifests, and what becomes of them.

    python tests/fuzz/campaign.py [--seed 0] [--scale 1.0] [KIND ...]

prints a table with one row per kind. Every input is *right* (what is read equals what the unchanged file says),
*reported* (something else is read, with a note or as damage beside it), *refused* (an error of this project), or
*wrong* (another value without a warning, another exception, or a hang).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when it is run as a program

OUTCOMES = ("right", "reported", "refused", "wrong")
SLOWEST_S = 60.0
Case = Callable[[], str]
Wrong = list[str]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with one to four faults: flipped bits, changed, lost, repeated or zeroed pieces, a cut, a swap."""
    work = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not work:
            break
        start = int(rng.integers(len(work)))
        length = int(min(len(work) - start, 2 ** rng.integers(0, 10)))
        match int(rng.integers(7)):
            case 0 | 1:
                work[start] ^= 1 << int(rng.integers(8))
            case 2:
                work[start : start + length] = rng.bytes(length)
            case 3:
                del work[start : start + length]
            case 4:
                work[start:start] = work[start : start + length]
            case 5:
                work[start : start + length] = bytes(length)
            case _:
                del work[start:]
    return bytes(work)


def judged(case: Case, wrong: Wrong, name: str) -> str:
    """The outcome of a case; whatever is no answer is wrong."""
    from emo_core.errors import EmoBenchError

    started = time.monotonic()
    try:
        outcome = case()
    except EmoBenchError:
        outcome = "refused"
    except Exception as error:
        outcome = "wrong"
        wrong.append(f"{name}: {type(error).__name__}: {error}"[:300])
    else:
        if outcome == "wrong":
            wrong.append(f"{name}: read as something else without a word")
    if time.monotonic() - started > SLOWEST_S:
        wrong.append(f"{name}: took longer than {SLOWEST_S:g} s")
        outcome = "wrong"
    return outcome


SUITE = """\
name: tiny
description: "a suite: with 'quotes'"
dataset: {kind: hdtf-synth, slice: mini, max_clips: 2}
media: {fps: 30000/1001, size: {width: 64, height: 64}}
base: &base [1, 0x1F, 1e3, ~, true]
metrics:
  - psnr/rgb@1   # a comment
  - ssim/gauss11@1
seeds: [0, 1]
again: *base
merged: {<<: {a: 1}, b: 2}
"""
PIECES = (
    *("&a ", "*a ", "*base", "<<: ", "!!python/object:x ", "!x ", "[", "]", "{", "}", ": ", "- ", "| ", "> ", "\n"),
    *("\t", "'", '"', "#", "%", "1e999", "9" * 200, "0x" + "f" * 200, "---\n", "...\n", "? ", "\u2028", "\0"),
)


def yaml_cases(rng: np.random.Generator, count: int, folder: Path) -> Iterator[Case]:
    """Texts of suites with faults; right is what the library reads."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from emo_bench.config.load import read_yaml

    path = folder / "suite.yaml"

    def as_text(value: Any) -> Any:
        if isinstance(value, dict):
            return sorted(repr(as_text(item)) for item in value.values())  # keys that are no text are text for us
        if isinstance(value, list):
            return [as_text(item) for item in value]
        return value if isinstance(value, (str, bool)) or value is None else f"{float(value):g}"

    def case(data: bytes) -> Case:
        def run() -> str:
            path.write_bytes(data)
            values = read_yaml(path).values
            try:
                expected = YAML(typ="safe", pure=True).load(io.StringIO(data.decode("utf-8")))
                return "right" if as_text(values) == as_text(expected) else "wrong"
            except (YAMLError, ValueError, OverflowError, TypeError):
                return "right"  # dates that are none, for example: text for us

        return run

    for index in range(count):
        text = SUITE
        for _ in range(int(rng.integers(1, 4))):
            place = int(rng.integers(len(text) + 1))
            text = text[:place] + PIECES[int(rng.integers(len(PIECES)))] * int(rng.choice([1, 1, 1, 60])) + text[place:]
        yield case(text.encode() if index % 2 else mutated(SUITE.encode(), rng))


def manifest_cases(rng: np.random.Generator, count: int, folder: Path) -> Iterator[Case]:
    """Manifests with faults; right is a manifest of the same digest, reported one of another digest."""
    from emo_bench.data.manifest import ManifestEntry, read_manifest, write_manifest

    path = folder / "manifest.jsonl"
    entries = [
        ManifestEntry(
            id=f"clip-{n}", video=f"{n}.mp4", audio=f"{n}.wav", identity=f"p{n}", reference_frame=n,
            face_box=(1.0, 2.0, 30.5, 40.0 + n), sha256={"video": f"{n}" * 64, "audio": "a" * 64},
            meta={"style": "photo"},
        )
        for n in range(4)
    ]  # fmt: skip
    write_manifest(path, entries)
    whole, before = path.read_bytes(), read_manifest(path)

    def content(manifest: Any) -> Any:
        return [entry.model_dump(exclude={"video", "audio", "meta"}) for entry in manifest.entries]

    def case(data: bytes) -> Case:
        def run() -> str:
            path.write_bytes(data)
            found = read_manifest(path)
            if found.digest != before.digest:
                return "reported"
            return "right" if content(found) == content(before) else "wrong"

        return run

    yield from (case(mutated(whole, rng)) for _ in range(count))


def record_cases(rng: np.random.Generator, count: int, folder: Path) -> Iterator[Case]:
    """Run folders with a fault in one file, or files of another run; the gate must not pass what is not equal."""
    import record_factory

    from emo_bench.gate import GateRules, Rule, evaluate_gate
    from emo_bench.gate.rules import Requirements
    from emo_bench.record.run_data import load_run

    rules = GateRules(
        resamples=100,
        require=Requirements(recomputed=False),
        rules=(Rule(protocol="psnr/*"), Rule(protocol="e-fid/*")),
    )
    small = {"n_clips": 10, "failing": 0, "systems": ("emo-synth",), "anchors": ("ground_truth",)}
    good = record_factory.write_run(record_factory.make_run(**small), folder / "good", previews=False)  # type: ignore[arg-type]
    other = record_factory.write_run(
        record_factory.make_run(**small, noise_seed=9), folder / "other", previews=False  # type: ignore[arg-type]
    )  # fmt: skip
    baseline = load_run(good)

    def case(name: str, data: bytes) -> Case:
        def run() -> str:
            target = folder / "mutant"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(good, target)
            (target / name).write_bytes(data)
            found = load_run(target)
            same = found.record == baseline.record and found.rows == baseline.rows
            passed = evaluate_gate(baseline, found, rules).outcome == "pass"
            if same and (passed or found.damage):
                return "right" if passed else "reported"
            return "wrong" if passed else "reported" if found.notes else "wrong"

        return run

    names = ("record.json", "record.json", "clips.parquet", "series.parquet")
    for index in range(count):
        name = names[index % len(names)]
        swapped = index % 10 == 9
        yield case(name, (other / name).read_bytes() if swapped else mutated((good / name).read_bytes(), rng))


def stored_cases(rng: np.random.Generator, count: int, folder: Path) -> Iterator[Case]:
    """Stored features and clips with faults or under each other's names; right is the same value, refused is none."""
    from emo_bench.extract.feature_store import FeatureResult, FeatureStore
    from emo_bench.media.recipe import leaf_of
    from emo_bench.media.types import Audio, video_from_array
    from emo_bench.systems.clip_store import ClipStore
    from emo_core.errors import ClipError
    from emo_core.hashing import digest_of

    features, clips = FeatureStore(folder / "store"), ClipStore(folder / "store")
    keys = [digest_of(n) for n in range(2)]
    for n, key in enumerate(keys):
        features.put("a/b@1", key, FeatureResult({"x": rng.normal(size=(4, 3)), "n": np.arange(5)}))
        frames = np.full((4, 16, 16, 3), 50 + n, np.uint8)
        audio = Audio(np.full(2560, n / 2, np.float32), 16000)
        clips.put(key, video=video_from_array(frames, fps=Fraction(25)), audio=audio)

    def files_of(key: str) -> list[Path]:
        found = clips.get(key)
        assert found is not None
        stored = [clips.place(leaf_of(found.sidecar.frames)), clips.objects.path(found.sidecar.audio)]
        return [features.path("a/b@1", key), *stored, clips.path(key)]

    files, others = files_of(keys[0]), files_of(keys[1])
    whole = [path.read_bytes() for path in files]
    first = features.get("a/b@1", keys[0])
    assert first is not None
    sidecar = clips.get(keys[0])
    assert sidecar is not None

    def case(index: int, data: bytes) -> Case:
        def run() -> str:
            for path, content in zip(files, whole, strict=True):
                path.write_bytes(content)
            files[index].write_bytes(data)
            if index == 0:
                found = features.get("a/b@1", keys[0])
                if found is None:
                    return "refused"
                return "right" if all(np.array_equal(found.arrays[k], v) for k, v in first.arrays.items()) else "wrong"
            stored = clips.get(keys[0])
            if stored is None:
                return "refused"
            try:
                video, audio = clips.open(stored)
                same = all((piece == 50).all() for piece in video.open()) and not audio.samples.any()
            except ClipError:
                return "refused"
            return "right" if same and stored.sidecar == sidecar.sidecar else "wrong"

        return run

    for index in range(count):
        which = index % len(files)
        yield case(which, others[which].read_bytes() if index % 7 == 6 else mutated(whole[which], rng))


def media_cases(rng: np.random.Generator, count: int, folder: Path) -> Iterator[Case]:
    """Small videos in several containers with faults; right is the same pictures, and audio within a 16-bit step.

    AAC has no checksum, and a changed bit of a small coefficient may stay below that step.
    """
    import record_factory

    from emo_bench.media.decode import load_pair

    def reading(path: Path) -> tuple[str, Any, tuple[str, ...]]:
        pair = load_pair(path)
        digest = hashlib.sha256(f"{pair.video.spec}{len(pair.audio.samples)}".encode())
        for piece in pair.video.open():
            digest.update(np.ascontiguousarray(piece).tobytes())
        return digest.hexdigest(), pair.audio.samples, tuple(pair.notes)

    def case(source: Path, data: bytes, before: tuple[str, Any, tuple[str, ...]]) -> Case:
        def run() -> str:
            path = folder / f"mutant{source.suffix}"
            path.write_bytes(data)
            digest, samples, notes = reading(path)
            # The digest covers the number of samples.
            if digest == before[0] and np.abs(samples - before[1]).max() < 2**-15:
                return "right"
            return "reported" if set(notes) - set(before[2]) else "wrong"

        return run

    sources = []
    for n, suffix in enumerate((".mp4", ".mkv", ".mov", ".avi")):
        path = folder / f"whole{suffix}"
        record_factory.tiny_video(path, hue=40 * n, n_frames=15, size=64)
        sources.append((path, path.read_bytes(), reading(path)))
    for index in range(count):
        path, whole, before = sources[index % len(sources)]
        yield case(path, mutated(whole, rng), before)


KINDS: dict[str, tuple[Callable[[np.random.Generator, int, Path], Iterator[Case]], int]] = {
    "YAML": (yaml_cases, 1000),
    "manifests": (manifest_cases, 1000),
    "records": (record_cases, 200),
    "stored files": (stored_cases, 300),
    "media": (media_cases, 80),
}
"""Kind -> what makes its cases, and how many at scale 1."""


def run_kind(kind: str, *, seed: int, scale: float) -> tuple[Counter[str], Wrong]:
    """Runs the campaign of one kind; equal seeds give equal inputs."""
    make, count = KINDS[kind]
    counts, wrong = Counter(dict.fromkeys(OUTCOMES, 0)), list[str]()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        rng = np.random.default_rng([seed, *kind.encode()])
        for index, case in enumerate(make(rng, max(1, round(count * scale)), Path(folder))):
            counts[judged(case, wrong, f"{kind} {index}")] += 1
    return counts, wrong


def main() -> int:
    """Prints the table; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=[], metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="how many inputs, relative to the usual number")
    arguments = parser.parse_args()
    print("| kind | tried | right | reported | refused | wrong |\n| --- | --: | --: | --: | --: | --: |")  # noqa: T201
    failures: Wrong = []
    for kind in arguments.kinds or KINDS:
        counts, wrong = run_kind(kind, seed=arguments.seed, scale=arguments.scale)
        cells = [str(sum(counts.values())), *(str(counts[outcome]) for outcome in OUTCOMES)]
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)  # noqa: T201
        failures += wrong
    sys.stderr.write(json.dumps(failures, indent=1) + "\n" if failures else "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
