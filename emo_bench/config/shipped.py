"""Where the configuration files that ship with emo-bench lie."""

from __future__ import annotations

from pathlib import Path


def shipped_folders(kind: str) -> tuple[Path, Path]:
    """Folders of one kind (``systems``, ``gates`` …): of a checkout, then of the installed package; one may be missing.

    >>> [folder.name for folder in shipped_folders("gates")]
    ['gates', 'gates']
    """
    package = Path(__file__).resolve().parents[1]
    return package.parent / "configs" / kind, package / "configs" / kind
