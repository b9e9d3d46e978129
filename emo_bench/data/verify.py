"""Checks every file of a manifest: present, inside the folder, the same bytes, decodable, with audio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
        for kind, relative, digest in stated_digests(entry):
            file = manifest.path(relative)
            if not file.is_file():
                return Checked(entry.id, "missing", f"{kind}: no file {relative}")
            if sha256_file(file) != digest:
                return Checked(entry.id, "wrong_bytes", f"{kind}: {relative} is not the file of the manifest")
        found = _portrait(paths) if entry.wild else _film(paths)
    except ClipError as error:
        return Checked(entry.id, error.code, "; ".join(str(error).split("\n  ")))
    except DataError as error:
        return Checked(entry.id, "data_error", error.message)
    except OSError as error:
        return Checked(entry.id, "unreadable", str(error))
    return Checked(entry.id, "ok", found)


def stated_digests(entry: ManifestEntry) -> Iterator[tuple[str, str, str]]:
    """Kind, path and digest of a clip's files, and of labels and still that its ``meta`` names with digests."""
    yield from ((kind, relative, entry.sha256[kind]) for kind, relative in entry.files.items())
    for kind in ("labels", "portrait"):
        if f"{kind}_sha256" in entry.meta and kind in entry.meta:
            yield kind, str(entry.meta[kind]), str(entry.meta[f"{kind}_sha256"])


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
