"""Every card is sound, and its documented command line works with a program that takes exactly those arguments."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emo_bench.config.schema import System
from emo_bench.media.types import Audio
from emo_bench.systems.external.card import SystemCard, card_names, find_card, load_card, placeholders_in
from emo_bench.systems.system import GenerationRequest, SystemContext, build_system
from emo_core.errors import ConfigError


def _module_beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_FAKES = [_module_beside(name) for name in ("external_fakes", "external_fakes_2025")]
DRAW = _FAKES[0].DRAW
PROGRAMS = {name: program for module in _FAKES for name, program in module.PROGRAMS.items()}
EXTRA_FILES = {name: files for module in _FAKES for name, files in module.EXTRA_FILES.items()}

NAMES = [
    *("sadtalker", "dreamtalk", "makeittalk", "diffused-heads", "hallo", "hallo2", "echomimic", "aniportrait"),
    *("v-express", "sonic", "latentsync", "musetalk"),
    *("float", "ditto", "hallo3", "fantasy-talking", "multitalk", "infinitetalk", "omniavatar", "stableavatar"),
    *("echomimic-v3", "wan-s2v", "live-avatar", "hunyuanvideo-avatar"),
]
FPS = Fraction(25)


def checkout(folder: Path, name: str, *, commit: str) -> Path:
    """A folder like the method's repository, with the fake in place of its script."""
    script, text = PROGRAMS[name]
    files: Mapping[str, str] = {
        ".git/HEAD": "ref: refs/heads/main\n",
        ".git/refs/heads/main": commit + "\n",
        script: text,
        "draw.py": DRAW,
        (Path(script).parent / "draw.py").as_posix(): DRAW,
        **EXTRA_FILES.get(name, {}),
    }
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    return folder


def request(n_frames: int = 12, seed: int = 7) -> GenerationRequest:
    random = np.random.default_rng(0)
    return GenerationRequest(
        clip_id="clip 'one'; rm -rf $HOME",
        reference_image=random.integers(0, 256, (64, 64, 3), dtype=np.uint8),
        audio=Audio(random.uniform(-0.3, 0.3, n_frames * 640).astype(np.float32), 16000),
        fps=FPS,
        n_frames=n_frames,
        width=64,
        height=64,
        seed=seed,
    )


def snapshot(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_there_is_a_card_for_every_method() -> None:
    assert card_names() == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_where_their_facts_are_from(name: str) -> None:
    card = load_card(find_card(name))
    assert card.name == name
    assert card.repository.url.startswith("https://github.com/")
    assert len(card.sources) >= 2
    assert card.setup
    assert card.weights
    assert card.licence.code
    used = set().union(*(placeholders_in(text) for text in (*card.command, *(file.text for file in card.files))))
    in_place = card.inputs.image.folder is not None  # the program finds its inputs by name
    assert in_place or used & {"image", "video"}
    assert in_place or "audio" in used
    assert not any(character in argument for argument in card.command for character in ";|&$`")


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_command_line_gives_the_clip(name: str, tmp_path: Path) -> None:
    card = load_card(find_card(name))
    repository = checkout(tmp_path / 'it\'s a "check out"', name, commit=card.repository.commit)
    before = snapshot(repository)
    system = System(
        name=name, kind="external", card=name, repository=str(repository), python=sys.executable, timeout_s=60.0
    )
    kind = build_system(system)
    kind.load(SystemContext(base=tmp_path))
    made = kind.generate(request())
    frames = made.video.read_all()
    assert len(frames) == made.video.spec.n_frames == 12
    assert made.video.spec.fps == FPS
    size = {
        "sadtalker": 256, "dreamtalk": 256, "makeittalk": 256, "diffused-heads": 128,
        "echomimic": 512, "aniportrait": 512, "v-express": 512, "float": 512, "hallo3": 480, "fantasy-talking": 512,
        "stableavatar": 512, "hunyuanvideo-avatar": 704,
    }.get(name, 64)  # fmt: skip
    assert frames.shape[1:] == (size, size, 3)
    assert (np.diff(frames[:, 2, 2, 0].astype(int)) != 0).any()  # it is the moving picture, not a still
    if card.output.fps and card.output.fps != 25:
        assert any("to 25 fps" in note for note in made.notes)
    assert not any("no audio" in note for note in made.notes)
    assert snapshot(repository) == before  # the checkout stays as it was


@pytest.mark.parametrize("name", ["v-express", "hallo3", "omniavatar", "multitalk"])
def test_the_seed_reaches_programs_that_take_one(name: str, tmp_path: Path) -> None:
    card = load_card(find_card(name))
    repository = checkout(tmp_path / "repo", name, commit=card.repository.commit)
    options = {"card": name, "repository": str(repository), "python": sys.executable}
    kind = build_system(System(name="v", kind="external", **options))
    kind.load(SystemContext(base=tmp_path))
    first, again, other = (kind.generate(request(n_frames=3, seed=seed)).video.read_all() for seed in (7, 7, 90))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_frames_before_the_audio_are_cut(tmp_path: Path) -> None:
    """The stand-in counts its frames in a corner, five levels each; the first one is the portrait itself."""
    card = load_card(find_card("omniavatar"))
    repository = checkout(tmp_path / "repo", "omniavatar", commit=card.repository.commit)
    options = {"card": "omniavatar", "repository": str(repository), "python": sys.executable}
    kind = build_system(System(name="o", kind="external", **options))
    kind.load(SystemContext(base=tmp_path))
    made = kind.generate(request(n_frames=12, seed=0))
    corner = made.video.read_all()[:, 2, 2, 0].astype(int)
    assert abs(corner[0] - 5) <= 2
    assert abs(corner[-1] - 60) <= 3
    assert any("1 frames before the audio" in note for note in made.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": ["run", "{imgae}"]}, "unknown placeholder"),
        ({"uses_seed": True}, "uses_seed"),
        ({"command": ["run", "{video}"]}, r"inputs\.video"),
        ({"environment": {"kind": "none", "variables": {"SEED": "{seed}"}}}, "uses_seed"),
        ({"environment": {"kind": "none", "variables": {"FACE": "{video}"}}}, r"inputs\.video"),
        ({"output": {"glob": "../*.mp4"}}, "stays inside"),
        ({"output": {"glob": "/etc/*"}}, "stays inside"),
        ({"files": [{"path": "../x", "text": ""}]}, "stays inside"),
        ({"private": [{"path": "/"}]}, "stays inside"),
        ({"inputs": {"image": {"file": "a b.png"}}}, "pattern"),
        ({"output": {"glob": "*.mp4", "crop": [5, 0, 5, 9]}}, "left < right"),
        ({"environment": {"kind": "conda"}}, r"environment\.name"),
        ({"repository": {"url": "file:///x", "commit": "0" * 40}}, "pattern"),
    ],
)
def test_mistakes_in_cards_are_named(change: dict[str, object], message: str) -> None:
    good = load_card(find_card("sadtalker")).model_dump(mode="json")
    import json

    with pytest.raises(ValueError, match=message):
        SystemCard.model_validate_json(json.dumps({**good, **change}), strict=True)


def test_an_unknown_card_is_named_with_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sadtalker"):
        find_card("sadtalkre")
    with pytest.raises(ConfigError, match="no card"):
        find_card("own.yaml", base=tmp_path)
    with pytest.raises(ConfigError):
        find_card("../../etc/passwd")
