"""Whether the files of a set are those that its manifest names; each is hashed once, and again when it was touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from emo_bench.data.manifest import Manifest
from emo_bench.data.verify import stated_digests
from emo_core.atomic import write_json
from emo_core.errors import DataError
from emo_core.hashing import sha256_file

SHOWN = 10


def require_named_files(manifest: Manifest, memory: Path, *, say: Callable[[str], None]) -> None:
    """Compares the files of a set with the digests of its manifest; files that are gone are for who reads them.

    Args:
        manifest: The set.
        memory: A JSON file: size, time and digest of each file when it was hashed last.
        say: Told what takes time.

    Raises:
        DataError: Files have other bytes.
    """
    known = json.loads(memory.read_text("utf-8")) if memory.is_file() else {}
    seen = {}
    for _, path, stated in (row for entry in manifest.entries for row in stated_digests(entry)):
        file = manifest.path(path)
        if file.is_file():
            seen[path] = (file, stated, [file.stat().st_size, file.stat().st_mtime_ns])
    touched = [path for path, (_, _, mark) in seen.items() if known.get(path, [])[:2] != mark]
    if touched:
        say(f"comparing {len(touched)} files of {manifest.root} with the manifest")
    known |= {path: [*seen[path][2], sha256_file(seen[path][0])] for path in touched}
    other = [path for path, (_, stated, _) in seen.items() if known[path][2] != stated]
    if touched:
        write_json(memory, known)
    if other:
        more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
        raise DataError(
            f"files of {manifest.root} are not those of its manifest",
            expected="the bytes whose digests the manifest has",
            found=f"others in {', '.join(other[:SHOWN])}{more}",
            fix="bring back the files, or import or prepare the set again; `emo-bench data verify` checks them all",
        )
