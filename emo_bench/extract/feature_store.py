"""Features on disk: one safetensors file per extractor and clip content, with its own digest inside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_core.atomic import write_bytes

NOTE_VERSION = 2
"""Of what stands beside the arrays."""
FAULT = "error"
"""Status of an extractor that could not be loaded or that failed in its own code; such a result is never stored."""


@dataclass(frozen=True, eq=False)
class FeatureResult:
    """What an extractor made of a clip: arrays, or the reason why there are none.

    Attributes:
        arrays: Named arrays; empty unless status is 'ok'.
        status: 'ok' or a status word such as 'no_face'.
        reason: One sentence when status is not 'ok'.
    """

    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    status: str = "ok"
    reason: str = ""


class FeatureStore:
    """A folder ``features/<extractor>/<aa>/<key>.safetensors``; atomic files, safe for several writers."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "features"
        self.damaged: list[str] = []
        """Names of files that this process found damaged or under another key, and removed."""

    def path(self, extractor: str, key: str) -> Path:
        """The path of the features of that key, whether or not they exist."""
        return self.folder / extractor.replace("/", "+") / key[:2] / f"{key}.safetensors"

    def has(self, extractor: str, key: str) -> bool:
        """Whether a file is there; ``get`` still checks its bytes."""
        return self.path(extractor, key).is_file()

    def get(self, extractor: str, key: str) -> FeatureResult | None:
        """The stored result; None when it is missing, or not what was written under this key (it is removed then)."""
        from safetensors import SafetensorError, safe_open

        path = self.path(extractor, key)
        if not path.is_file():
            return None
        result = FeatureResult()
        try:
            with safe_open(path, framework="numpy") as stream:
                note = json.loads((stream.metadata() or {})["emo_bench"])
                arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
            result = FeatureResult(arrays, str(note["status"]), str(note["reason"]))
            whole, known = note["digest"] == _digest(extractor, key, result), "version" in note
        except (SafetensorError, KeyError, ValueError, TypeError, RecursionError, OSError):
            whole, known = False, True
        if whole:
            return result
        path.unlink(missing_ok=True)
        if known:  # else it is of an earlier version
            self.damaged.append(path.name)
        return None

    def put(self, extractor: str, key: str, result: FeatureResult) -> None:
        """Writes a result atomically."""
        from safetensors.numpy import save

        note = {
            "version": NOTE_VERSION,
            "status": result.status,
            "reason": result.reason,
            "digest": _digest(extractor, key, result),
        }
        arrays = {name: np.ascontiguousarray(array) for name, array in sorted(result.arrays.items())}
        write_bytes(self.path(extractor, key), save(arrays, metadata={"emo_bench": json.dumps(note, sort_keys=True)}))


def _digest(extractor: str, key: str, result: FeatureResult) -> str:
    # Extractor and key go in, so that a file under another name is not taken for what it is not.
    digest = hashlib.sha256("\x1f".join((extractor, key, result.status, result.reason)).encode())
    for name in sorted(result.arrays):
        array = np.ascontiguousarray(result.arrays[name])
        digest.update(f"\x1f{name}\x1f{array.dtype.str}\x1f{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
