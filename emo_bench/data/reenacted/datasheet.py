"""Documentation of a re-enacted set: datasheet, statistics beside its real drivers, contact sheet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from emo_bench.data.manifest import ManifestEntry, video_of
from emo_bench.data.prepare.report import PrepareReport
from emo_bench.data.reenacted.clip import ReenactOptions
from emo_bench.data.reenacted.labels import TEXT
from emo_bench.media.types import FrameArray
from emo_core.atomic import write_bytes, write_json, write_text

SHEET_ROWS, SHEET_COLUMNS = 10, 6
SHEET_SIDE = 160


def write_datasheet(target: Path, report: PrepareReport, options: ReenactOptions) -> None:
    """Writes ``README.md``, ``statistics.json`` and ``contact_sheet.png`` into a set's folder."""
    found = statistics(report.entries)
    write_json(target / "statistics.json", found)
    write_text(target / "README.md", _text(report, options, found))
    write_bytes(target / "contact_sheet.png", _contact_sheet(target, report.entries))


def statistics(entries: tuple[ManifestEntry, ...]) -> dict[str, Any]:
    """Means over clips of each motion fact: of the re-enactments and of the same stretches of their real drivers."""
    facts = sorted(entries[0].meta["motion"])
    sides = {"re-enacted": "motion", "real drivers": "driver_motion"}
    means = {
        side: {fact: round(float(np.mean([entry.meta[key][fact] for entry in entries])), 5) for fact in facts}
        for side, key in sides.items()
    }
    return {
        "clips": len(entries),
        "portraits": len({entry.identity for entry in entries}),
        "drivers": len({entry.meta["driver"] for entry in entries}),
        "speakers": len({entry.meta["driver_person"] for entry in entries}),
        "styles": dict(sorted(Counter(str(entry.meta["style"]) or "not told" for entry in entries).items())),
        "enlarged_more_than_1.2": sum(entry.meta["enlarged"] > 1.2 for entry in entries),
        "lips_closed_by_the_warp": sum(entry.meta["portrait_lip_gap"] > 0.02 for entry in entries),
        "means": means,
    }


def _text(report: PrepareReport, options: ReenactOptions, found: dict[str, Any]) -> str:
    means = found["means"]
    rows = [
        f"| {fact} | {means['re-enacted'][fact]:g} | {means['real drivers'][fact]:g} |" for fact in means["re-enacted"]
    ]
    licences = Counter(
        (entry.meta["licence"] or "not told", entry.meta["driver_licence"] or "not told") for entry in report.entries
    )
    counts = "\n".join(f"- {count} x {code}" for code, count in report.counts().items()) or "- nothing"
    return "\n".join(
        [
            "# Re-enacted portraits",
            "",
            "Stills that were made to move like filmed speakers. **These are not real videos**: use them to train, or",
            "to test against known labels; reports call them re-enacted, their numbers never stand for real video.",
            "",
            f"{found['clips']} clips, {report.seconds / 60:.1f} min, {options.size} px, 25 frames a second, 16 kHz; "
            f"{found['portraits']} portraits ({', '.join(f'{n} {style}' for style, n in found['styles'].items())}); "
            f"{found['speakers']} speakers in {found['drivers']} driving clips. Seed {options.seed}.",
            "",
            "![contact sheet](contact_sheet.png)",
            "",
            "The still, then frames of its clip; in the last two columns the widest mouth and the most closed eyes.",
            "",
            "## Beside the real drivers",
            "",
            "Means over clips; of the drivers the same stretches. Openings over twice the distance from nose bridge to",
            "chin, head velocity in degrees a frame.",
            "",
            "| | re-enacted | real drivers |",
            "| --- | --- | --- |",
            *rows,
            "",
            "## Labels",
            "",
            *(f"- `{name}`: {text}" for name, text in sorted(TEXT.items())),
            "",
            "## Left out",
            "",
            counts,
            "",
            "## Licences (portrait / driver)",
            "",
            *(f"- {count} clips: {portrait} / {driver}" for (portrait, driver), count in sorted(licences.items())),
            "",
            "Every clip names its sources in `manifest.jsonl` (`meta`); who passes clips on carries the attributions.",
            "",
        ]
    )


def _contact_sheet(target: Path, entries: tuple[ManifestEntry, ...]) -> bytes:
    """A row a clip as PNG: the still, frames of its clip, the widest mouth, the most closed eyes."""
    import io

    from PIL import Image

    places = np.unique(np.linspace(0, len(entries) - 1, min(SHEET_ROWS, len(entries))).round().astype(int))
    rows = [np.concatenate(_sheet_row(target, entries[int(place)]), axis=1) for place in places]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows, axis=0)).save(buffer, format="PNG")
    return buffer.getvalue()


def _sheet_row(target: Path, entry: ManifestEntry) -> list[FrameArray]:
    from PIL import Image
    from safetensors.numpy import load_file

    frames = _frames(target / video_of(entry))
    labels = load_file(target / str(entry.meta["labels"]))
    shown = [*np.linspace(0, len(frames) - 1, SHEET_COLUMNS).round().astype(int)]
    shown += [int(labels["mouth_opening"].argmax()), int(labels["blink"].mean(1).argmax())]
    with Image.open(target / str(entry.meta["portrait"])) as still:
        images = [still.convert("RGB"), *(Image.fromarray(frames[int(place)]) for place in shown)]
    side = (SHEET_SIDE, SHEET_SIDE)
    return [np.asarray(image.resize(side, Image.Resampling.BICUBIC), np.uint8) for image in images]


def _frames(path: Path) -> list[FrameArray]:
    """All frames of a clip that this package wrote."""
    import av

    with av.open(str(path.absolute())) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) for frame in container.decode(video=0)]
