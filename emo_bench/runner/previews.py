"""Watchable copies of the clips for the report; the measured clips stay lossless."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import Outcome
from emo_bench.systems.clip_store import StoredClip
from emo_core.atomic import write_json
from emo_core.errors import ClipError
from emo_core.hashing import digest_of
from emo_core.progress import Display

PREVIEW_VERSION = 2
PREVIEW_CRF = 23
"""Half the bytes of 18, at 41 to 44 dB beside the frames of real talking heads at 512 px (docs/benchmarks.md)."""

INDEX_FILE = "index.json"
_OWN_NAME = re.compile(r"[0-9a-f]{16}\.mp4")


def write_previews(context: RunContext, outcomes: Sequence[Outcome], folder: Path, display: Display) -> Path:
    """Writes ``previews/*.mp4`` and ``previews/index.json`` for the first clips of all systems.

    File names are hashes, never a user's text; a copy that exists already is linked, not made again.
    """
    target = folder / "previews"
    remove_previews(folder)
    target.mkdir(parents=True, exist_ok=True)
    wanted = [outcome for outcome in outcomes if outcome.clip is not None and context.is_shown(outcome.unit)]
    display.stage("previews", len(wanted))
    index = []
    with ThreadPoolExecutor(context.config.execution.workers) as threads:
        for outcome, made in zip(wanted, threads.map(lambda item: _preview(context, item), wanted), strict=True):
            if made is None:
                display.say(f"no preview of {outcome.unit.system} / {outcome.unit.clip}: its frames are not there")
                continue
            name = f"{digest_of([outcome.unit.system, outcome.unit.clip])[:16]}.mp4"
            _link(made, target / name)
            index.append({"clip": outcome.unit.clip, "system": outcome.unit.system, "file": name})
            display.step(outcome.unit.clip)
    for outcome in wanted:
        if outcome.clip is not None and outcome.code == "ok":
            context.let_go(outcome.unit, outcome.clip)
    write_json(target / INDEX_FILE, index)
    return target


def remove_previews(folder: Path) -> None:
    """Deletes what an earlier run wrote; a run's folder may be any, with things of the user's in it."""
    for path in (folder / "previews").glob("*"):
        if path.name == INDEX_FILE or _OWN_NAME.fullmatch(path.name):
            path.unlink()


def _preview(context: RunContext, outcome: Outcome) -> Path | None:
    from emo_bench.media.preview import write_preview

    assert outcome.clip is not None  # noqa: S101 - chosen so
    key = digest_of([PREVIEW_VERSION, outcome.clip.video_sha256, outcome.clip.audio_sha256])
    path = context.spec.store / "previews" / key[:2] / f"{key}.mp4"
    if not path.is_file():
        try:
            video, audio = context.clips.open(StoredClip(context.clips.path(outcome.clip.key), outcome.clip))
            write_preview(path, video, audio, crf=PREVIEW_CRF)
        except (ClipError, FileNotFoundError):  # some damage shows only while frames are read
            return None  # the numbers stand: they rest on features that were made before the damage
    return path


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
