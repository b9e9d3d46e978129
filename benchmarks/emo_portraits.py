"""How EMO's weights animate stills that they have never seen: identity, mouth, head, blinks, against the driver's own.

The clips are those of a re-enacted set, so that portrait, audio and motion are known for every one:

    emo-bench data make reenacted --portraits STILLS --motion TALKING/manifest.jsonl -o SET --clips 40 --weights WEIGHTS
    python benchmarks/emo_portraits.py SET/manifest.jsonl --weights WEIGHTS --sheet sheet.png

What is read from generated frames is read in the same way from the set's own frames (`truth`). Two ceilings of the
mouth's correlation are printed beside it: `mouth_r_read`, what the reader finds in the set's own frames against the
set's labels, and `mouth_r_heard`, what the weights' speech encoder predicts from the audio against the same labels.
With `--against` the same clips are also judged as a frozen portrait, as EMO's video of another clip's audio, and as
Wav2Lip's (`wav2lip-synth`): correlation of the mouth with the truth, and distance of its opening from it, each with an
interval over people.
WEIGHTS holds the face landmarker, the face detector and MobileFaceNet (`emo-bench weights list`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from emo_bench.data.labels import mouth_opening, read_labels
from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest
from emo_bench.data.reenacted.faces import FaceReader
from emo_bench.extract.weights import WeightsFinder
from emo_bench.media.decode import load_pair
from emo_bench.media.types import Audio
from emo_bench.systems.emo import PORTRAIT, weights_folder
from emo_bench.systems.system import GenerationRequest, SystemContext
from emo_bench.systems.wav2lip import Wav2Lip, Wav2LipOptions
from emo_metrics.extractors.mobilefacenet import NETWORK_FILE, IdentityNetwork
from emo_metrics.faces.landmark_sets import five_points, ibug_68
from emo_metrics.faces.rotation import angle_between
from emo_metrics.statistics.bootstrap import cluster_bootstrap
from emo_models.emo.extensions.speech_net import SpeechNetEncoder
from emo_models.emo.pipeline import EMOPipeline, recommended_sampling

Frames = NDArray[np.uint8]
LAGS = range(-5, 6)
CLOSED = 0.5
"""Lids nearer than this share of their median distance are closed."""


@dataclass(frozen=True)
class Reading:
    """What is seen in the frames of one clip; curves over frames."""

    found: float
    identity: NDArray[np.float64]
    mouth: NDArray[np.float64]
    turn: float
    blinks: int


@dataclass(frozen=True)
class Row:
    """One clip against its driver; ``opening`` and ``turn`` as shares of the truth's."""

    clip: str
    style: str
    found: float
    identity_first: float
    identity_last: float
    f_sim: float
    mouth_r: float
    opening: float
    turn: float
    blinks: int
    blinks_truth: int
    mouth_distance: float
    mouth_r_read: float
    mouth_r_heard: float


class Reader:
    """Reads frames with the face analysis of the open protocols."""

    def __init__(self, weights: WeightsFinder) -> None:
        self._faces = FaceReader(weights)
        self._identity = IdentityNetwork(weights.require(NETWORK_FILE))

    def read(self, frames: Frames, portrait: Frames) -> Reading:
        """Reads ``uint8 RGB [T, H, W, 3]``; identity is the cosine to the portrait times 100."""
        tracks, still = self._faces.tracks(frames), self._faces.tracks(portrait[None])
        points, first = tracks.points[..., :2], still.points[..., :2]
        wanted = self._identity.embed(portrait, five_points(first[0]).astype(np.float32))
        same = [
            100 * float(self._identity.embed(frame, five_points(row).astype(np.float32)) @ wanted) if seen else np.nan
            for frame, row, seen in zip(frames, points, tracks.valid, strict=True)
        ]
        lids = np.linalg.norm(points[:, [159, 386]] - points[:, [145, 374]], axis=2).mean(1)
        closed = lids < CLOSED * np.median(lids)
        return Reading(
            found=float(tracks.valid.mean()),
            identity=np.array(same),
            mouth=mouth_opening(np.stack([ibug_68(row) for row in points])).astype(np.float64),
            turn=float(np.mean(angle_between(tracks.rotation[:-1], tracks.rotation[1:]))),
            blinks=int(np.sum(closed[1:] & ~closed[:-1])),
        )


def correlation(a: NDArray[np.float64], b: NDArray[np.float64], lag: int = 0) -> float:
    """Pearson's r of two curves, ``a`` late by ``lag`` frames; 0 when one of them does not move."""
    n = min(len(a), len(b))
    a, b = a[max(lag, 0) : n + min(lag, 0)], b[max(-lag, 0) : n + min(-lag, 0)]
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else 0.0


def compare(
    entry: ManifestEntry,
    made: Reading,
    truth: Reading,
    *,
    labelled: NDArray[np.float64],
    heard: NDArray[np.float64] | None,
) -> Row:
    """One row of the table; ``labelled`` is the set's opening, ``heard`` what the speech encoder predicts of it."""
    second = 25
    return Row(
        clip=entry.id,
        style=str(entry.meta.get("style", "")),
        found=made.found,
        identity_first=float(np.nanmean(made.identity[:second])),
        identity_last=float(np.nanmean(made.identity[-second:])),
        f_sim=float(np.nanmean(made.identity)),
        mouth_r=correlation(made.mouth, truth.mouth),
        opening=float(made.mouth.std() / max(truth.mouth.std(), 1e-6)),
        turn=made.turn / max(truth.turn, 1e-6),
        blinks=made.blinks,
        blinks_truth=truth.blinks,
        mouth_distance=distance(made.mouth, truth.mouth),
        mouth_r_read=correlation(truth.mouth, labelled),
        mouth_r_heard=np.nan if heard is None else correlation(heard, labelled),
    )


def distance(made: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Mean distance of two curves of mouth opening, in standard deviations of the true one."""
    n = min(len(made), len(truth))
    return float(np.abs(made[:n] - truth[:n]).mean() / max(float(truth[:n].std()), 1e-6))


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Means over clips; the least where one bad clip matters."""

    def mean(name: str) -> float:
        return round(float(np.mean([getattr(row, name) for row in rows])), 3)

    names = ("found", "identity_first", "identity_last", "f_sim", "mouth_r", "mouth_distance", "opening", "turn")
    ceilings = ("mouth_r_read", "mouth_r_heard")
    return {
        "clips": len(rows),
        **{name: mean(name) for name in (*names, *ceilings)},
        "found_least": round(min(row.found for row in rows), 3),
        "identity_last_least": round(min(row.identity_last for row in rows), 1),
        "blinks": sum(row.blinks for row in rows),
        "blinks_truth": sum(row.blinks_truth for row in rows),
    }


class Wav2LipSynth:
    """Videos of Wav2Lip, trained on HDTF-Synth, from the portrait alone."""

    def __init__(self) -> None:
        self._system = Wav2Lip(Wav2LipOptions(weights="wav2lip-synth"))
        self._system.load(SystemContext())

    def speak(self, entry: ManifestEntry, portrait: Frames, audio: NDArray[np.float32], n: int) -> Frames:
        """``n`` frames."""
        request = GenerationRequest(
            clip_id=entry.id,
            reference_image=portrait,
            audio=Audio(audio[: n * 640], 16_000),
            fps=Fraction(25),
            n_frames=n,
            width=portrait.shape[1],
            height=portrait.shape[0],
            seed=0,
            face_box=entry.face_box,
        )
        return np.concatenate(list(self._system.generate(request).video.open()))


def against(name: str, mouths: Sequence[NDArray[np.float64]], truths: Sequence[NDArray[np.float64]],
            people: Sequence[str]) -> dict[str, Any]:  # fmt: skip
    """Sync and distance of one system, mean and 95 % interval over people."""
    result: dict[str, Any] = {"system": name}
    for measure, function in (("mouth_r", correlation), ("mouth_distance", distance)):
        values = {str(i): function(a, b) for i, (a, b) in enumerate(zip(mouths, truths, strict=True))}
        clusters = {str(i): person for i, person in enumerate(people)}
        interval = cluster_bootstrap(values, clusters, generator=np.random.default_rng(0), method="percentile")
        result[measure] = [round(x, 3) for x in (float(np.mean(list(values.values()))), interval.low, interval.high)]
    return result


def of_another_clip(drivers: Sequence[str]) -> list[int]:
    """For each clip the next one that another driver moves."""
    n = len(drivers)
    found = []
    for place in range(n):
        others = [(place + k) % n for k in range(1, n) if drivers[(place + k) % n] != drivers[place]]
        found.append(others[0] if others else place)
    return found


def clip_of(manifest: Manifest, entry: ManifestEntry) -> tuple[Frames, NDArray[np.float32], Frames]:
    """Frames, audio (16 kHz) and portrait of a re-enacted clip."""
    pair = load_pair(manifest.path(entry.video), None, fps=Fraction(25), rate=16_000)
    frames = np.concatenate(list(pair.video.open()))
    portrait = np.array(Image.open(manifest.path(str(entry.meta["portrait"]))).convert("RGB"))
    return frames, pair.audio.samples, portrait


def labelled_opening(manifest: Manifest, entry: ManifestEntry) -> NDArray[np.float64]:
    """The mouth opening of every frame as the set was made with it, ``float64 [T]``."""
    return np.asarray(read_labels(manifest, entry)["mouth_opening"], np.float64)


def heard_opening(pipeline: EMOPipeline, audio: NDArray[np.float32], n: int) -> NDArray[np.float64] | None:
    """What the speech encoder predicts of it, ``float64 [n]``, where it is one that was trained to."""
    encoder = pipeline.audio_encoder
    return encoder.heard_opening(audio, n) if isinstance(encoder, SpeechNetEncoder) else None


def strip(portrait: Frames, made: Frames, truth: Frames, mouth: NDArray[np.float64]) -> Frames:
    """Portrait, then generated above true frames: evenly spaced ones, and the driver's widest mouth."""
    chosen = [*np.linspace(0, len(truth) - 1, 7).astype(int), int(np.argmax(mouth[: len(truth)]))]
    columns = [np.concatenate([made[index], truth[index]]) for index in chosen]
    return np.concatenate([np.concatenate([portrait, portrait]), *columns], axis=1)


def parser_of(description: str | None, *, seconds: float) -> argparse.ArgumentParser:
    """What every judge of a pipeline on a re-enacted set is asked."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--pipeline", default=PORTRAIT, help="shipped weights by name, or a folder")
    parser.add_argument("--weights", type=Path, action="append", default=[])
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=seconds)
    return parser


def main() -> None:
    """Prints one JSON object: settings, means, and a row for every clip."""
    parser = parser_of(__doc__, seconds=3.0)
    parser.add_argument("--size", type=int, help="frames of this size instead of the model's own")
    parser.add_argument("--steps", type=int, help="denoising steps instead of those that the weights recommend")
    parser.add_argument("--shift", type=float, help="shift of their times instead of the recommended one")
    parser.add_argument("--blinks", type=float, help="blinks a minute instead of the recommended ones")
    parser.add_argument("--against", action="store_true", help="judge a frozen portrait, other audio and Wav2Lip too")
    parser.add_argument("--sheet", type=Path, help="PNG of generated above true frames")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    reader = Reader(WeightsFinder(folders=tuple(arguments.weights)))
    pipeline = EMOPipeline.from_pretrained(weights_folder(arguments.pipeline, Path()))
    changes = {name: given for name in ("steps", "shift", "blinks") if (given := getattr(arguments, name)) is not None}
    options = recommended_sampling(pipeline.facts).changed(**changes)
    manifest = read_manifest(arguments.manifest)
    entries = manifest.entries[: arguments.clips]
    rows, made_mouths, true_mouths, wav2lip_mouths, sheet = [], [], [], [], []
    wav2lip = Wav2LipSynth() if arguments.against else None
    spent, seconds = 0.0, 0.0
    for number, entry in enumerate(entries):
        truth, audio, portrait = clip_of(manifest, entry)
        n = min(len(truth), round(25 * arguments.seconds))
        begun = time.process_time()
        pieces = pipeline.animate(
            portrait, audio[: n * 640], 16_000, seed=number, options=options, full_size=arguments.size
        )
        made = np.concatenate(list(pieces))[:n]
        spent, seconds = spent + time.process_time() - begun, seconds + n / 25
        seen, real = reader.read(made, portrait), reader.read(truth[:n], portrait)
        labelled = labelled_opening(manifest, entry)[:n]
        heard = heard_opening(pipeline, audio, n)
        rows.append(compare(entry, seen, real, labelled=labelled, heard=heard))
        made_mouths.append(seen.mouth)
        true_mouths.append(real.mouth)
        if wav2lip is not None:
            wav2lip_mouths.append(reader.read(wav2lip.speak(entry, portrait, audio, n), portrait).mouth)
        sheet.append(strip(portrait, made, truth[:n], real.mouth) if arguments.size is None else made[0])
    lags = {
        lag: float(np.mean([correlation(a, b, lag) for a, b in zip(made_mouths, true_mouths, strict=True)]))
        for lag in LAGS
    }
    wrong = [
        correlation(a, b) for i, a in enumerate(made_mouths) for j, b in enumerate(true_mouths)
        if entries[i].meta["driver"] != entries[j].meta["driver"]
    ]  # fmt: skip
    styles = sorted({row.style for row in rows})
    result: dict[str, Any] = {
        "pipeline": str(arguments.pipeline),
        "sampling": {
            "steps": options.steps,
            "shift": options.shift,
            "sampler": options.sampler,
            "blinks": options.blinks,
        },
        "all": summary(rows),
        "styles": {style: summary([row for row in rows if row.style == style]) for style in styles},
        "mouth_r_at_lag": {str(lag): round(value, 3) for lag, value in lags.items()},
        "mouth_r_wrong_audio": round(float(np.mean(wrong)), 3) if wrong else None,
        "processor_seconds_per_second": round(spent / max(seconds, 1e-6), 2),
        "clips": [asdict(row) for row in rows],
    }
    if arguments.against:
        people = [entry.identity for entry in entries]
        other = of_another_clip([str(entry.meta["driver"]) for entry in entries])
        result["against"] = [
            against("emo", made_mouths, true_mouths, people),
            against("frozen", [np.full_like(mouth, mouth[0]) for mouth in true_mouths], true_mouths, people),
            against("other audio", [made_mouths[i] for i in other], true_mouths, people),
            against("wav2lip-synth", wav2lip_mouths, true_mouths, people),
        ]
    if arguments.sheet is not None and arguments.size is None:
        Image.fromarray(np.concatenate(sheet)).save(arguments.sheet)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
