"""``emo-bench animate``: make a portrait talk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import QuietOption, say, signer_for


def animate(
    portrait: Annotated[Path, typer.Argument(help="Image that shows a face.")],
    audio: Annotated[Path, typer.Argument(help="Audio or video file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="MP4 to write.")] = Path("animated.mp4"),
    preset: Annotated[
        str, typer.Option("--preset", help="Weights: 'emo-portrait', 'emo-synth', or a folder of a saved pipeline.")
    ] = "emo-portrait",
    seed: Annotated[int, typer.Option("--seed", help="Seed of all noise.", min=0)] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Denoising steps; by default those of the weights.", min=1, max=1000)
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="ddim, dpmsolver++ or unipc; by default that of the weights.")
    ] = None,
    speed: Annotated[float | None, typer.Option("--speed", help="Head rotation, degrees per frame.", min=0)] = None,
    blinks: Annotated[
        float | None, typer.Option("--blinks", help="Blinks a minute; by default those of the weights.", min=0, max=60)
    ] = None,
    face_region: Annotated[
        str | None, typer.Option("--face-region", help="left,top,right,bottom as fractions: where the face may be.")
    ] = None,
    audio_guidance: Annotated[
        float | None, typer.Option("--audio-guidance", min=0, help="1 is off; by default that of the weights.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", help="Side in pixels; by default that of the portrait, at most 512.", min=64, max=1024),
    ] = None,
    face_box: Annotated[
        str | None, typer.Option("--face-box", help="left,top,right,bottom in pixels: the face, brow to chin.")
    ] = None,
    paste_back: Annotated[
        bool, typer.Option("--paste-back", help="Paste the moving face back into the whole image.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", help="Sign with this certificate (PEM, followed by those above it)."),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Its private key (PEM).")] = None,
    sign: Annotated[
        bool, typer.Option("--credentials/--no-credentials", help="Write content credentials (C2PA) into the video.")
    ] = True,
    quiet: QuietOption = False,
) -> int:
    """Animate a portrait with an audio file: a video exactly as long, with that audio, marked as AI-generated.

    The mark is text in the file and, with the extra 'credentials', a signed C2PA manifest: signed with --certificate
    and --key, else with a certificate that is created on this machine at first use.
    """
    from emo_bench.config.load import Source, validate
    from emo_bench.media.certificate import EXTRA
    from emo_bench.systems.animate import animate as make
    from emo_bench.systems.emo import EmoOptions
    from emo_core.progress import display

    values = {"weights": preset, "steps": steps, "sampler": sampler, "speed": speed, "audio_guidance": audio_guidance}
    values["blinks"] = blinks
    options = validate(EmoOptions, Source(None, "", values, {}))
    signer = signer_for(certificate, key) if sign else None
    with display(quiet=quiet) as shown:
        done_before = 0

        def progress(done: int, total: int) -> None:
            nonlocal done_before
            if done_before == 0:
                shown.stage("frames", total)
            for _ in range(done - done_before):
                shown.step()
            done_before = done

        made = make(
            portrait,
            audio,
            output,
            options=options,
            seed=seed,
            region=_region(face_region),
            size=size,
            face_box=_four_numbers("--face-box", face_box),
            paste_back=paste_back,
            device=device,
            signer=signer,
            progress=progress,
        )
    if sign and signer is None:
        say(f"no content credentials in the video: {EXTRA} adds them", err=True)
    for note in made.notes:
        say(note, err=True)
    say(f"{made.path}: {made.n_frames} frame{'' if made.n_frames == 1 else 's'}, {made.seconds:.2f} s")
    return 0


def _four_numbers(option: str, text: str | None) -> tuple[float, float, float, float] | None:
    from emo_core.errors import ConfigError

    if text is None:
        return None
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} {text!r} is not a box", expected="left,top,right,bottom") from None
    return left, top, right, bottom


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    from emo_core.errors import ConfigError

    box = _four_numbers("--face-region", text)
    if box is not None and not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
        raise ConfigError(
            f"--face-region {text!r} is not a box",
            expected="fractions with 0 <= left < right <= 1 and 0 <= top < bottom <= 1",
        )
    return box
