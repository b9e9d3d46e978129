"""The clips of all systems in players side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emo_bench.record.columns import ordered_systems
from emo_bench.record.run_data import Preview, RunData
from emo_bench.report.content import Material, Section, Text
from emo_bench.report.page_parts import PlayedClip, Players, Tile
from emo_bench.report.sections import section
from emo_bench.report.speed import frame_rate

MAX_VIDEO_BYTES = 64 * 1024 * 1024
"""Videos beyond this sum stay outside of the page."""


@section("clips", place=70, formats=("html",))
def clips(material: Material) -> Sequence[Section]:
    """The players; nothing when the run has no previews."""
    players, left_out = make_players(material.run)
    if not players.clips:
        return ()
    more = f" {left_out} clips are left out to keep the file small." if left_out else ""
    note = Text(
        "One seek bar drives all players. The audio comes from the player whose speaker is on. Keys: space plays, ← "
        f"and → step one frame.{more} These are compressed copies for viewing; all numbers were measured on lossless "
        "frames."
    )
    return (Section("clips", "Clips, side by side", (players, note), main=True, nav="Clips"),)


def make_players(run: RunData) -> tuple[Players, int]:
    """Players of the clips that the page has room for, and the number of the other clips."""
    by_place = {(preview.clip, preview.system): preview for preview in run.previews}
    systems = ordered_systems(run.record)
    reasons = _failure_reasons(run)
    videos: list[bytes] = []
    played: list[PlayedClip] = []
    spent, left_out = 0, 0
    for clip in dict.fromkeys(preview.clip for preview in run.previews):
        found = [by_place[clip, system.name] for system in systems if (clip, system.name) in by_place]
        size = sum(preview.path.stat().st_size for preview in found)
        if played and spent + size > MAX_VIDEO_BYTES:
            left_out += 1
            continue
        spent += size
        tiles = []
        for system in systems:
            preview: Preview | None = by_place.get((clip, system.name))
            number = None
            if preview is not None:
                number = len(videos)
                videos.append(preview.path.read_bytes())
            reason = reasons.get((system.name, clip), "no video for this clip")
            tiles.append(Tile(system.name, system.anchor, number, reason))
        played.append(PlayedClip(clip, run.identities.get(clip, ""), tuple(tiles)))
    return Players(tuple(played), tuple(videos), frame_rate(run.record)), left_out


def _failure_reasons(run: RunData) -> Mapping[tuple[str, str], str]:
    reasons = {
        (system.name, clip.id): f"{clip.code}: {clip.reason}"
        for clip in run.record.clips
        if clip.status == "failed"
        for system in run.record.systems
    }
    reasons.update(
        {(item.system, item.clip): f"{item.code}: {item.reason}" for item in run.record.failures if item.clip}
    )
    return reasons
