"""``emo-bench data``: import, identify, split, label and verify test sets."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.data_making import make_app, prepare_app
from emo_bench.cli.options import JsonOption, QuietOption, say

app = typer.Typer(help="Make, import and verify test sets.", no_args_is_help=True)
app.add_typer(make_app, name="make")
app.add_typer(prepare_app, name="prepare")


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
