"""Whether EMO's weights keep a face over long audio: identity from the first to the last second, faces, blinks, time.

Each still of a re-enacted set is animated with the audio of several clips one after the other, of the same speaker as
long as there are any, until it lasts `--seconds`:

    python benchmarks/emo_long.py SET/manifest.jsonl --weights WEIGHTS --seconds 10

What is printed per style and for all is a mean with a 95 % interval over people; `worst` is the worst clip's last
second. A face that melts shows in `identity_last` long before it is no longer found.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from emo_portraits import Frames, Reader, Reading, clip_of, parser_of
from numpy.typing import NDArray
from PIL import Image

from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest
from emo_bench.extract.weights import WeightsFinder
from emo_bench.systems.emo import weights_folder
from emo_metrics.statistics.bootstrap import cluster_bootstrap
from emo_models.emo.pipeline import EMOPipeline, recommended_sampling

RATE, FPS = 16_000, 25
MEASURES = ("found", "identity_first", "identity_last", "identity_mean", "drop", "blinks_per_minute")


@dataclass(frozen=True)
class LongRow:
    """One still over long audio; ``drop`` is the first second's identity minus the last second's."""

    clip: str
    person: str
    style: str
    found: float
    identity_first: float
    identity_last: float
    identity_mean: float
    drop: float
    blinks_per_minute: float


def long_audio(manifest: Manifest, place: int, *, seconds: float) -> NDArray[np.float32]:
    """Audio of a clip and of those after it, those of its speaker first, ``float32 [n]`` at 16 kHz."""
    entries = manifest.entries
    speaker = speaker_of(entries[place])
    later = [entries[(place + k) % len(entries)] for k in range(len(entries))]
    ordered = sorted(later, key=lambda entry: speaker_of(entry) != speaker)
    pieces: list[NDArray[np.float32]] = []
    wanted = round(seconds * RATE)
    for entry in ordered:
        pieces.append(clip_of(manifest, entry)[1])
        if sum(map(len, pieces)) >= wanted:
            break
    joined = np.concatenate(pieces)
    return np.resize(joined, wanted) if len(joined) < wanted else joined[:wanted]


def speaker_of(entry: ManifestEntry) -> str:
    """Who is heard in a re-enacted clip."""
    return str(entry.meta.get("driver_person", ""))


def row_of(entry: ManifestEntry, seen: Reading) -> LongRow:
    """What is seen over the whole video."""
    first, last = (float(np.nanmean(part)) for part in (seen.identity[:FPS], seen.identity[-FPS:]))
    return LongRow(
        clip=entry.id,
        person=entry.identity,
        style=str(entry.meta.get("style", "")),
        found=seen.found,
        identity_first=first,
        identity_last=last,
        identity_mean=float(np.nanmean(seen.identity)),
        drop=first - last,
        blinks_per_minute=seen.blinks * 60 * FPS / len(seen.identity),
    )


def summary(rows: Sequence[LongRow]) -> dict[str, Any]:
    """Means, with intervals where there are several people, and the worst clip."""
    clusters = {row.clip: row.person for row in rows}
    result: dict[str, Any] = {"clips": len(rows)}
    for name in MEASURES:
        values = {row.clip: float(getattr(row, name)) for row in rows}
        known = [float(np.mean(list(values.values())))]
        if len(set(clusters.values())) > 1:
            interval = cluster_bootstrap(values, clusters, generator=np.random.default_rng(0), method="percentile")
            known += [interval.low, interval.high]
        result[name] = [round(x, 3) for x in known]
    return {**result, "worst": round(min(row.identity_last for row in rows), 1)}


def evenly(frames: Frames, portrait: Frames, count: int = 8) -> Frames:
    """The portrait and frames spread over the video, side by side."""
    chosen = np.linspace(0, len(frames) - 1, count).astype(int)
    return np.concatenate([portrait, *frames[chosen]], axis=1)


def main() -> None:
    """Prints one JSON object: settings, means, and a row for every still."""
    parser = parser_of(__doc__, seconds=10.0)
    parser.add_argument("--sheet", type=Path, help="PNG: a row of frames for every still")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    reader = Reader(WeightsFinder(folders=tuple(arguments.weights)))
    pipeline = EMOPipeline.from_pretrained(weights_folder(arguments.pipeline, Path()))
    manifest = read_manifest(arguments.manifest)
    rows: list[LongRow] = []
    sheet: list[Frames] = []
    spent = 0.0
    for place, entry in enumerate(manifest.entries[: arguments.clips]):
        portrait = clip_of(manifest, entry)[2]
        audio = long_audio(manifest, place, seconds=arguments.seconds)
        begun = time.process_time()
        frames = np.concatenate(list(pipeline.animate(portrait, audio, RATE, seed=place)))
        spent += time.process_time() - begun
        rows.append(row_of(entry, reader.read(frames, portrait)))
        sheet.append(evenly(frames, portrait))
    styles = sorted({row.style for row in rows})
    result = {
        "pipeline": str(arguments.pipeline),
        "seconds": arguments.seconds,
        "blinks_asked": recommended_sampling(pipeline.facts).blinks,
        "all": summary(rows),
        "styles": {style: summary([row for row in rows if row.style == style]) for style in styles},
        "processor_seconds_per_second": round(spent / (arguments.seconds * len(rows)), 2),
        "clips": [asdict(row) for row in rows],
    }
    if arguments.sheet is not None:
        Image.fromarray(np.concatenate(sheet)).save(arguments.sheet)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
