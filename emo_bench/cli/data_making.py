"""``emo-bench data make`` and ``emo-bench data prepare``: sets whose clips are made here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emo_bench.cli.options import QuietOption, say

if TYPE_CHECKING:
    from emo_bench.data.prepare.report import PrepareReport

make_app = typer.Typer(help="Make embedded test sets.", no_args_is_help=True)


@make_app.callback()
def _make() -> None:
    pass


@make_app.command("hdtf-synth")
def make_hdtf_synth(
    slice_: Annotated[str, typer.Option("--slice", help="mini, test, validation, train, offsets or all.")] = "all",
    target: Annotated[Path, typer.Option("--output", "-o", help="Folder.")] = Path("data/hdtf-synth"),
    size: Annotated[int, typer.Option("--size", help="Width and height in pixels.", min=64, max=1024)] = 128,
    workers: Annotated[int, typer.Option("--workers", help="Processes.", min=1, max=64)] = 2,
    quiet: QuietOption = False,
) -> int:
    """Make HDTF-Synth, the synthetic talking-portrait set; resumable, byte-identical everywhere."""
    from emo_bench.data.sets.hdtf_synth import make_hdtf_synth as make
    from emo_core.progress import display

    slices = ["train", "validation", "test", "mini", "offsets"] if slice_ == "all" else [slice_]
    with display(quiet=quiet) as shown:
        for name in slices:
            begun = False

            def progress(done: int, total: int, text: str) -> None:
                nonlocal begun
                if not begun:
                    shown.stage(name, total)  # noqa: B023 - used before the loop continues
                    begun = True
                if done:
                    shown.step(text)

            make(target / name, slice=name, size=size, workers=workers, progress=progress)
            typer.echo(str(target / name / "manifest.jsonl"))
    return 0


@make_app.command("reenacted")
def make_reenacted(
    portraits: Annotated[
        Path, typer.Option("--portraits", help="Folder of stills, or a table (CSV: file, medium, licence).")
    ],
    motion: Annotated[
        Path,
        typer.Option("--motion", help="Manifest of talking clips, or a table (CSV: file, audio, tracks, speaker)."),
    ],
    target: Annotated[Path, typer.Option("--output", "-o", help="Folder of the set.")],
    clips: Annotated[int, typer.Option("--clips", help="How many clips.", min=1)] = 100,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of a clip.", min=0.4, max=60.0)] = 3.0,
    size: Annotated[int, typer.Option("--size", help="Width and height in pixels.", min=64, max=1024)] = 128,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the set.")] = 0,
    split: Annotated[str, typer.Option("--split", help="Split of all clips.")] = "train",
    leave_out: Annotated[
        Path | None, typer.Option("--leave-out", help="Text file: ids of portraits, clips or speakers, one a line.")
    ] = None,
    blinks: Annotated[
        float, typer.Option("--blinks", help="Blinks per minute to add to the speakers' own.", min=0, max=60)
    ] = 0.0,
    widest_mouth: Annotated[
        float,
        typer.Option(
            "--widest-mouth", help="Leave out stills with lips further apart than this share of the face's height."
        ),
    ] = 0.04,
    lossless: Annotated[bool, typer.Option("--lossless", help="Keep every pixel; about three times the size.")] = False,
    workers: Annotated[int, typer.Option("--workers", help="Processes.", min=1, max=64)] = 2,
    weights: Annotated[list[Path] | None, typer.Option("--weights", "-w", help="Folder of weight files.")] = None,
    quiet: QuietOption = False,
) -> int:
    """Make re-enacted portraits: stills that move like the speakers of talking clips, with labels; resumable."""
    from emo_bench.data.reenacted.clip import ReenactOptions
    from emo_bench.data.reenacted.make import make_reenacted as make
    from emo_bench.data.reenacted.portraits import PortraitRules
    from emo_bench.data.reenacted.tables import names_in
    from emo_core.errors import ExitCode
    from emo_core.progress import display

    options = ReenactOptions(
        size=size,
        seconds=seconds,
        seed=seed,
        blinks_per_minute=blinks,
        quality="lossless" if lossless else "near-lossless",
        portraits=PortraitRules(widest_mouth=widest_mouth),
    )
    with display(quiet=quiet) as shown:
        report = make(
            portraits,
            motion,
            target=target,
            clips=clips,
            options=options,
            split=split,
            leave_out=names_in(leave_out) if leave_out else (),
            workers=workers,
            weights=tuple(weights or ()),
            display=shown,
        )
    _say_prepared(report)
    return ExitCode.OK if len(report.entries) == clips else ExitCode.INCOMPLETE


prepare_app = typer.Typer(help="Prepare your own videos: HDTF, or any folder.", no_args_is_help=True)


@prepare_app.callback()
def _prepare() -> None:
    pass


@prepare_app.command("hdtf")
def prepare_hdtf(
    raw: Annotated[Path, typer.Option("--raw", help="Folder of HDTF's videos (named as published, or by id).")],
    target: Annotated[Path, typer.Option("--output", "-o", help="Folder.")] = Path("data/hdtf"),
    annotations: Annotated[
        Path | None, typer.Option("--annotations", help="Folder of the published text files; RAW when absent.")
    ] = None,
    fps: Annotated[int, typer.Option("--fps", help="25 or 30 frames a second.")] = 25,
    size: Annotated[int, typer.Option("--size", help="Width and height in pixels.")] = 512,
    clip_seconds: Annotated[
        float | None, typer.Option("--clip-seconds", help="Divide intervals into clips of this length.")
    ] = None,
    clips_per_video: Annotated[
        int | None, typer.Option("--clips-per-video", help="At most this many clips of each video.")
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Keep every pixel; about three times the size.")] = False,
    test_identities: Annotated[
        Path | None, typer.Option("--test-identities", help="Another list of test identities, one a line.")
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Also measure the labels that training needs.")] = False,
    weights: Annotated[list[Path] | None, typer.Option("--weights", help="Folder of weight files, for labels.")] = None,
    quiet: QuietOption = False,
) -> int:
    """Cut, crop and resize HDTF from videos that you have; never downloads, resumable, reports what is missing."""
    from emo_bench.data.hdtf.prepare import prepare_hdtf as prepare
    from emo_core.errors import ConfigError
    from emo_core.progress import display

    if fps != 25 and fps != 30:
        raise ConfigError("--fps is out of range", expected="25 or 30", found=f"{fps}")
    with display(quiet=quiet) as shown:
        report = prepare(
            raw,
            annotations=annotations,
            target=target,
            fps=25 if fps == 25 else 30,
            size=size,
            clip_seconds=clip_seconds,
            clips_per_video=clips_per_video,
            quality="lossless" if lossless else "near-lossless",
            test_identities=test_identities,
            labels=labels,
            weights=tuple(weights or ()),
            display=shown,
        )
    return _say_prepared(report)


@prepare_app.command("folder")
def prepare_folder(
    folder: Annotated[Path, typer.Argument(help="Folder of videos.")],
    target: Annotated[Path, typer.Option("--output", "-o", help="Folder, not inside the videos' folder.")],
    fps: Annotated[int, typer.Option("--fps", help="Frames a second; EMO was trained on 30.")] = 25,
    size: Annotated[int, typer.Option("--size", help="Width and height in pixels.")] = 512,
    identity: Annotated[str, typer.Option("--identity", help="'stem', 'folder' or a regex, as for import.")] = "stem",
    split: Annotated[str, typer.Option("--split", help="Split of all clips.")] = "train",
    shortest: Annotated[float, typer.Option("--shortest", help="Seconds of the shortest clip.")] = 3.0,
    longest: Annotated[float, typer.Option("--longest", help="Seconds of the longest clip.")] = 12.0,
    expansion: Annotated[float, typer.Option("--expansion", help="Side of the crop relative to the face.")] = 2.0,
    min_face: Annotated[float, typer.Option("--min-face", help="Smallest width of a face, source pixels.")] = 80.0,
    threshold: Annotated[float, typer.Option("--cut-threshold", help="Colour change that is a scene cut.")] = 0.22,
    lossless: Annotated[bool, typer.Option("--lossless", help="Keep every pixel; about three times the size.")] = False,
    weights: Annotated[list[Path] | None, typer.Option("--weights", help="Folder of weight files.")] = None,
    quiet: QuietOption = False,
) -> int:
    """Cut videos of talking people into face-centred clips with per-frame labels; resumable, counts rejected clips."""
    from emo_bench.data.prepare.face_crop import FaceFilter
    from emo_bench.data.prepare.folder import FolderOptions
    from emo_bench.data.prepare.folder import prepare_folder as prepare
    from emo_core.progress import display

    options = FolderOptions(
        fps=fps,
        size=size,
        shortest=shortest,
        longest=longest,
        expansion=expansion,
        threshold=threshold,
        faces=FaceFilter(least_width=min_face),
        quality="lossless" if lossless else "near-lossless",
    )
    places = tuple(weights or ())
    with display(quiet=quiet) as shown:
        report = prepare(
            folder, target=target, options=options, identity=identity, split=split, weights=places, display=shown
        )
    return _say_prepared(report)


def _say_prepared(report: PrepareReport) -> int:
    from emo_core.errors import ExitCode

    for problem in report.problems:
        say(f"{problem}", err=True)
    for note in report.notes:
        say(f"note: {note}", err=True)
    say(report.summary())
    return ExitCode.INCOMPLETE if report.problems else ExitCode.OK
