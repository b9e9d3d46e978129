"""Metadata of a data set in the Croissant format (JSON-LD, version 1.0), from its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emo_bench.data.manifest import Manifest, ManifestEntry
from emo_core.errors import DataError
from emo_core.hashing import sha256_file

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
MANIFEST_ID = "manifest"
TYPES = {
    "id": ("sc:Text", "Name of the clip, unique in the set"),
    "video": ("sc:Text", "Path of the video relative to the manifest"),
    "portrait": ("sc:Text", "Path of the image of a clip without a video"),
    "audio": ("sc:Text", "Path of the audio, where it lies beside the video"),
    "truth": ("sc:Text", "Path of the truth for every frame"),
    "identity": ("sc:Text", "Who is seen"),
    "split": ("sc:Text", "Part of the set that the clip belongs to"),
    "reference_frame": ("sc:Integer", "Index, at 25 frames a second, of the frame that is the portrait"),
}
MEDIA = {
    ".mp4": "video/mp4", ".mkv": "video/x-matroska", ".avi": "video/x-msvideo", ".mov": "video/quicktime",
    ".webm": "video/webm", ".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".npz": "application/zip",
    ".json": "application/json", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".webp": "image/webp", ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff", ".gif": "image/gif",
}  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(
    path: Path,
    manifest: Manifest,
    *,
    name: str | None = None,
    description: str = "",
    licence: str = "",
    url: str = "",
    cite_as: str = "",
    version: str = "",
) -> dict[str, Any]:
    """The metadata as plain values; what is not known is left out, never guessed.

    Args:
        path: The manifest's file; the metadata are meant to lie beside it.
        manifest: What it holds.
        name: Of the data set; that of the manifest's folder when absent.
        description: In a sentence or two; clips, people and digest are added.
        licence: SPDX name or address.
        url: Where the set is found.
        cite_as: How to cite it.
        version: Of the set, as numbers with points; its digest always stands in the description.

    Raises:
        DataError: when the manifest is empty.
    """
    if not manifest.entries:
        raise DataError("the manifest has no clips", expected="at least one")
    people = len({entry.identity for entry in manifest.entries})
    facts = (
        f"{len(manifest.entries)} clips of {people} people with audio. Digest of emo-bench: SHA-256 {manifest.digest}."
    )
    given = {"license": licence, "url": url, "citeAs": cite_as, "version": version}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": name or path.resolve().parent.name or "clips",
        "description": f"{description} {facts}".strip(),
        **{key: value for key, value in given.items() if value},
        "isLiveDataset": False,
        "distribution": [_manifest_file(path), *_file_sets(manifest)],
        "recordSet": [_clips(manifest)],
    }


def _manifest_file(path: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": MANIFEST_ID,
        "name": path.name,
        "description": "One clip a line: paths, identity, split and SHA-256 of every file",
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/jsonlines",
        "sha256": sha256_file(path),
    }


def _file_sets(manifest: Manifest) -> list[dict[str, Any]]:
    """One set of files for each ending as it is written; the digest of every file stands in the manifest."""
    endings = sorted({Path(place).suffix for entry in manifest.entries for place in _paths(entry)})
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"files{ending or '-without-ending'}",
            "name": f"files{ending}",
            "description": f"Files that end in {ending or 'nothing'}",
            "encodingFormat": MEDIA.get(ending.lower(), "application/octet-stream"),
            "includes": f"**/*{ending}",
        }
        for ending in endings
    ]


def _paths(entry: ManifestEntry) -> list[str]:
    return list(entry.files.values())


def _clips(manifest: Manifest) -> dict[str, Any]:
    present = [key for key in TYPES if any(getattr(entry, key) is not None for entry in manifest.entries)]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"clips/{key}",
            "name": key,
            "description": TYPES[key][1],
            "dataType": TYPES[key][0],
            "source": {"fileObject": {"@id": MANIFEST_ID}, "extract": {"column": key}},
        }
        for key in present
    ]
    return {"@type": "cr:RecordSet", "@id": "clips", "name": "clips", "key": {"@id": "clips/id"}, "field": fields}
