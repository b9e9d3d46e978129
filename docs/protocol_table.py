"""Writes the table of all protocols into docs/protocols/index.md: ``python docs/protocol_table.py``."""

from __future__ import annotations

from pathlib import Path

from emo_bench.extract.catalogue import metric_names, metrics
from emo_bench.record.columns import ARROWS
from emo_metrics.contract import Family, Need, ProtocolSpec

PAGE = Path(__file__).parent / "protocols" / "index.md"
BEGIN, END = "<!-- table of protocols -->", "<!-- end -->"
QUESTIONS = {
    "Does the mouth fit the sound?": ("sync", "mouth-audio", "mouth-truth"),
    "Is it the same person?": ("f-sim",),
    "Do frames and videos look like real ones, as a set?": ("fid", "fid-infinity", "kid", "fvd", "kvd"),
    "How near is it to the true video, frame by frame?": ("psnr", "ssim", "lpips", "lmd"),
    "Is the expression right?": ("e-fid", "emotion", "expressiveness"),
    "Do head and eyes move like real ones?": (
        "head-velocity", "pose-fd", "landmark-velocity-fd", "beat-alignment", "blink-rate", "blink-length",
    ),
    "Is the picture good?": ("brisque", "clip-iqa", "sharpness", "flicker"),
    "Does it last?": ("drift", "drift-sync"),
}  # fmt: skip
HEAD = "| protocol | what it is | better | for | reads besides the frames | networks |"
READS = {
    Need.GROUND_TRUTH: "true video",
    Need.AUDIO: "audio",
    Need.REFERENCE_IMAGE: "portrait",
    Need.TRUTH: "labels of HDTF-Synth",
}


def table() -> str:
    """All protocols of the registry by the question that they answer, as Markdown.

    Raises:
        ValueError: A metric stands under no question.
    """
    specs = [metrics.get(name).spec for name in metric_names()]
    asked = {metric for names in QUESTIONS.values() for metric in names}
    without = sorted({spec.name for spec in specs if _metric(spec) not in asked})
    if without:
        raise ValueError(f"expected every metric under a question, found none for {', '.join(without)}")
    lines = []
    for question, names in QUESTIONS.items():
        lines += [f"## {question}", "", HEAD, "| :-- | :-- | :-- | :-- | :-- | :-- |"]
        chosen = [spec for spec in specs if _metric(spec) in names]
        chosen.sort(key=lambda spec: (names.index(_metric(spec)), list(Family).index(spec.family), spec.name))
        lines += [*map(_row, chosen), ""]
    return "\n".join(lines).rstrip("\n")


def _metric(spec: ProtocolSpec) -> str:
    return spec.name.partition("/")[0]


def _row(spec: ProtocolSpec) -> str:
    shown = [value for value in spec.values if value.primary]
    arrows = dict.fromkeys(ARROWS[value.direction] for value in shown)
    better = next(iter(arrows)) if len(arrows) == 1 else ", ".join(f"{v.label} {ARROWS[v.direction]}" for v in shown)
    reads = ", ".join(text for need, text in READS.items() if need in spec.needs) or "–"
    name = f"[`{spec.name}`]({spec.page}.md)" if spec.page else f"`{spec.name}`"
    return f"| {name} | {spec.title} | {better} | {spec.granularity} | {reads} | {spec.family} |"


def page(text: str) -> str:
    """The page with the table of this code in place of the one it has."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
