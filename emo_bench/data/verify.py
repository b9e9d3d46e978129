"""Checks every file of a manifest: present, inside the folder, the same bytes, decodable, with audio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest
from emo_core.errors import ClipError, DataError
from emo_core.hashing import sha256_file
from emo_core.progress import Display, Silent


@dataclass(frozen=True)
class Checked:
    """The state of one clip: 'ok' or a status word, and a reason."""

    id: str
    code: str = "ok"
    reason: str = ""


def verify_manifest(path: Path, *, display: Display | None = None) -> list[Checked]:
    """Checks all clips of a manifest.

    Raises:
        DataError: when the manifest itself is wrong.
    """
    display = display or Silent()
    manifest = read_manifest(path)
    if not manifest.entries:
        raise DataError(f"the manifest {path} has no clips")
    display.stage("verify", len(manifest.entries))
    result = []
    for entry in manifest.entries:
        result.append(_check(manifest, entry))
        display.step(entry.id)
    return result


def _check(manifest: Manifest, entry: ManifestEntry) -> Checked:
    try:
        paths = {kind: manifest.path(relative) for kind, relative in entry.files.items()}
        for kind, file in paths.items():
            if not file.is_file():
                return Checked(entry.id, "missing", f"{kind}: no file {entry.files[kind]}")
            if kind in entry.sha256 and sha256_file(file) != entry.sha256[kind]:
                return Checked(entry.id, "wrong_bytes", f"{kind}: {entry.files[kind]} is not the file of the manifest")
        found = _portrait(paths) if entry.wild else _film(paths)
    except ClipError as error:
        return Checked(entry.id, error.code, "; ".join(str(error).split("\n  ")))
    except DataError as error:
        return Checked(entry.id, "data_error", error.message)
    return Checked(entry.id, "ok", found)


def _film(paths: Mapping[str, Path]) -> str:
    from emo_bench.media.decode import load_pair

    pair = load_pair(paths["video"], paths.get("audio"))
    read = sum(len(piece) for piece in pair.video.open())
    return f"{read} frames" + "".join(f"; {note}" for note in pair.notes)


def _portrait(paths: Mapping[str, Path]) -> str:
    from emo_bench.media.decode import read_audio
    from emo_bench.media.image import read_still_image

    still, audio = read_still_image(paths["portrait"]), read_audio(paths["audio"])
    height, width = still.pixels.shape[:2]
    return f"portrait {width}x{height}, {audio.seconds:.1f} s of audio" + "".join(f"; {note}" for note in still.notes)
