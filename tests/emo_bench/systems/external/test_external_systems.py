"""What external programs do wrong becomes that clip's status, with the program's last words; the doctor says why."""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emo_bench.config.schema import System
from emo_bench.data.manifest import read_manifest
from emo_bench.engine.context import RunContext
from emo_bench.media.types import Audio, video_from_array
from emo_bench.runner.run import spec_of
from emo_bench.runner.suite import load_suite
from emo_bench.systems.external.card import card_names, find_card, load_card
from emo_bench.systems.external.doctor import (
    Finding,
    Installation,
    checked_out_commit,
    default_repository,
    doctor,
    examine,
)
from emo_bench.systems.external.sources import code_digest
from emo_bench.systems.external.system import External, ExternalDubbing
from emo_bench.systems.external.workspace import view_of
from emo_bench.systems.system import DrivingClip, GenerationRequest, SystemContext, build_system, system_digest
from emo_core.errors import ClipError, ConfigError, DecodeError, GenerationError, LimitError, NoFaceError
from emo_core.hashing import digest_of

_SPEC = importlib.util.spec_from_file_location("external_fakes_2", Path(__file__).parent / "external_fakes.py")
assert _SPEC is not None
assert _SPEC.loader is not None
fakes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fakes)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FPS = Fraction(25)
CARD: dict[str, Any] = {
    "version": 1,
    "name": "toy",
    "title": "Toy",
    "paper": "none",
    "repository": {"url": "https://example.org/toy", "commit": COMMIT},
    "licence": {"code": "MIT", "weights": "MIT", "non_commercial": False},
    "hardware": {"cuda": False},
    "weights": [{"path": "weights/net.pt", "sha256": hashlib.sha256(b"net").hexdigest(), "source": "the authors"}],
    "environment": {"kind": "uv"},
    "setup": ["uv venv"],
    "command": ["{python}", "run.py", "{image}", "{audio}", "{output_dir}"],
    "output": {"glob": "{output_dir}/*.mp4"},
    "sources": ["this test"],
}
HEAD = "import sys, time, os, pathlib\nimport draw\nimage, audio, out = sys.argv[1:4]\n"


def install(folder: Path, program: str, card: dict[str, Any] | None = None) -> Path:
    """Puts a card beside the suite and a checkout with the program into ``folder``."""
    repository = folder / "repo"
    for path, content in {
        ".git/HEAD": COMMIT + "\n",
        "run.py": HEAD + program,
        "draw.py": fakes.DRAW,
        "weights/net.pt": "net",
    }.items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(content, encoding="utf-8")
    (folder / "toy.yaml").write_text(json.dumps({**CARD, **(card or {})}), encoding="utf-8")  # JSON is YAML as well
    return repository


def request(n_frames: int = 6, *, system: str = "") -> GenerationRequest:
    return GenerationRequest(
        system=system,
        clip_id="one",
        reference_image=np.full((48, 48, 3), 90, dtype=np.uint8),
        audio=Audio(np.full(n_frames * 640, 0.1, np.float32), 16000),
        fps=FPS,
        n_frames=n_frames,
        width=48,
        height=48,
        seed=1,
    )


def system(folder: Path, **options: Any) -> External:
    given = {"card": "toy.yaml", "repository": "repo", "python": sys.executable, "timeout_s": 30.0, **options}
    kind = build_system(System(name="toy", kind="external", **given))
    assert isinstance(kind, External)
    kind.load(SystemContext(base=folder))
    return kind


WORKS = "draw.write(out + '/a.mp4', image, audio, fps=25)\n"


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        ("sys.exit('CUDA out of memory')", GenerationError, "CUDA out of memory"),
        ("os.kill(os.getpid(), 9)", GenerationError, "-9"),
        ("print('nothing to do')", GenerationError, "left no video"),
        ("print('Error occurred during processing: no face')", GenerationError, "no face"),
        ("draw.write(out + '/a.mp4', image, audio, fps=25, seconds=0.04)", GenerationError, "not as long"),
        ("draw.write(out + '/a.mp4', image, audio, fps=25, seconds=3)", GenerationError, "not as long"),
        ("pathlib.Path(out + '/a.mp4').write_bytes(b'<html>not a video')", DecodeError, "a.mp4"),
        ("pathlib.Path(out + '/a.mp4').write_bytes(b'')", DecodeError, "empty"),
        (WORKS + "draw.write(out + '/b.mp4', image, audio, fps=25)", GenerationError, "2: a.mp4, b.mp4"),
        ("os.symlink('/etc/passwd', out + '/a.mp4')", GenerationError, "left no video"),
    ],
)
def test_what_goes_wrong_is_named(tmp_path: Path, program: str, error: type[ClipError], words: str) -> None:
    install(tmp_path, program)
    with pytest.raises(error, match=words):
        system(tmp_path).generate(request(12)).video.read_all()


def test_a_hanging_program_is_stopped(tmp_path: Path) -> None:
    install(tmp_path, "print('loading', flush=True)\ntime.sleep(60)")
    with pytest.raises(LimitError, match=r"(?s)more than 3 s.*loading"):
        system(tmp_path, timeout_s=3.0).generate(request())


def test_other_rates_and_silent_videos_are_converted_and_noted(tmp_path: Path) -> None:
    program = "draw.write(out + '/a.mp4', image, audio, fps=50, silent=True)\n"
    install(tmp_path, program, {"output": {"glob": "{output_dir}/*.mp4", "fps": 30}})
    made = system(tmp_path).generate(request())
    assert len(made.video.read_all()) == 6
    notes = " ".join(made.notes)
    assert "frame rate converted from 50.000 to 25 fps" in notes
    assert "the card expects 30" in notes
    assert "no audio" in notes
    assert len(made.audio.samples) == 6 * 640


def test_slightly_wrong_length_is_held_and_noted(tmp_path: Path) -> None:
    install(tmp_path, "draw.write(out + '/a.mp4', image, audio, fps=25, seconds=0.2)\n")
    made = system(tmp_path).generate(request())
    assert len(made.video.read_all()) == 6
    assert "length 5 -> 6 frames, the last one held for 1" in made.notes


def test_the_newest_of_several_counts_when_the_card_says_so(tmp_path: Path) -> None:
    program = (
        "draw.write(out + '/b.mp4', image, audio, fps=25, seed=40)\n"
        "os.utime(out + '/b.mp4', (time.time() - 0.5, time.time() - 0.5))\n" + WORKS
    )
    install(tmp_path, program, {"output": {"glob": "{output_dir}/*.mp4", "choose": "newest"}})
    first = system(tmp_path).generate(request()).video.read_all()[0]
    assert first[2, 2, 0] < 20


def test_old_results_of_the_checkout_do_not_count(tmp_path: Path) -> None:
    repository = install(tmp_path, "pass", {"output": {"glob": "results/*.mp4"}})
    (repository / "results").mkdir()
    (repository / "results/old.mp4").write_bytes(b"old")
    with pytest.raises(GenerationError, match="left no video"):
        system(tmp_path).generate(request())


def test_working_folders_go_away_and_logs_stay(tmp_path: Path) -> None:
    install(tmp_path, "print('hello')\n" + WORKS)
    work = tmp_path / "work"
    work.mkdir()
    kind = system(tmp_path, work_folder=str(work), log_folder="logs")
    made = kind.generate(request())
    assert len(list(work.iterdir())) == 1
    assert len(made.video.read_all()) == 6
    del made
    gc.collect()
    assert not list(work.iterdir())
    assert "hello" in (tmp_path / "logs/one-1.txt").read_text(encoding="utf-8")
    install(tmp_path, "sys.exit(3)")
    with pytest.raises(GenerationError):
        kind.generate(request())
    gc.collect()
    assert not list(work.iterdir())


def test_a_program_that_is_told_no_seed_runs_once_and_not_for_every_seed(
    tiny: Any, tiny_set: Path, tmp_path: Path
) -> None:
    install(tmp_path, WORKS)
    (tmp_path / "seeded").mkdir()
    install(tmp_path / "seeded", WORKS, {"command": [*CARD["command"], "{seed}"], "uses_seed": True})
    base = {"kind": "external", "python": sys.executable}
    plain = {**base, "card": "toy.yaml", "repository": "repo"}
    systems = [
        {"name": "plain", **plain},
        {"name": "told-behind", **plain, "extra_arguments": ["--seed={seed}"]},
        {"name": "told", **base, "card": "seeded/toy.yaml", "repository": "seeded/repo"},
    ]
    suite = load_suite(tiny.suite(tiny_set, tmp_path, systems=systems, seeds=[3, 4], metrics=["flicker/luma@1"]))
    loader = RunContext(spec_of(suite, read_manifest(tiny_set))).loader
    assert {name: loader.seeds_of(name) for name in ("plain", "told-behind", "told")} == {
        "plain": (3,),
        "told-behind": (3, 4),
        "told": (3, 4),
    }


def test_systems_that_name_one_log_folder_keep_their_own_logs(tmp_path: Path) -> None:
    install(tmp_path, "print('said', *sys.argv[1:])\n" + WORKS)
    for name in ("plain", "other"):
        system(tmp_path, log_folder="logs", extra_arguments=[name]).generate(request(system=name))
    for name in ("plain", "other"):
        assert name in (tmp_path / "logs" / name / "one-1.txt").read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, WORKS)

    def refuse(**kwargs: object) -> str:
        raise PermissionError(13, "Permission denied", "/read-only")

    monkeypatch.setattr("emo_bench.systems.external.workspace.tempfile.mkdtemp", refuse)
    with pytest.raises(GenerationError, match="work_folder"):
        system(tmp_path, work_folder="/read-only").generate(request())


def test_a_missing_place_is_named_and_paths_start_from_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suites = tmp_path / "suites"
    install(suites, WORKS)
    for place in (suites / "env/bin/python", suites / "work/keep"):
        place.parent.mkdir(parents=True)
    python = suites / "env/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenerationError, match="work_folder"):
        system(Path("suites"), work_folder="nowhere").generate(request())
    by_environment = system(Path("suites"), python=None, environment="env", work_folder="work").generate(request())
    assert len(list((suites / "work").iterdir())) == 1
    assert len(by_environment.video.read_all()) == 6
    assert len(system(Path("suites"), python="env/bin/python").generate(request()).video.read_all()) == 6


def test_inputs_in_folders_of_the_repository_stay_out_of_it(tmp_path: Path) -> None:
    card = {
        "inputs": {"audio": {"folder": "examples"}},
        "files": [{"path": "configs/deep/case.txt", "text": "{seed}", "quoted": False}],
        "command": [*CARD["command"], "{seed}"],
        "uses_seed": True,
    }
    repository = install(tmp_path, "assert pathlib.Path('configs/base.txt').is_file()\n" + WORKS, card)
    for name in ("examples/speech.wav", "configs/base.txt", "configs/deep/case.txt"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("theirs", encoding="utf-8")
    assert len(system(tmp_path).generate(request()).video.read_all()) == 6
    for name in ("examples/speech.wav", "configs/deep/case.txt"):
        assert (repository / name).read_text(encoding="utf-8") == "theirs"


def test_a_face_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, WORKS)
    seen: list[int] = []

    made: list[object] = []

    def locator(weights: object) -> Any:
        made.append(weights)
        return lambda frame: seen.append(int(frame[0, 0, 0]))  # finds nothing

    monkeypatch.setattr("emo_bench.systems.face_boxes.face_locator", locator)
    checked = system(tmp_path, check_face=True)
    before = len(made)
    for _ in range(2):
        with pytest.raises(NoFaceError, match="no face"):
            checked.generate(request())
    assert len(seen) == 6
    assert len(made) == before + 2  # each clip gets one that knows nothing of the clip before


def test_dubbing_hands_over_the_real_video(tmp_path: Path) -> None:
    program = (
        "import av\nfrom PIL import Image\n"
        "frames = [f.to_image() for f in av.open(sys.argv[4]).decode(video=0)]\n"
        "frames[-1].save(out + '/last.png')\n"
        "draw.write(out + '/a.mp4', out + '/last.png', audio, fps=25)\n"
    )
    card = {"command": [*CARD["command"], "{video}"], "inputs": {"video": {"source": "driving"}}}
    install(tmp_path, program, card)
    given = {"card": "toy.yaml", "repository": "repo", "python": sys.executable}
    kind = build_system(System(name="toy", kind="external_dubbing", **given))
    assert isinstance(kind, ExternalDubbing)
    assert kind.needs_driving
    kind.load(SystemContext(base=tmp_path))
    shades = np.repeat(np.linspace(0, 200, 6).astype(np.uint8), 48 * 48 * 3).reshape(6, 48, 48, 3)
    driving = DrivingClip(clip_id="one", video=video_from_array(shades, fps=FPS), audio=request().audio)
    base = request()
    full = GenerationRequest(**{**base.__dict__, "driving": driving})
    assert abs(int(kind.generate(full).video.read_all()[0, 30, 30, 0]) - 200) < 6
    with pytest.raises(GenerationError, match="driving clip"):
        kind.generate(base)


def test_containers_get_only_what_they_need(tmp_path: Path) -> None:
    program = "assert os.environ['MODE'] == 'test'\n" + WORKS
    environment = {"kind": "container", "name": "toy:1", "variables": {"MODE": "test"}}
    install(tmp_path, program, {"environment": environment})
    engine = tmp_path / "engine"
    engine.write_text(
        f"#!{sys.executable}\nimport json, os, subprocess, sys\n"
        f"open({str(tmp_path / 'seen.json')!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        "command = sys.argv[sys.argv.index('toy:1') + 1:]\ncommand[0] = sys.executable\n"
        "sys.exit(subprocess.call(command))\n",
        encoding="utf-8",
    )
    engine.chmod(0o755)
    kind = system(tmp_path, python=None, container_engine=str(engine), memory_gb=2.0)
    assert len(kind.generate(request()).video.read_all()) == 6
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert seen[:3] == ["run", "--rm", "--name"]
    assert seen[seen.index("--network") + 1] == "none"
    assert any(part.endswith(f"target={tmp_path / 'repo'},readonly") for part in seen)
    assert "MODE=test" in seen
    assert seen[seen.index("--memory") + 1] == str(2 << 30)  # the engine's client holds none of the program's memory
    (tmp_path / "repo/run.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    with pytest.raises(LimitError, match="more than 3 s"):
        system(tmp_path, python=None, container_engine=str(engine), timeout_s=3.0).generate(request())
    last = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert (last[0], last[1][:10], len(last)) == ("kill", "emo-bench-", 2)


def errors(findings: list[Finding]) -> str:
    return " | ".join(f"{item.about}: {item.found}" for item in findings if item.level == "error")


def test_the_doctor_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    repository = install(tmp_path, WORKS)
    card = load_card(tmp_path / "toy.yaml")
    place = Installation(repository=repository, python=sys.executable)
    assert errors(examine(card, place)) == ""
    missing = examine(card, Installation(repository=tmp_path / "nowhere"))
    assert "no folder" in errors(missing)
    assert any("git clone https://example.org/toy" in item.fix for item in missing)
    assert "no " in errors(examine(card, Installation(repository=repository)))  # no .venv there
    (repository / "weights/net.pt").write_text("other", encoding="utf-8")
    assert "SHA-256" in errors(examine(card, place))
    (repository / "weights/net.pt").unlink()
    assert "weights/net.pt: missing" in errors(examine(card, place))
    (repository / ".git/HEAD").write_text("f" * 40, encoding="utf-8")
    assert "written for" in errors(examine(card, place))
    allowed = Installation(repository=repository, python=sys.executable, allow_other_commit=True)
    assert "written for" not in errors(examine(card, allowed))
    assert "no program" in errors(examine(card, Installation(repository=repository, python="no-such-python")))


def test_folders_of_weights_are_part_of_what_a_system_is(tmp_path: Path) -> None:
    weights = [*CARD["weights"], {"path": "weights/vae", "source": "the authors"}]
    folder = install(tmp_path, WORKS, {"weights": weights}) / "weights/vae"
    elsewhere = tmp_path / "elsewhere"

    def write(name: str, text: str) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")

    def depends() -> Any:
        return system(tmp_path).dependencies(SystemContext(base=tmp_path))

    write("unet/net.safetensors", "one")
    first = depends()
    write(".cache/huggingface/net.metadata", "when it was downloaded")
    assert depends() == first
    shutil.copytree(folder, elsewhere)
    shutil.rmtree(folder / "unet")
    (folder / "unet").symlink_to(elsewhere / "unet", target_is_directory=True)
    assert depends() == first
    (elsewhere / "unet/net.safetensors").write_text("other", encoding="utf-8")
    second = depends()
    write("more.safetensors", "one")
    assert len({digest_of(found) for found in (first, second, depends())}) == 3


def test_the_doctor_finds_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = install(
        tmp_path, WORKS, {"environment": {"kind": "conda", "name": "toy", "programs": ["no-such-tool"]}}
    )
    card = load_card(tmp_path / "toy.yaml")
    place = Installation(repository=repository)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CONDA_EXE", raising=False)
    assert "no conda" in errors(examine(card, place))
    conda = tmp_path / "conda/bin/conda"
    (tmp_path / "conda/envs").mkdir(parents=True)
    conda.parent.mkdir()
    conda.write_text("", encoding="utf-8")
    monkeypatch.setenv("CONDA_EXE", str(conda))
    assert "no conda environment toy" in errors(examine(card, place))
    (tmp_path / "conda/envs/toy").mkdir()
    findings = examine(card, place)
    assert errors(findings) == ""
    assert any("run --no-capture-output -n toy" in item.found for item in findings)
    assert any(item.about == "no-such-tool" and item.level == "warning" for item in findings)


def test_the_doctor_speaks_of_every_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMO_BENCH_SYSTEMS", str(tmp_path))
    assert default_repository("sonic") == tmp_path / "sonic"
    findings = doctor("sonic")
    assert findings[0].level == "error"
    assert str(tmp_path / "sonic") in findings[0].fix
    assert any(item.about == "licence" and "non-commercial" in item.found for item in findings)
    spaced = Installation(repository=tmp_path / "my methods/sonic")
    assert f"git -C '{tmp_path}/my methods/sonic' checkout" in doctor("sonic", installation=spaced)[0].fix
    for name in card_names():
        findings = doctor(name)
        card = load_card(find_card(name))
        assert card.repository.commit in findings[0].fix
        assert sum(item.about.startswith("weights") for item in findings) == len(card.weights)
        assert any(card.licence.code in item.found for item in findings if item.about == "licence")
    with pytest.raises(ConfigError, match="no card"):
        doctor("sonik")


def test_a_run_stops_before_any_work_when_something_is_missing(tmp_path: Path) -> None:
    repository = install(tmp_path, WORKS)
    config = System(name="toy", kind="external", card="toy.yaml", repository="repo", python=sys.executable)
    kind, context = build_system(config), SystemContext(base=tmp_path)
    first = system_digest(config, kind, context)
    assert first == system_digest(config, kind, context)
    (repository / "weights/net.pt").unlink()
    with pytest.raises(ConfigError, match=r"(?s)cannot run on this machine.*systems doctor toy"):
        kind.dependencies(context)


@pytest.mark.parametrize("edited", ["run.py", "deep/er/new.py", "configs/inference.yaml"])
def test_an_edited_checkout_of_the_same_commit_is_another_system(tmp_path: Path, edited: str) -> None:
    repository = install(tmp_path, WORKS)
    config = System(name="toy", kind="external", card="toy.yaml", repository="repo", python=sys.executable)
    kind, context = build_system(config), SystemContext(base=tmp_path)
    before = system_digest(config, kind, context)
    path = repository / edited
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("steps: 20\n", encoding="utf-8")
    assert system_digest(config, kind, context) != before


@pytest.mark.parametrize(
    "left",
    ["results/a.mp4", "results/a.json", ".venv/x.py", "env/pyvenv.cfg", "__pycache__/a.py", "build/a.so", "log.txt"],
)
def test_what_a_program_or_a_compiler_leaves_changes_nothing(tmp_path: Path, left: str) -> None:
    repository = install(tmp_path, WORKS)
    before = code_digest(repository)
    path = repository / left
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("left", encoding="utf-8")
    assert code_digest(repository) == before
    (path.parent / "again.py").write_text("left", encoding="utf-8")
    inside = path.parent == repository or path.parent.name == "results"
    assert (code_digest(repository) == before) != inside


def test_code_beside_weights_is_told_once(tmp_path: Path) -> None:
    repository = install(tmp_path, WORKS)
    folder = frozenset({repository / "weights"})
    before = code_digest(repository, without=folder)
    (repository / "weights" / "config.yaml").write_text("a: 1\n", encoding="utf-8")
    assert code_digest(repository, without=folder) == before
    assert code_digest(repository) != before


def test_commits_are_read_without_running_anything(tmp_path: Path) -> None:
    assert checked_out_commit(tmp_path) is None
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/x\n", encoding="utf-8")
    (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/x\n", encoding="utf-8")
    assert checked_out_commit(tmp_path) == COMMIT
    (git / "refs/heads").mkdir(parents=True)
    (git / "refs/heads/x").write_text("a" * 40, encoding="utf-8")
    assert checked_out_commit(tmp_path) == "a" * 40
    (git / "HEAD").write_text("nonsense", encoding="utf-8")
    assert checked_out_commit(tmp_path) is None


def test_the_view_of_a_repository_links_and_hides(tmp_path: Path) -> None:
    repository, target = tmp_path / "repo", tmp_path / "view"
    for name in ("code.py", "a/keep.txt", "a/old.wav", "a/b/deep.txt", "c/big.bin", ".git/HEAD"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(name, encoding="utf-8")
    target.mkdir()
    view_of(repository, target, private={"a": ("*.wav",), "a/b": (), "new/place": ()})
    assert (target / "c").is_symlink()
    assert not (target / "a").is_symlink()
    assert (target / "a/keep.txt").read_text(encoding="utf-8") == "a/keep.txt"
    assert not (target / "a/old.wav").exists()
    assert not (target / "a/b").is_symlink()
    assert (target / "a/b/deep.txt").is_symlink()
    assert (target / "new/place").is_dir()
    assert not (target / ".git").exists()
    (target / "a/new.txt").write_text("x", encoding="utf-8")
    assert not (repository / "a/new.txt").exists()
