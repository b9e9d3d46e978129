# ruff: noqa: E501 - tables of numbers read better in one line
"""Run folders with plausible numbers, hostile names and every kind of gap, for tests of what reads records."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emo_bench.record.rows import CLIP_COLUMNS, ClipRow
from emo_bench.record.run_data import RunData, Series
from emo_bench.record.schema import (
    AnchorCheck,
    ClipEntry,
    ComparisonEntry,
    Counts,
    Digests,
    FailureEntry,
    GitState,
    IntervalEntry,
    ProtocolEntry,
    Provenance,
    RunRecord,
    SystemEntry,
    Timings,
    ValueDescription,
    ValueEntry,
    WeightsEntry,
)
from emo_bench.record.seal import config_digest, sealed
from emo_bench.record.store import write_record

ANCHORS = ("ground_truth", "reencoded", "frozen", "shuffled_audio", "shifted_audio", "other_identity")
HOSTILE = (
    "<script>alert(1)</script>",
    "$\\x$ & 50% #_{}~^",
    '#panic("owned")',
    "=cmd()|'/C calc'!A0",
    "\\input{/etc/passwd}",
)
RTL = "\u202eevil\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627"
MAX_PEOPLE = 10
LONG = "long-" * 40


def _value(key: str, label: str, direction: str, unit: str, decimals: int, primary: bool = True) -> ValueDescription:
    return ValueDescription(key=key, label=label, direction=direction, unit=unit, decimals=decimals, primary=primary)  # type: ignore[arg-type]


def _protocol(name: str, title: str, granularity: str, *values: ValueDescription, **extra: Any) -> ProtocolEntry:
    weights = (WeightsEntry(file="face.task", sha256="ab" * 32, licence="Apache-2.0", non_commercial=False),)
    options = {"weights": weights, "source": "arXiv 2402.17485, section 4.3", "family": "open", **extra}
    return ProtocolEntry(
        name=name, title=title, granularity=granularity, values=values, extractors=("face/mediapipe@1",), **options
    )  # type: ignore[arg-type]


PROTOCOLS = (
    _protocol(
        "e-fid/mediapipe-52@1", "Expression Fréchet distance (52 MediaPipe blendshapes)", "set",
        _value("e-fid", "E-FID", "lower", "", 3), order=50,
    ),
    _protocol(
        "f-sim/mobilefacenet@1", "Face similarity to the reference image (MobileFaceNet)", "clip",
        _value("f-sim", "F-SIM", "closer_to_gt", "cosine x 100", 2),
        _value("f-sim-min", "F-SIM min", "closer_to_gt", "cosine x 100", 2, False),
        order=30,
    ),
    _protocol(
        "sync/joonson@1", "Lip sync of SyncNet", "clip",
        _value("lse-c", "LSE-C", "higher", "", 3), _value("lse-d", "LSE-D", "lower", "", 3),
        family="reference", status="unavailable", reason="weights file syncnet_v2.model is not in any configured folder", order=20,
    ),
    _protocol("lmd/iod@1", "Landmark distance by interocular distance", "clip", _value("lmd", "LMD", "lower", "% of IOD", 2), order=90),
    _protocol("psnr/rgb@1", "Peak signal-to-noise ratio", "clip", _value("psnr", "PSNR", "higher", "dB", 2), order=70),
    _protocol("ssim/gaussian11@1", "Structural similarity", "clip", _value("ssim", "SSIM", "higher", "", 4), order=80),
    _protocol(
        "lip-sync/lag@1", "Lag of the mouth behind the loudness", "clip",
        _value("lag-error", "Lag error", "lower", "frames", 2), _value("lag-peak", "Lag peak", "higher", "", 3, False),
    ),
    _protocol(
        "head-velocity/euler@1", "Head rotation velocity (EMO, Table 2)", "clip",
        _value("mean", "Mean", "closer_to_gt", "°/s", 2), _value("variance", "Within-clip variance", "closer_to_gt", "°²/s²", 2),
        group="motion", group_title="Head motion",
    ),
)  # fmt: skip

# anchor/system -> (mean by key); the spread is a tenth of the distance between ground truth and frozen
MEANS: dict[str, dict[str, float]] = {
    "e-fid": {"ground_truth": 0.0, "reencoded": 0.02, "frozen": 3.1, "shuffled_audio": 1.9, "shifted_audio": 0.05, "other_identity": 4.4, "good": 0.61, "bad": 1.42},
    "f-sim": {"ground_truth": 88.1, "reencoded": 87.6, "frozen": 99.2, "shuffled_audio": 88.0, "shifted_audio": 88.1, "other_identity": 14.2, "good": 84.3, "bad": 78.8},
    "f-sim-min": {"ground_truth": 80.1, "reencoded": 79.6, "frozen": 99.0, "shuffled_audio": 80.0, "shifted_audio": 80.1, "other_identity": 8.2, "good": 74.3, "bad": 66.8},
    "lmd": {"ground_truth": 0.0, "reencoded": 0.21, "frozen": 7.9, "shuffled_audio": 6.2, "shifted_audio": 0.0, "other_identity": 19.2, "good": 3.31, "bad": 4.9},
    "psnr": {"reencoded": 41.2, "frozen": 21.3, "shuffled_audio": 22.6, "shifted_audio": 99.0, "other_identity": 9.8, "good": 27.2, "bad": 25.1},
    "ssim": {"ground_truth": 1.0, "reencoded": 0.982, "frozen": 0.78, "shuffled_audio": 0.80, "shifted_audio": 1.0, "other_identity": 0.31, "good": 0.871, "bad": 0.869},
    "lag-error": {"ground_truth": 0.3, "reencoded": 0.3, "frozen": 7.4, "shuffled_audio": 6.8, "shifted_audio": 5.1, "other_identity": 7.0, "good": 1.2, "bad": 3.9},
    "lag-peak": {"ground_truth": 0.61, "reencoded": 0.6, "frozen": 0.05, "shuffled_audio": 0.12, "shifted_audio": 0.6, "other_identity": 0.1, "good": 0.44, "bad": 0.25},
    "mean": {"ground_truth": 9.4, "reencoded": 9.5, "frozen": 0.0, "shuffled_audio": 9.1, "shifted_audio": 9.4, "other_identity": 8.7, "good": 7.7, "bad": 12.9},
    "variance": {"ground_truth": 31.0, "reencoded": 31.4, "frozen": 0.0, "shuffled_audio": 29.9, "shifted_audio": 31.0, "other_identity": 27.0, "good": 22.5, "bad": 55.0},
}  # fmt: skip
SPREAD = {"e-fid": 0.2, "f-sim": 2.0, "f-sim-min": 3.0, "lmd": 0.5, "psnr": 1.2, "ssim": 0.02, "lag-error": 0.6, "lag-peak": 0.06, "mean": 1.6, "variance": 8.0}  # fmt: skip


def make_run(
    *,
    n_clips: int = 12,
    systems: Sequence[str] = ("emo-synth", "wav2lip-like"),
    anchors: Sequence[str] = ANCHORS,
    seeds: Sequence[int] = (0,),
    synthetic: bool = True,
    failing: int = 1,
    name: str = "quickstart",
    noise_seed: int = 0,
    truth_seed: int = 0,
    worse_by: float = 0.0,
) -> RunData:
    """A finished run.

    Args:
        n_clips: Clips in the data set; of at most ten people.
        systems: Names of the systems under test; the first is good, the others are like each other and worse.
        anchors: Kinds of anchors.
        seeds: Seeds of generation.
        synthetic: Whether the clips are called synthetic.
        failing: How many clips of the second system have no face.
        name: Name of the run.
        noise_seed: Seed of all numbers but those of the ground truth.
        truth_seed: Seed of what the ground truth gives; runs on the same clips have the same.
        worse_by: In spreads, how much the first system is worse than usual.
    """
    rng = np.random.default_rng(noise_seed)
    clips = tuple(
        ClipEntry(
            id=f"clip-{i:02d}", identity=f"person-{i % MAX_PEOPLE:02d}", split="test", status="ok", n_frames=75, width=128,
            height=128, notes=("30 -> 25 fps",) if i == 3 else (),
        )
        for i in range(n_clips)
    )  # fmt: skip
    entries = tuple(
        SystemEntry(name=kind.replace("_", "-"), kind=kind, anchor=True, digest="0" * 64, options={})
        for kind in anchors
    ) + tuple(
        SystemEntry(name=system, kind="emo", anchor=False, digest="1" * 64, options={"steps": 40, "note": system})
        for system in systems
    )
    rows = _rows(clips, entries, systems, seeds, failing, rng, worse_by, truth_seed)
    values = _values(entries, systems, rows, len(clips) * len(seeds), rng)
    failures = tuple(
        FailureEntry(stage="extract", system=row.system, clip=row.clip, seed=row.seed, part="face/mediapipe@1",
                     code=row.status, reason=row.reason)
        for row in rows if row.status == "no_face" and row.key == "f-sim"
    )  # fmt: skip
    planned = len(clips) * len(entries) * len(seeds)
    config = {"seeds": list(seeds), "statistics": {"level": 0.95}}
    record = RunRecord(
        status="complete", name=name, title="Quickstart on HDTF-Synth", description="Two systems and all anchors.",
        config_given="version: 1\nname: quickstart\n", config=config,
        digests=Digests(config=config_digest(config), dataset="d" * 64), dataset_name="hdtf-synth/mini", synthetic=synthetic,
        systems=entries, protocols=PROTOCOLS, clips=clips, values=values,
        comparisons=_comparisons(systems, rows, {clip.id: clip.identity for clip in clips}),
        checks=_checks(values), failures=failures,
        counts=Counts(planned=planned, done=planned - len(failures), failed=len(failures)),
        provenance=Provenance(
            emo_bench="0.1.0", git=GitState(commit="589e048f" * 5, dirty=True), python="3.11.9",
            packages={"torch": "2.13.0", "numpy": "2.4.6", "mediapipe": "1.2.2"}, device="cpu",
            host={"processor": "x86_64", "cores": "2"},
        ),
        timings=Timings(started="2026-01-05T10:00:00Z", finished="2026-01-05T10:02:41Z", seconds=161.0,
                        by_stage={"prepare": 9.0, "generate": 60.5, "extract": 80.2, "score": 3.1}, units_computed=200),
    )  # fmt: skip
    return RunData(record=record, rows=rows, series=_all_series(clips, entries, systems, rng))


def _role(system: SystemEntry, systems: Sequence[str]) -> str:
    return system.kind if system.anchor else ("good" if system.name == systems[0] else "bad")


def _rows(clips, entries, systems, seeds, failing, rng, worse_by, truth_seed) -> tuple[ClipRow, ...]:  # type: ignore[no-untyped-def]
    rows = []
    people = sorted({clip.identity for clip in clips})
    shared = {(person, key): rng.normal() for person in people for key in SPREAD}
    # The ground truth is the same whatever the systems did.
    truth = np.random.default_rng(truth_seed)
    true_people = {place: truth.normal() for place in shared}
    for system in entries:
        role = _role(system, systems)
        for index, clip in enumerate(clips):
            for seed in seeds:
                for protocol in PROTOCOLS:
                    if protocol.granularity != "clip" or protocol.status != "ok":
                        continue
                    for value in protocol.values:
                        mean = MEANS[value.key].get(role)
                        bad = index < failing and role == "bad"
                        status, reason, number = "ok", "", None
                        if bad:
                            status, reason = "no_face", "31 of 75 frames have no face; at most a fifth may"
                        elif mean is None:
                            status, reason = "undefined", "the frames are identical to the ground truth"
                        else:
                            scale = SPREAD[value.key] * (0.02 if mean in (0.0, 1.0, 99.0) else 1.0)
                            person, own = shared[clip.identity, value.key], rng.normal()
                            if role == "ground_truth":
                                person, own = true_people[clip.identity, value.key], truth.normal()
                            number = mean + scale * (0.5 * person + 0.5 * own)
                            if role == "good":
                                worse = 1.0 if value.direction == "lower" else -1.0
                                number += worse * worse_by * SPREAD[value.key]
                            number = float(abs(number))
                        rows.append(
                            ClipRow(
                                system=system.name,
                                clip=clip.id,
                                identity=clip.identity,
                                seed=seed,
                                protocol=protocol.name,
                                key=value.key,
                                value=number,
                                status=status,
                                reason=reason,
                            )
                        )
    return tuple(rows)


def _values(entries, systems, rows, planned, rng) -> tuple[ValueEntry, ...]:  # type: ignore[no-untyped-def]
    grouped: dict[tuple[str, str, str], list[ClipRow]] = {}
    for row in rows:
        grouped.setdefault((row.system, row.protocol, row.key), []).append(row)
    out: list[ValueEntry] = []
    for system in entries:
        for protocol in PROTOCOLS:
            for value in protocol.values:
                base: dict[str, Any] = {
                    "system": system.name,
                    "protocol": protocol.name,
                    "key": value.key,
                    "n_planned": planned,
                }
                if protocol.status != "ok":
                    out.append(ValueEntry(**base, value=None, status="skipped", reason=protocol.reason, n_scored=0))
                    continue
                if protocol.granularity == "set":
                    mean = MEANS[value.key][_role(system, systems)]
                    number: float | None = mean if planned > 1 else None
                    half, n, ids = 0.25 * mean + 0.01, planned, min(10, planned)
                else:
                    good = (
                        [r.value for r in grouped[system.name, protocol.name, value.key] if r.value is not None]
                        if rows
                        else []
                    )
                    number = float(np.mean(good)) if good else None
                    half = 1.96 * float(np.std(good)) / math.sqrt(len(good)) if len(good) > 1 else 0.0
                    n, ids = len(good), min(10, len(good))
                if number is None:
                    why = "no clip has a value"
                    out.append(
                        ValueEntry(**base, value=None, status="undefined", reason=why, n_scored=n if rows else 0)
                    )
                    continue
                interval = IntervalEntry(low=number - half, high=number + half, level=0.95, method="cluster-bootstrap-bca", n_units=ids) if n > 2 else None  # fmt: skip
                out.append(
                    ValueEntry(
                        **base, value=number, status="ok", interval=interval, n_scored=n, n_identities=ids,
                        watermark=f"N = {n}" if n < 20 and protocol.granularity == "set" else "",
                    )
                )  # fmt: skip
    truth = {(v.protocol, v.key): v.value for v in out if v.system == "ground-truth"}
    return tuple(
        v.model_copy(update={"gap_to_ground_truth": abs(v.value - truth[v.protocol, v.key])})  # type: ignore[operator]
        if v.value is not None and truth.get((v.protocol, v.key)) is not None else v
        for v in out
    )  # fmt: skip


def _comparisons(systems, rows, clusters) -> tuple[ComparisonEntry, ...]:  # type: ignore[no-untyped-def]
    from emo_metrics.contract import Unscored
    from emo_metrics.statistics import compare_paired

    out = []
    by_key: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in rows:
        if row.value is not None:
            by_key.setdefault((row.system, row.protocol, row.key), {})[row.clip] = row.value
    for i, a in enumerate(systems):
        for b in systems[i + 1 :]:
            for protocol in PROTOCOLS:
                for value in protocol.values:
                    base = {"protocol": protocol.name, "key": value.key, "system_a": a, "system_b": b}
                    first, second = (by_key.get((s, protocol.name, value.key), {}) for s in (a, b))
                    if value.direction == "closer_to_gt":
                        gt = by_key.get(("ground-truth", protocol.name, value.key), {})
                        first, second = (
                            {c: abs(v - gt[c]) for c, v in side.items() if c in gt} for side in (first, second)
                        )
                    try:
                        found = compare_paired(
                            first, second, clusters, generator=np.random.default_rng(0), resamples=200
                        )
                    except Unscored as error:
                        out.append(
                            ComparisonEntry(
                                **base, difference=None, n_pairs=0, verdict="undefined", reason=error.reason
                            )
                        )
                        continue
                    sign = -1 if value.direction == "higher" else 1
                    corrected = min(1.0, found.permutation_p * 8)
                    better = "tie" if corrected > 0.05 else ("a_better" if sign * found.difference < 0 else "b_better")
                    out.append(
                        ComparisonEntry(
                            **base, difference=found.difference, p_value=found.permutation_p, p_corrected=corrected,
                            interval=IntervalEntry(**dataclasses.asdict(found.interval)), n_pairs=found.n_clips, verdict=better,
                            probability_a_better=0.9,
                        )
                    )  # fmt: skip
    return tuple(out)


def _checks(values: Sequence[ValueEntry]) -> tuple[AnchorCheck, ...]:
    found = {(v.system, v.protocol, v.key): v for v in values}
    out = []
    for protocol in PROTOCOLS:
        for value in protocol.values:
            if not value.primary:
                continue
            for worse in ("reencoded", "frozen", "shuffled-audio", "shifted-audio", "other-identity"):
                a, b = (found.get((s, protocol.name, value.key)) for s in ("ground-truth", worse))
                verdict, reason = "pass", ""
                if protocol.status != "ok" or a is None or b is None:
                    verdict, reason = "no_value", "one of the two has no value"
                elif "audio" in worse and not protocol.name.startswith(("lip-sync", "sync")):
                    verdict, reason = "cannot", "the protocol does not read the sound"
                elif a.value is None or b.value is None:
                    verdict, reason = "no_value", "one of the two has no value"
                else:
                    reason = f"{a.value:.3f} against {b.value:.3f}"
                    verdict = "fail" if (protocol.name, worse) == ("lip-sync/lag@1", "reencoded") else "pass"
                out.append(
                    AnchorCheck(
                        protocol=protocol.name,
                        key=value.key,
                        better="ground-truth",
                        worse=worse,
                        verdict=verdict,
                        reason=reason,
                    )  # type: ignore[arg-type]
                )
    return tuple(out)


def _all_series(clips, entries, systems, rng) -> tuple[Series, ...]:  # type: ignore[no-untyped-def]
    out = []
    for clip in clips[:2]:
        t = np.arange(75) / 25
        loud = np.clip(np.sin(2 * np.pi * 2.1 * t) + 0.4 * np.sin(2 * np.pi * 3.7 * t + 1), 0, None)
        for system in entries:
            role = _role(system, systems)
            shift = {"shifted_audio": 5, "bad": 3, "good": 1}.get(role, 0)
            gain = {"frozen": 0.0, "bad": 0.6}.get(role, 1.0)
            mouth = gain * (0.05 + 0.25 * np.roll(loud, shift)) + 0.01 * rng.normal(size=75)
            yaw = gain * 8 * np.sin(2 * np.pi * 0.4 * t + shift / 5)
            lags = np.arange(-15, 16)
            curve = gain * 0.6 * np.exp(-((lags - shift) ** 2) / 18) + 0.05 * rng.normal(size=31)
            for name, data in (("mouth_opening", mouth), ("yaw", yaw), ("pitch", 0.5 * yaw + 1), ("roll", 0.2 * yaw),
                               ("loudness_db", 20 * np.log10(loud + 0.02)), ("lag:mouth-loudness", curve)):  # fmt: skip
                out.append(Series(system.name, clip.id, 0, name, 25.0, tuple(float(x) for x in data)))
    return tuple(out)


def write_run(run: RunData, folder: Path, *, previews: bool = True) -> Path:
    """Writes the files of a run folder, with tiny real videos when ``previews`` is set."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    columns = {name: [getattr(row, name) for row in run.rows] for name in CLIP_COLUMNS}
    columns["value"] = pa.array(columns["value"], pa.float64())  # type: ignore[assignment]
    pq.write_table(pa.table(columns), folder / "clips.parquet")
    if run.series:
        names = ("system", "clip", "seed", "name", "fps", "values")
        pq.write_table(
            pa.table({name: [getattr(row, name) for row in run.series] for name in names}), folder / "series.parquet"
        )
    if previews:
        index = []
        for c, clip in enumerate(run.record.clips[:2]):
            for s, system in enumerate(run.record.systems):
                file = f"{c:02d}{s:02d}.mp4"
                tiny_video(folder / "previews" / file, hue=s * 37 + c * 90)
                index.append({"clip": clip.id, "system": system.name, "file": file})
        (folder / "previews" / "index.json").write_text(json.dumps(index), encoding="utf-8")
    write_record(folder, sealed(run.record, folder))
    return folder


def tiny_video(path: Path, *, hue: int, n_frames: int = 50, size: int = 96) -> None:
    """A face-like blob that speaks, with a tone, as H.264 and AAC."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "30"})
        video.width = video.height = size
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=16000, layout="mono")
        y, x = np.mgrid[:size, :size] / size - 0.5
        tint = np.array([np.cos(math.radians(hue + k)) * 50 for k in (0, 120, 240)])
        for i in range(n_frames):
            mouth = 0.03 + 0.05 * abs(math.sin(i / 3))
            face = (x**2 + (y * 0.8) ** 2 < 0.12)[..., None]
            picture = np.where(face, 190 + tint, 60 + tint)
            picture[(x**2 / 0.02 + (y - 0.2) ** 2 / mouth**2) < 1] = (90, 20, 30)
            for side in (-0.14, 0.14):
                picture[((x - side) ** 2 + (y + 0.1) ** 2) < 0.002] = (20, 20, 30)
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        tone = (3000 * np.sin(np.arange(n_frames * 640) / 16000 * 2 * np.pi * 220)).astype(np.int16)
        for start in range(0, len(tone), 1024):
            piece = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="s16", layout="mono")
            piece.sample_rate = 16000
            piece.pts = start
            container.mux(audio.encode(piece))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
