"""What becomes of odd and broken inputs, by kind: the tables of docs/reliability.md.

    python benchmarks/reliability.py [--cases FOLDER] [KIND ...]

makes files with painted frame numbers and beeps, breaks them as recorders, cutters and disks do, reads them back, and
runs the command line on a folder of rebuilt reports where there is one. Every input is *right*, *reported* (something
else, with a note beside it), *refused* (an error in words with exit code 2 or 3) or *wrong*.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "emo_bench" / "media"), str(ROOT / "tests"), str(ROOT)]
OUTCOMES = ("right", "reported", "refused", "wrong")
Outcome = tuple[str, str]
"""One of ``OUTCOMES``, and what came out in one line."""
Case = Callable[[], Outcome]


def made_media() -> Any:
    """The makers of small media of the tests."""
    import conftest  # type: ignore[import-not-found]

    return conftest


def recorded_kinds(folder: Path) -> Iterator[tuple[str, str, Case]]:
    """Recordings of many containers and codecs, whole and broken, as the tests of recorded time make them."""
    import test_recorded_time as made  # type: ignore[import-not-found]

    media = made_media()

    def case(how: Any, wanted: list[int], beeps: tuple[float, ...]) -> Case:
        def run() -> Outcome:
            from emo_bench.media.decode import load_pair

            pair = load_pair(made.record(folder / f"a.{how.ending}", how, media.picture))
            frames = made.shown(pair, media)
            same = frames == wanted[: len(frames)] and len(frames) >= len(wanted) - 2
            heard = made.heard_at(pair, beeps, 0.025)
            codes = ", ".join(sorted(made.codes(pair) - {"matrix_assumed"}))
            if same and heard:
                return "right", f"{len(frames)} frames, notes: {codes or 'none'}"
            return ("reported" if codes else "wrong"), f"frames right: {same}, beeps right: {heard}, notes: {codes}"

        return run

    every = list(range(made.N_FRAMES))
    for name, how in made.PLAIN.items():
        yield "whole recordings", name, case(how, every, made.BEEPS)
    for name, (codec, options) in made.PAUSING.items():
        for number, gone in enumerate((range(22, 36), (7, 8, 9, 30, 31, 50))):
            kept = tuple(frame for frame in every if frame not in gone)
            shown = [max(frame for frame in kept if frame <= index) for index in every]
            how = made.Recorder(ending="avi", codec=codec, options=options, kept=kept)
            yield "frames that a recorder left out (AVI)", f"{name}, {number}", case(how, shown, made.BEEPS)
    for name in ("h264-mp4", "h264-mkv", "h264-mov", "h264-ts"):
        for ms in (160, 1000):
            beeps = tuple(beep - ms / 1000 for beep in made.BEEPS if beep >= ms / 1000)
            how = replace(made.PLAIN[name], video=made.moved(ms))
            yield "video that begins late", f"{name}, {ms} ms", case(how, every[: -round(ms / 40)], beeps)
    for name in ("h264-mp4", "h264-mkv", "h264-ts"):
        how = replace(made.PLAIN[name], sound=made.left_out(0.55, 1.45))
        yield "gaps in the audio", name, case(how, every, (0.4, 1.6, 2.0))
    for ending in ("mkv", "mp4"):
        audio = "aac" if ending == "mp4" else "pcm_s16le"
        how = made.Recorder(ending=ending, audio=audio, video=made.in_coding_order)
        yield "stamps in coding order", ending, case(how, every, made.BEEPS)


def cut_kinds(folder: Path) -> Iterator[tuple[str, str, Case]]:
    """Recordings that end in the middle."""
    import test_recorded_time as made

    media = made_media()

    def case(how: Any, share: float) -> Case:
        def run() -> Outcome:
            from emo_bench.media.decode import load_pair

            path = made.record(folder / f"c.{how.ending}", how, media.picture)
            path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
            pair = load_pair(path)
            told = made.codes(pair) & {"short_file", "damaged_end", "cut_frame", "no_end_mark"}
            return ("reported" if told else "wrong"), f"{pair.video.spec.n_frames} frames, notes: {sorted(told)}"

        return run

    for name, how in made.PLAIN.items():
        for share in (0.4, 0.75):
            yield "recordings that were cut off", f"{name}, {share}", case(how, share)


def image_kinds(folder: Path) -> Iterator[tuple[str, str, Case]]:
    """A ramp in many kinds of pixels."""
    import numpy as np
    from PIL import Image

    ramp = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)
    kinds: dict[str, Any] = {
        "8-bit gray png": Image.fromarray(ramp),
        "8-bit rgb png": Image.fromarray(np.stack([ramp] * 3, axis=2)),
        "palette png": Image.fromarray(ramp).convert("P"),
        "gray with alpha png": Image.fromarray(ramp).convert("LA"),
        "16-bit gray png": Image.fromarray(ramp.astype(np.uint16) * 257),
        "16-bit gray tiff": Image.fromarray(ramp.astype(np.uint16) * 257),
        "12 bits in 16 png": Image.fromarray(ramp.astype(np.uint16) * 16),
        "8 bits in 16 png": Image.fromarray(ramp.astype(np.uint16)),
        "float 0 to 1 tiff": Image.fromarray((ramp / 255).astype(np.float32)),
        "float 0 to 255 tiff": Image.fromarray(ramp.astype(np.float32)),
        "32-bit integer tiff": Image.fromarray(ramp.astype(np.int32)),
        "cmyk tiff": Image.fromarray(np.stack([ramp] * 3, axis=2)).convert("CMYK"),
        "lossless webp": Image.fromarray(np.stack([ramp] * 3, axis=2)),
        "bmp bmp": Image.fromarray(ramp),
    }

    def case(name: str, image: Any) -> Case:
        def run() -> Outcome:
            from emo_bench.media.image import read_still_image

            path = folder / f"i.{name.rsplit(' ', 1)[-1]}"
            image.save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
            found = read_still_image(path)
            same = np.abs(found.pixels[..., 0].astype(int) - ramp).max() <= 1
            return ("right" if same else "reported" if found.notes else "wrong"), "; ".join(found.notes) or "as it is"

        return run

    for name, image in kinds.items():
        yield "still images", name, case(name, image)


def cli(*arguments: str) -> tuple[int, str]:
    """Exit code and all that a command prints."""
    from emo_bench.cli.main import main

    talk = io.StringIO()
    with contextlib.redirect_stdout(talk), contextlib.redirect_stderr(talk):
        code = main([*arguments])
    return int(code), talk.getvalue()


def gate_kinds(folder: Path) -> Iterator[tuple[str, str, Case]]:
    """A gate that passes, printed in encodings that lack its signs and into a pipe that nobody reads."""
    accepted = ROOT / "reports" / "accepted" / "checkpoint"

    def case(encoding: str, pipe: str) -> Case:
        def run() -> Outcome:
            rules = folder / "rules.yaml"
            rules.write_text("version: 1\nrules:\n  - {protocol: psnr/*}\n", encoding="utf-8")
            gate = [sys.executable, "-m", "emo_bench.cli.main", "gate", "-b", accepted, "-c", accepted, "-r", rules]
            line = f"set -o pipefail; {shlex.join(map(str, gate))} {pipe}"
            environment = {**os.environ, "PYTHONIOENCODING": encoding}
            done = subprocess.run(
                ["/bin/bash", "-c", line], env=environment, capture_output=True, check=False, cwd=ROOT
            )
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no error"]
            fine = done.returncode == 0 and b"Traceback" not in done.stderr
            return ("right" if fine else "wrong"), f"exit {done.returncode}; {last[0][:200]}"

        return run

    for encoding in ("utf-8", "latin-1", "cp1252", "ascii"):
        yield "gate that passes, other outputs", f"12 {encoding}", case(encoding, "")
    yield "gate that passes, other outputs", "12 closed pipe", case("utf-8", "| true")


def said(text: str, *words: str) -> str:
    """The first lines that hold one of the words, in one line."""
    lines = [" ".join(line.split()) for line in text.splitlines() if any(word in line for word in words)]
    return " | ".join(lines[:3])[:300]


def rebuilt(cases: Path, folder: Path) -> Iterator[tuple[str, str, Case]]:
    """The command line on inputs rebuilt from reports; see the README of the folder."""
    weights = cases.parent / "assets" / "weights"

    def copied(name: str) -> Path:
        target = folder / name
        if not target.is_dir():
            shutil.copytree(cases / name, target)
        return target

    def scored(case: str, generated: str, metric: str, *words: str, code: int = 0, extra: tuple[str, ...] = ()) -> Case:
        def run() -> Outcome:
            here = copied(case)
            manifest = here / "gt" / "manifest.jsonl"
            if not manifest.is_file():
                cli("data", "import", str(here / "gt"))
            videos = here / f"{generated}-videos"  # 'frozen' alone is the name of an anchor
            if not videos.is_dir():
                shutil.copytree(here / generated, videos)
            done, text = cli(
                "score", "-g", str(videos), "-r", str(manifest), "-m", metric, "--set", "anchors=[]",
                "--set", f"store={here / 'store'}", "--set", "report.previews=false",
                "-o", str(here / "runs" / generated), "-w", str(weights), "--quiet", *extra,
            )  # fmt: skip
            values = ""
            with contextlib.suppress(OSError):
                record = json.loads((here / "runs" / generated / "record.json").read_text(encoding="utf-8"))
                values = ", ".join(
                    f"{v['key']} {v['value'] if v['value'] is None else round(v['value'], 2)} ({v['status']})"
                    for v in record["values"]
                    if v["system"] == videos.name
                )
            told = all(word in text for word in words)
            outcome = ("right" if not words else "reported") if done == 0 else "refused"
            return (
                outcome if done == code and told else "wrong"
            ), f"exit {done}; {values or ' '.join(text.split())[:200]}; {said(text, *words)}"

        return run

    def command(*arguments: str, code: int, words: tuple[str, ...], good: str = "reported") -> Case:
        def run() -> Outcome:
            done, text = cli(*arguments)
            fine = done == code and all(word in text for word in words)
            return (good if fine else "wrong"), f"exit {done}; {said(text, *words) or ' '.join(text.split())[:200]}"

        return run

    def lost_face() -> Outcome:
        here = copied("01-face-lost-exit-0")
        settings = [f"output={here / 'run'}", f"store={here / 'store'}", f"weights.folders=['{weights}']"]
        sets = [part for value in settings for part in ("--set", value)]
        done, text = cli("run", "--config", str(here / "s.yaml"), "--quiet", *sets)
        fine = done == 3 and "% frames" in text + "% frames" * ("2/3 clips" in text)
        return ("reported" if fine else "wrong"), f"exit {done}; {said(text, 'clips:', 'not comparable', 'x ')}"

    def stale() -> Outcome:
        here = copied("02-avi-b-frames")
        args = (
            "score", "-g", str(here / "mp4"), "-r", str(here / "gt" / "manifest.jsonl"), "-m", "psnr/rgb@1", "--set",
            "anchors=[]", "--set", f"store={folder / 'warm'}", "--set", "report.previews=false", "--quiet", "-o",
        )  # fmt: skip
        first, _ = cli(*args, str(folder / "warm-run"))
        shutil.copyfile(here / "mp4" / "may.mp4", here / "gt" / "wda.mp4")
        done, text = cli(*args, str(folder / "warm-run"))
        return (
            "refused" if (first, done) == (0, 3) else "wrong"
        ), f"exit {first}, then {done}; {said(text, 'manifest')}"

    yield "faces lost", "01", lost_face
    yield "AVI with B-frames", "02 mp4", scored("02-avi-b-frames", "mp4", "psnr/rgb@1")
    yield "AVI with B-frames", "02 avi", scored("02-avi-b-frames", "avi", "psnr/rgb@1", "coding order")
    yield "AVI with B-frames", "02 xvid", scored("02-avi-b-frames", "xvid", "psnr/rgb@1", "coding order")
    for name in ("gray16.png", "float01.tiff", "gray_i32.tiff", "p3.png"):

        def portrait(path: Path = cases / "04-16-bit-portrait" / name) -> Outcome:
            from emo_bench.media.image import read_still_image

            found = read_still_image(path)
            fine = 20 < float(found.pixels.mean()) < 235
            text = f"mean {found.pixels.mean():.0f}; {'; '.join(found.notes)}"
            return ("reported" if found.notes else "right") if fine else "wrong", text

        yield "portraits of other pixels", f"04 {name}", portrait
    for name in ("gap.mkv", "gap.mp4"):

        def gap(path: Path = cases / "05-audio-gap-shortens-clip" / name) -> Outcome:
            from emo_bench.media.decode import load_pair

            pair = load_pair(path)
            return ("reported" if pair.video.spec.n_frames == 150 else "wrong"), (
                f"{pair.video.spec.n_frames} frames; {'; '.join(note for note in pair.notes if 'missing' in note)}"
            )

        yield "gaps in the audio, real clip", f"05 {name}", gap
    seven = cases / "07-phase-inverted"
    yield (
        "channels that cancel",
        "07 doctor",
        command("doctor", str(seven / "phase_aac.mp4"), code=0, words=("cancel",)),
    )
    yield (
        "channels that cancel",
        "07 import",
        command("data", "import", str(seven), "-o", str(folder / "07" / "m.jsonl"), code=0, words=("cancel",)),
    )
    for metric in ("mouth-audio/mediapipe@2", "expressiveness/mediapipe@2", "beat-alignment/mediapipe@2"):
        yield "frozen face through H.264", f"08 {metric}", scored("08-frozen-through-h264", "frozen", metric, code=3)
    yield "late in its container", "09", scored("09-generated-late-in-container", "late", "psnr/rgb@1", "own audio")
    for name in ("nested", "upper", "flat"):
        yield "names", f"10 {name}", scored("10-names", name, "flicker/luma@1")
    yield "names", "10 dup", scored("10-names", "dup", "flicker/luma@1", "may.mkv", code=2)
    yield "audio beside", "11", command(
        "data", "import", str(cases / "11-sound-beside-ignored" / "gt"), "-o", str(folder / "11" / "m.jsonl"), code=3,
        words=("two.flac, two.wav",),
    )  # fmt: skip
    for name in ("drop_mpeg4_2.avi", "h264copy.avi", "cut.avi"):
        words = ("repeats",) if "drop" in name else ("coding order",)
        path = cases / "13-avi-false-cut-off" / name
        yield "whole AVI that were called cut off", f"13 {name}", command("doctor", str(path), code=0, words=words)
    yield "assumed matrix", "15 untag", scored("15-hd-untagged", "untag", "psnr/rgb@1", "BT.709 assumed")
    untagged = next((cases / "15-hd-untagged" / "untag").glob("*.*"))
    yield "assumed matrix", "15 doctor", command("doctor", str(untagged), code=0, words=("BT.709 assumed",))
    yield "assumed matrix", "15 tag", scored("15-hd-untagged", "tag", "psnr/rgb@1")
    eighteen = cases / "18-import-rules"
    yield "import", "18 identity", command(
        "data", "import", str(eighteen / "a"), "--identity", r"^(zz\d+)-", "-o", str(folder / "18" / "m.jsonl"), code=2,
        words=("fits no file",), good="refused",
    )  # fmt: skip
    yield (
        "import",
        "18 equal clips",
        command(
            "data", "import", str(eighteen / "a"), "-o", str(folder / "18b" / "m.jsonl"), code=0, words=("same video",)
        ),
    )
    yield "warm store", "19", stale
    for path in sorted((cases / "attacks" / "yaml").glob("*.yaml")):
        dated = path.stem.endswith("-date")  # a day that is none is text like any other
        yield (
            "hostile YAML",
            path.name,
            command("validate", str(path), code=0 if dated else 2, words=(), good="right" if dated else "refused"),
        )
    for path in sorted((cases / "attacks" / "gap").glob("*.mkv")):
        yield "costly files", path.name, command("doctor", str(path), code=3, words=("too long",), good="refused")


def outcome_of(case: Case) -> Outcome:
    """The outcome of a case; an error of this project is a refusal, any other is wrong."""
    from emo_core.errors import EmoBenchError

    try:
        return case()
    except EmoBenchError as error:
        return "refused", str(error).splitlines()[0][:200]
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {error}"[:200]


def main() -> int:
    """Prints one line for each input on stderr and the table on stdout; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=[], metavar="KIND", help="only kinds whose names begin so")
    parser.add_argument(
        "--cases", type=Path, default=ROOT / ".." / "shared" / "cases", help="folder of rebuilt reports"
    )
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        folder = Path(name)
        sources = [recorded_kinds(folder), cut_kinds(folder), image_kinds(folder), gate_kinds(folder)]
        if arguments.cases.is_dir():
            sources.append(rebuilt(arguments.cases.resolve(), folder))
        else:
            sys.stderr.write(f"no {arguments.cases}: rebuilt reports are left out\n")
        for kind, what, case in (one for source in sources for one in source):
            if arguments.kinds and not any(kind.startswith(wanted) for wanted in arguments.kinds):
                continue
            outcome, text = outcome_of(case)
            counts.setdefault(kind, Counter())[outcome] += 1
            sys.stderr.write(f"{outcome:9} {kind}: {what}: {text}\n")
            sys.stderr.flush()
    if not counts:
        sys.stderr.write(f"nothing was tried: no kind begins with {' or '.join(map(repr, arguments.kinds))}\n")
        return 1
    print("| kind | tried | right | reported | refused | wrong |\n| --- | --: | --: | --: | --: | --: |")
    for kind, found in counts.items():
        cells = [str(sum(found.values())), *(str(found[outcome]) for outcome in OUTCOMES)]
        print(f"| {kind} | " + " | ".join(cells) + " |")
    return 1 if any(found["wrong"] for found in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
