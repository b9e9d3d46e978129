"""``emo-bench data``: make, import, prepare and verify test sets."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emo_bench.cli.options import JsonOption, QuietOption, say

if TYPE_CHECKING:
    from emo_bench.data.prepare.report import PrepareReport

app = typer.Typer(help="Make, import and verify test sets.", no_args_is_help=True)


class Pairs(StrEnum):
    """How portraits and audio files become pairs."""

    NAME = "name"
    ALL = "all"


class Face(StrEnum):
    """What becomes of portraits without a face."""

    REQUIRE = "require"
    ANY = "any"


@app.command("import")
def import_folder(
    folder: Annotated[Path | None, typer.Argument(help="Folder of videos.")] = None,
    portraits: Annotated[
        Path | None, typer.Option("--portraits", help="Instead of videos: folder of images, with --audio.")
    ] = None,
    audio: Annotated[Path | None, typer.Option("--audio", help="Folder of the audio files for --portraits.")] = None,
    pairs: Annotated[
        Pairs, typer.Option("--pairs", help="'name': each portrait with the audio of the same name; 'all': every pair.")
    ] = Pairs.NAME,
    clips: Annotated[
        int | None, typer.Option("--clips", help="With --pairs all: number of pairs, spread evenly.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="With --clips: seed of the choice.")] = 0,
    crop: Annotated[
        bool, typer.Option("--crop", help="Copies of portraits, cut to the square around the face.")
    ] = False,
    face: Annotated[
        Face, typer.Option("--face", help="'require' refuses portraits without a face; 'any' accepts them.")
    ] = Face.REQUIRE,
    identity: Annotated[
        str, typer.Option("--identity", help="'stem' (one per file), 'folder' (the file's folder), or a regex.")
    ] = "stem",
    split: Annotated[str, typer.Option("--split", help="Split of all clips.")] = "test",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Manifest; FOLDER/manifest.jsonl when absent.")
    ] = None,
    weights: Annotated[
        list[Path] | None, typer.Option("--weights", "-w", help="Folder of weight files, to compare faces.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", help="Identities and meta of clips: TalkVid's JSON, EMTD's list, or CSV with a column id."
        ),
    ] = None,
    quiet: QuietOption = False,
) -> int:
    """Make a manifest from a folder of videos (an audio file of the same name beside a video is its audio).

    With --portraits and --audio instead: a wild set, clips without ground truth. With -o in another folder (for a
    read-only source) the files are copied there.
    """
    from emo_bench.data.faces_alike import lookalike_notice
    from emo_bench.data.import_folder import import_videos
    from emo_bench.data.import_wild import WildOptions, import_wild
    from emo_bench.data.label_tables import read_label_file
    from emo_bench.data.manifest import write_manifest
    from emo_bench.data.naming import listed
    from emo_bench.data.talkvid import labelled
    from emo_bench.extract.weights import WeightsFinder
    from emo_core.errors import ConfigError, ExitCode
    from emo_core.progress import display

    if (folder is None) == (portraits is None) or (portraits is None) != (audio is None):
        raise ConfigError(
            "nothing to import, or too much", expected="a folder of videos, or --portraits DIR --audio DIR"
        )
    given = {"--pairs": pairs != Pairs.NAME, "--clips": clips, "--crop": crop, "--face": face != Face.REQUIRE}
    unused = [option for option, value in given.items() if value and portraits is None]
    if unused:
        raise ConfigError(f"{', '.join(unused)}: only for --portraits", expected="a folder of videos without them")
    known = read_label_file(labels) if labels is not None else None  # before the long work, since it may be refused
    with display(quiet=quiet) as shown:
        if portraits is not None and audio is not None:
            options = WildOptions(
                pairs=pairs.value, clips=clips, seed=seed, crop=crop, face=face.value, identity=identity, split=split
            )
            report = import_wild(portraits, audio, options=options, manifest=output, display=shown)
        else:
            assert folder is not None  # noqa: S101 - checked above
            report = import_videos(folder, identity=identity, split=split, manifest=output, display=shown)
        if known is not None:
            entries, without = labelled(report.entries, known)
            write_manifest(report.manifest, entries)
            more = (f"clips without labels: {listed(without)}",) if without else ()
            report = replace(report, entries=tuple(entries), notices=(*report.notices, *more))
        alike = lookalike_notice(report.manifest, report.entries, WeightsFinder(folders=tuple(weights or ())))
    say(f"{report.manifest}: {len(report.entries)} clips, {report.identities} identities")
    for notice in (*report.notices, *([alike] if alike else [])):
        say(f"note: {notice}", err=True)
    for problem in report.refused:
        say(f"refused {problem.file}: {problem.code}: {problem.reason}", err=True)
    return ExitCode.INCOMPLETE if report.refused else ExitCode.OK


@app.command("identify")
def identify_clips(
    manifest: Annotated[Path, typer.Argument(help="Manifest (JSONL).")],
    threshold: Annotated[
        float, typer.Option("--threshold", help="Cosine similarity of faces above which clips show the same person.")
    ] = 0.5,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New manifest in the same folder; the manifest when absent.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Contact sheet (PNG); beside the manifest when absent.")
    ] = None,
    weights: Annotated[list[Path] | None, typer.Option("--weights", "-w", help="Folder of weight files.")] = None,
    quiet: QuietOption = False,
) -> int:
    """Group clips by face and write the groups as identities, which intervals resample; makes a sheet to check."""
    from emo_bench.data.identify import identify
    from emo_core.errors import ExitCode
    from emo_core.progress import display

    with display(quiet=quiet) as shown:
        found = identify(
            manifest, threshold=threshold, output=output, sheet=sheet, weights=tuple(weights or ()), display=shown
        )
    clips = sum(len(members) for members in found.people.values())
    say(f"{found.manifest}: {len(found.people)} people in {clips} clips; check them: {found.sheet}")
    for doubt in found.doubts[:10]:
        words = "together" if doubt.together else "apart"
        say(f"check: {doubt.first} and {doubt.second}: {doubt.similarity:.2f}, {words}", err=True)
    if len(found.doubts) > 10:
        say(f"check: {len(found.doubts) - 10} more pairs near the threshold", err=True)
    for clip, reason in found.faceless.items():
        say(f"{clip} keeps its identity: {reason}", err=True)
    _say_shared_people(found.manifest)
    return ExitCode.INCOMPLETE if found.faceless else ExitCode.OK


@app.command("split")
def split_clips(
    manifest: Annotated[Path | None, typer.Argument(help="Manifest (JSONL); without it the known splits.")] = None,
    name: Annotated[str | None, typer.Option("--published", help="A split of a paper.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New manifest in the same folder; the manifest when absent.")
    ] = None,
) -> int:
    """Write a paper's published split into a manifest, or list the splits that are known with their sources."""
    from emo_bench.data.published_splits import published_splits, write_split
    from emo_core.errors import ConfigError, ExitCode

    if manifest is None or name is None:
        if manifest is not None or name is not None:
            raise ConfigError("half a request", expected="MANIFEST --published NAME, or neither to list splits")
        for split in published_splits().values():
            facts = f"{split.dataset}, {len(split.clips)} clips ({split.list}), {split.length}"
            say(f"{split.name}: {facts}; {split.source}")
        return ExitCode.OK
    found = write_split(manifest, name, output=output)
    say(f"{found.manifest}: {len(found.listed)} clips in {name}, {len(found.others)} others")
    for clip in found.missing:
        say(f"not in the manifest: {clip}", err=True)
    _say_shared_people(found.manifest)
    return ExitCode.INCOMPLETE if found.missing else ExitCode.OK


def _say_shared_people(manifest: Path) -> None:
    from emo_bench.data.manifest import people_of_several_splits, read_manifest
    from emo_bench.data.naming import listed

    found = people_of_several_splits(read_manifest(manifest).entries)
    if found:
        named = listed(f"{name} ({', '.join(splits)})" for name, splits in found.items())
        say(f"note: people in several splits: {named}", err=True)


@app.command()
def verify(
    manifest: Annotated[Path, typer.Argument(help="Manifest (JSONL).")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check every file of a manifest: present, unchanged, decodable, with audio."""
    from emo_bench.cli.options import print_json
    from emo_bench.data.verify import verify_manifest
    from emo_core.errors import ExitCode
    from emo_core.progress import display

    with display(quiet=quiet) as shown:
        checked = verify_manifest(manifest, display=shown)
    if as_json:
        print_json([{"id": entry.id, "code": entry.code, "reason": entry.reason} for entry in checked])
    else:
        for entry in checked:
            say(f"{entry.code:<16} {entry.id}  {entry.reason}".rstrip())
    return ExitCode.OK if all(entry.code == "ok" for entry in checked) else ExitCode.INCOMPLETE


@app.command()
def label(
    manifest: Annotated[Path, typer.Argument(help="Manifest (JSONL) of an imported or prepared set.")],
    fps: Annotated[int, typer.Option("--fps", help="Frames a second, for clips that do not state theirs.")] = 25,
    weights: Annotated[list[Path] | None, typer.Option("--weights", help="Folder of weight files.")] = None,
    quiet: QuietOption = False,
) -> int:
    """Measure the labels that training needs on every clip of a set; resumable, reports clips without a face."""
    from emo_bench.data.prepare.label_set import label_set
    from emo_core.errors import ExitCode
    from emo_core.progress import display

    with display(quiet=quiet) as shown:
        report = label_set(manifest, weights=tuple(weights or ()), fps=fps, display=shown)
    for problem in report.problems:
        say(f"{problem}", err=True)
    say(f"{manifest}: labels of {report.made} clips made, {report.kept} kept, {len(report.problems)} without")
    return ExitCode.INCOMPLETE if report.problems else ExitCode.OK


@app.command()
def croissant(
    manifest: Annotated[Path, typer.Argument(help="Manifest (JSONL).")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON-LD to write; croissant.json beside the manifest.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the set; its folder's name when absent.")] = None,
    description: Annotated[str, typer.Option("--description", help="In a sentence or two.")] = "",
    licence: Annotated[str, typer.Option("--licence", help="SPDX name or address of the licence.")] = "",
    url: Annotated[str, typer.Option("--url", help="Where the set can be found.")] = "",
    cite_as: Annotated[str, typer.Option("--cite-as", help="How to cite it.")] = "",
    version: Annotated[str, typer.Option("--set-version", help="Of the set, for example 1.0.0.")] = "",
) -> int:
    """Write a set's metadata in the Croissant format; fields that are not given are left out."""
    from emo_bench.data.manifest import read_manifest
    from emo_bench.publish.croissant import croissant as metadata
    from emo_core.atomic import write_json

    found = metadata(
        manifest,
        read_manifest(manifest),
        name=name,
        description=description,
        licence=licence,
        url=url,
        cite_as=cite_as,
        version=version,
    )
    target = output or manifest.parent / "croissant.json"
    write_json(target, found)
    say(str(target))
    return 0


make_app = typer.Typer(help="Make embedded test sets.", no_args_is_help=True)
app.add_typer(make_app, name="make")


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
    held = leave_out.read_text(encoding="utf-8-sig").split("\n") if leave_out else []
    with display(quiet=quiet) as shown:
        report = make(
            portraits,
            motion,
            target=target,
            clips=clips,
            options=options,
            split=split,
            leave_out=[line.strip() for line in held if line.strip()],
            workers=workers,
            weights=tuple(weights or ()),
            display=shown,
        )
    _say_prepared(report)
    return ExitCode.OK if len(report.entries) == clips else ExitCode.INCOMPLETE


prepare_app = typer.Typer(help="Prepare your own videos: HDTF, or any folder.", no_args_is_help=True)
app.add_typer(prepare_app, name="prepare")


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
