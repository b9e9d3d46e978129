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

    def path(self, extractor: str, key: str) -> Path:
        """Where the features of that key lie or would lie."""
        return self.folder / extractor.replace("/", "+") / key[:2] / f"{key}.safetensors"

    def has(self, extractor: str, key: str) -> bool:
        """Whether a file is there; ``get`` still checks its bytes."""
        return self.path(extractor, key).is_file()

    def get(self, extractor: str, key: str) -> FeatureResult | None:
        """The stored result; None when it is missing or its bytes are not what was written (it is removed then)."""
        from safetensors import SafetensorError, safe_open

        path = self.path(extractor, key)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as stream:
                note = json.loads((stream.metadata() or {})["emo_bench"])
                arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, KeyError, ValueError, OSError):
            path.unlink(missing_ok=True)
            return None
        result = FeatureResult(arrays, note.get("status", ""), note.get("reason", ""))
        if note.get("digest") != _digest(result):
            path.unlink(missing_ok=True)
            return None
        return result

    def put(self, extractor: str, key: str, result: FeatureResult) -> None:
        """Writes a result atomically."""
        from safetensors.numpy import save

        note = {"status": result.status, "reason": result.reason, "digest": _digest(result)}
        arrays = {name: np.ascontiguousarray(array) for name, array in sorted(result.arrays.items())}
        write_bytes(self.path(extractor, key), save(arrays, metadata={"emo_bench": json.dumps(note, sort_keys=True)}))


def _digest(result: FeatureResult) -> str:
    digest = hashlib.sha256(f"{result.status}\x1f{result.reason}".encode())
    for name in sorted(result.arrays):
        array = np.ascontiguousarray(result.arrays[name])
        digest.update(f"\x1f{name}\x1f{array.dtype.str}\x1f{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
