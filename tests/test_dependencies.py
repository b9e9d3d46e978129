"""What the packages import is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("emo_bench", "emo_core", "hdtf_synth", "models/emo_models", "metrics/emo_metrics")
NAMES = {
    "PIL": "pillow",
    "c2pa": "c2pa-python",
    "cv2": "opencv-contrib-python",
    "espeakng_loader": "espeakng-loader",
    "markupsafe": "jinja2",  # of whose templates it is a part
    "mlflow": "mlflow-skinny",
    "ruamel": "ruamel.yaml",
    "tokenizers": "transformers",  # whose tokenizers it holds
}
"""Module -> distribution, where they differ."""
UNDECLARED = {"IPython"}
"""Used only where it is installed already."""
NOT_IMPORTED = {
    "lpips",  # for its weights
    "syncnet-python",  # the reference that sync/joonson is held against, for users too
}
"""Installed all the same."""


def imported() -> set[str]:
    """Distributions that the packages import."""
    found = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    own = {Path(package).name for package in PACKAGES}
    return {NAMES.get(name, name) for name in found - own - set(sys.stdlib_module_names) - UNDECLARED}


def names(requirements: list[str]) -> set[str]:
    """The distributions of a list of requirements."""
    return {re.split(r"[^A-Za-z0-9_.-]", requirement)[0] for requirement in requirements}


def test_imports_and_dependencies_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = names(project["dependencies"])
    optional = {name for extra in project["optional-dependencies"].values() for name in names(extra)}
    assert imported() - needed - optional == set(), "imported, but not declared"
    assert needed - imported() - NOT_IMPORTED == set(), "declared, but never imported"
