"""Watchable copies of a run for others: those that a system made carry content credentials."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emo_bench.media.certificate import Signer
from emo_bench.media.credentials import add_credentials
from emo_bench.media.disclosure import disclosure_tags, write_tagged
from emo_bench.record.run_data import Preview, RunData
from emo_core.atomic import atomic_path, write_json
from emo_core.errors import ConfigError
from emo_core.hashing import digest_of
from emo_core.text import file_name

INDEX_FILE = "index.json"
DISCLOSURE = "AI-generated video: a talking portrait made by a model, evaluated with emo-bench"


@dataclass(frozen=True)
class ExportedPreviews:
    """What was written.

    Attributes:
        folder: Where.
        n_signed: Videos that a system made, with credentials.
        n_plain: Videos of anchors: real video, or made of it without a model.
    """

    folder: Path
    n_signed: int
    n_plain: int


def export_previews(
    run: RunData, target: Path, *, signer: Signer, step: Callable[[str], None] = lambda text: None
) -> ExportedPreviews:
    """Copies the previews of a run; those of systems under test say that a model made them, as text and signed.

    Credentials hold the time and a signature, so they are no part of the run's own previews, whose bytes are sealed.

    Args:
        run: The run.
        target: A fresh or empty folder; files are named ``CLIP--SYSTEM.mp4``.
        signer: Signs.
        step: Called with the name of each finished file.

    Raises:
        ConfigError: when there are no previews, or the folder holds something.
        CredentialsError: when a video cannot be signed.
    """
    if not run.previews:
        raise ConfigError("the run has no previews", expected="a run with `report.previews: true` and its folder")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is not empty", expected="a fresh folder")
    anchors = {system.name for system in run.record.systems if system.anchor}
    index = []
    for preview in run.previews:
        place = target / _name(preview)
        if preview.system in anchors:
            with atomic_path(place) as temporary:
                shutil.copyfile(preview.path, temporary)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            facts = {"system": preview.system, "evaluated_in": run.record.name, "notice": DISCLOSURE}
            with atomic_path(place) as temporary:
                write_tagged(preview.path, temporary, disclosure_tags(DISCLOSURE, facts))
                add_credentials(temporary, temporary, signer=signer, origin="generated", title=place.name, facts=facts)
        index.append(
            {
                "file": place.name,
                "clip": preview.clip,
                "system": preview.system,
                "signed": preview.system not in anchors,
            }
        )
        step(place.name)
    write_json(target / INDEX_FILE, index)
    signed = sum(bool(entry["signed"]) for entry in index)
    return ExportedPreviews(target, signed, len(index) - signed)


def _name(preview: Preview) -> str:
    """Readable, and unique whatever the names are."""
    mark = digest_of([preview.clip, preview.system])[:8]
    return f"{file_name(preview.clip)[:60]}--{file_name(preview.system)[:60]}-{mark}.mp4"
