"""What the code of a checkout is, whatever its commit says: people edit what they evaluate."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from emo_bench.systems.external.doctor import file_digest
from emo_core.hashing import digest_of

CODE = frozenset(
    {
        *(".py", ".pyx", ".so", ".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp", ".sh"),
        *(".yaml", ".yml", ".toml", ".ini", ".cfg"),
    }
)
"""Endings of files that decide what a program does. JSON is not among them: programs write results as such."""

_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")
_MADE = frozenset({"__pycache__", "node_modules", "build", "dist"})


def code_digest(repository: Path, *, without: frozenset[Path] = frozenset()) -> str:
    """SHA-256 over the names and digests of all code and settings below a checkout.

    Hidden folders, environments and what compilers leave are not looked into.

    Args:
        repository: The checkout.
        without: Files and folders whose content is told in another way, as that of weights is.
    """
    left_out = frozenset(path.resolve() for path in without)
    return digest_of(
        {path.relative_to(repository).as_posix(): file_digest(path) for path in _code_below(repository, left_out)}
    )


def _code_below(repository: Path, left_out: frozenset[Path]) -> Iterator[Path]:
    for name, folders, files in os.walk(repository):
        place = Path(name)
        folders[:] = [part for part in folders if not _passed_over(place / part, left_out)]
        for file in files:
            path = place / file
            if path.suffix in CODE and not file.startswith(".") and path.is_file() and path.resolve() not in left_out:
                yield path


def _passed_over(folder: Path, left_out: frozenset[Path]) -> bool:
    if folder.name.startswith(".") or folder.name in _MADE or folder.resolve() in left_out:
        return True
    return any((folder / mark).exists() for mark in _ENVIRONMENT)
