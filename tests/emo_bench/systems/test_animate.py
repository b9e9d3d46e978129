"""``emo-bench animate``: any picture and sound to a whole video or a clear refusal, with a small untrained EMO."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from emo_bench.cli.main import app
from emo_bench.media.decode import read_audio
from emo_bench.media.types import frames_for_samples
from emo_core.errors import ConfigError, EmoBenchError, ExitCode


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny EMO: 64 px, 25 frames a second, four frames a clip; untrained and quick."""
    from emo_models.emo.building import build_pipeline, preset_named

    folder = tmp_path_factory.mktemp("weights") / "tiny"
    pipeline = build_pipeline(preset_named("tiny"))
    pipeline.facts["sampling"] = {"steps": 1}
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "portrait.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(path)
    return path


def sound(path: Path, *, seconds: float = 0.5, rate: int = 16_000, loudness: float = 0.3, channels: int = 1) -> Path:
    noise = np.random.default_rng(1).normal(size=(round(seconds * rate), channels)) * loudness
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes((np.clip(noise, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def run(portrait: Path, audio: Path, target: Path, weights: Path, *more: str) -> Result:
    arguments = ["animate", str(portrait), str(audio), "-o", str(target), "--preset", str(weights), "--quiet", *more]
    if "--credentials" not in more:
        arguments.append("--no-credentials")  # signatures hold the time, so equal videos would not be equal files
    return CliRunner().invoke(app, arguments, standalone_mode=False)


def refusal(result: Result, target: Path) -> EmoBenchError:
    """The error, after seeing that nothing was left behind."""
    assert isinstance(result.exception, EmoBenchError), (result.exception, result.output)
    assert not target.exists()
    assert not list(target.parent.glob(f"*{target.name}*"))
    return result.exception


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def as_mp3(source: Path, target: Path) -> Path:
    audio = read_audio(source, rate=44_100)
    with av.open(str(target), "w") as container:
        stream = container.add_stream("mp3", rate=44_100, layout="stereo")
        both = np.ascontiguousarray(np.stack([audio.samples, audio.samples]))
        for start in range(0, both.shape[1], 1152):
            frame = av.AudioFrame.from_ndarray(both[:, start : start + 1152].copy(), format="fltp", layout="stereo")
            frame.rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target


@pytest.mark.parametrize("seconds", [0.04, 0.5, 0.501, 1.37])
def test_the_video_is_as_long_as_the_sound_and_says_what_it_is(
    portrait: Path, weights: Path, tmp_path: Path, seconds: float
) -> None:
    audio, target = sound(tmp_path / "in.wav", seconds=seconds), tmp_path / "out.mp4"
    result = run(portrait, audio, target, weights, "--seed", "7")
    assert result.exception is None, result.output
    wanted = frames_for_samples(round(seconds * 16_000), rate=16_000, fps=Fraction(25))
    with av.open(str(target)) as container:
        assert "AI-generated" in container.metadata["title"]
        comment = json.loads(container.metadata["comment"])
        assert {name.type for name in container.streams} == {"video", "audio"}
        assert container.streams.video[0].average_rate == 25
    assert comment["seed"] == 7
    assert frames_of(target).shape == (wanted, 64, 64, 3)
    assert abs(read_audio(target).seconds - seconds) < 0.07  # AAC works in blocks of 64 ms at 16 kHz
    assert f"{wanted} frame{'' if wanted == 1 else 's'}, " in result.output


def test_the_seed_decides_and_nothing_else(portrait: Path, weights: Path, tmp_path: Path) -> None:
    audio = sound(tmp_path / "in.wav")
    made = {}
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run(portrait, audio, tmp_path / f"{name}.mp4", weights, "--seed", seed).exception is None
        made[name] = (tmp_path / f"{name}.mp4").read_bytes()
    assert made["a"] == made["b"]
    assert made["a"] != made["c"]


def test_stereo_mp3_at_44100_is_welcome(portrait: Path, weights: Path, tmp_path: Path) -> None:
    audio = as_mp3(sound(tmp_path / "in.wav", seconds=0.6), tmp_path / "in.mp3")
    assert run(portrait, audio, tmp_path / "out.mp4", weights).exception is None
    heard = read_audio(audio)
    wanted = frames_for_samples(len(heard.samples), rate=heard.rate, fps=Fraction(25))
    assert len(frames_of(tmp_path / "out.mp4")) == wanted


def test_a_video_can_give_the_sound(portrait: Path, weights: Path, tmp_path: Path) -> None:
    assert run(portrait, sound(tmp_path / "in.wav"), tmp_path / "first.mp4", weights).exception is None
    assert run(portrait, tmp_path / "first.mp4", tmp_path / "second.mp4", weights).exception is None
    assert (tmp_path / "second.mp4").is_file()


def test_options_reach_the_sampler(portrait: Path, weights: Path, tmp_path: Path) -> None:
    audio = sound(tmp_path / "in.wav")
    made = set()
    for number, more in enumerate(
        [(), ("--steps", "3"), ("--audio-guidance", "3"), ("--sampler", "unipc", "--steps", "3")]
    ):
        target = tmp_path / f"{number}.mp4"
        assert run(portrait, audio, target, weights, *more).exception is None
        made.add(target.read_bytes())
    assert len(made) >= 3  # guidance alone may do nothing: audio layers start at zero


def test_blinks_are_not_asked_of_weights_that_cannot(portrait: Path, weights: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    error = refusal(run(portrait, sound(tmp_path / "in.wav"), target, weights, "--blinks", "20"), target)
    assert "cannot be asked to blink" in str(error)
    assert error.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("box", ["10,10,12,12", "10,10,70,30"])
def test_a_face_box_without_room_for_a_mouth_is_refused(
    portrait: Path, weights: Path, tmp_path: Path, box: str
) -> None:
    target = tmp_path / "out.mp4"
    result = run(portrait, sound(tmp_path / "in.wav"), target, weights, "--face-box", box)
    assert "too small" in str(refusal(result, target))


def test_a_size_that_the_weights_cannot_make_is_told(portrait: Path, weights: Path, tmp_path: Path) -> None:
    audio = sound(tmp_path / "in.wav", seconds=0.1)
    result = run(portrait, audio, tmp_path / "out.mp4", weights, "--size", "512")
    assert frames_of(tmp_path / "out.mp4").shape[1:3] == (64, 64)
    assert "frames are 64 px a side, not 512: these weights have no refiner" in result.stderr
    assert "px a side" not in run(portrait, audio, tmp_path / "own.mp4", weights, "--size", "64").stderr


def test_neither_the_portrait_nor_the_sound_is_written_over(portrait: Path, weights: Path, tmp_path: Path) -> None:
    audio = sound(tmp_path / "in.wav", seconds=0.1)
    (tmp_path / "link.mp4").symlink_to(audio)
    for target in (audio, portrait, tmp_path / "link.mp4"):
        before = target.read_bytes()
        result = run(portrait, audio, target, weights)
        assert "would be written over" in str(result.exception)
        assert target.read_bytes() == before


def test_silence_is_animated_with_a_note(portrait: Path, weights: Path, tmp_path: Path) -> None:
    result = run(portrait, sound(tmp_path / "in.wav", loudness=0.0), tmp_path / "out.mp4", weights)
    assert result.exception is None
    assert "the audio is silent" in result.output
    assert "these weights were trained on nothing: random weights" in result.output


def test_what_a_killed_call_left_is_removed(portrait: Path, weights: Path, tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "from emo_core.atomic import owner; print(owner())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    left = tmp_path / f".a.{gone}-0123abcd.tmp.mp4"
    left.write_bytes(b"half a video")
    assert run(portrait, sound(tmp_path / "a.wav"), tmp_path / "a.mp4", weights).exit_code == 0
    assert not left.exists()


def test_what_is_unusual_about_the_audio_is_told(portrait: Path, weights: Path, tmp_path: Path) -> None:
    wave_form = (np.sin(np.arange(8_000) / 9) * 9_000).astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.stack([wave_form, -wave_form], axis=1).tobytes())
    result = run(portrait, tmp_path / "a.wav", tmp_path / "a.mp4", weights)
    assert "the channels cancel each other" in result.output
    assert "converted" not in result.output  # nobody needs to know that


def test_sound_without_samples_is_refused(portrait: Path, weights: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    error = refusal(run(portrait, sound(tmp_path / "in.wav", seconds=0.0), target, weights), target)
    assert error.exit_code == ExitCode.INCOMPLETE


@pytest.mark.parametrize(
    ("name", "content"),
    [("text.wav", b"not a sound"), ("none.wav", None), ("cut.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ")],
)
def test_what_is_no_sound_is_refused(
    portrait: Path, weights: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    target = tmp_path / "out.mp4"
    assert name in str(refusal(run(portrait, tmp_path / name, target, weights), target))


def test_a_misspelt_name_of_shipped_weights_is_told_the_right_one(portrait: Path, tmp_path: Path) -> None:
    audio, target = sound(tmp_path / "in.wav"), tmp_path / "out.mp4"
    error = refusal(run(portrait, audio, target, Path("emo-portrat")), target)
    assert "did you mean 'emo-portrait'?" in str(error.fix)


def test_a_video_without_sound_is_refused_with_what_animate_needs(
    portrait: Path, weights: Path, tmp_path: Path
) -> None:
    with av.open(str(tmp_path / "mute.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "bgr0"
        for packet in (*stream.encode(av.VideoFrame(64, 64, "bgr0")), *stream.encode()):
            container.mux(packet)
    target = tmp_path / "out.mp4"
    error = refusal(run(portrait, tmp_path / "mute.mkv", target, weights), target)
    assert "has no audio" in str(error)
    assert "beside" not in str(error.fix)


def test_small_pictures_and_what_is_no_picture_are_refused(weights: Path, tmp_path: Path) -> None:
    audio, target = sound(tmp_path / "in.wav"), tmp_path / "out.mp4"
    tiny, text = tmp_path / "tiny.png", tmp_path / "text.png"
    Image.new("RGB", (63, 200)).save(tiny)
    text.write_text("no picture")
    assert "at least 64 pixels a side" in str(refusal(run(tiny, audio, target, weights), target))
    assert "text.png" in str(refusal(run(text, audio, target, weights), target))
    assert "none.png" in str(refusal(run(tmp_path / "none.png", audio, target, weights), target))


def copy_of(weights: Path, target: Path) -> Path:
    for path in weights.rglob("*"):
        if path.is_file():
            (target / path.relative_to(weights)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(weights)).write_bytes(path.read_bytes())
    return target


def test_broken_pickled_foreign_and_absent_weights_are_refused(portrait: Path, weights: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    audio, target = sound(tmp_path / "in.wav"), tmp_path / "out.mp4"
    assert "no EMO weights" in str(refusal(run(portrait, audio, target, tmp_path / "absent"), target))
    for name in ("cut", "pickled", "other shape"):
        folder = copy_of(weights, tmp_path / name)
        (file,) = (folder / "model").glob("*.safetensors")
        if name == "cut":
            file.write_bytes(file.read_bytes()[:1000])
        elif name == "pickled":
            file.write_bytes(pickle.dumps({"backbone.conv_in.weight": [0.0]}))
        else:
            tensors = load_file(file)
            tensors["backbone.conv_in.weight"] = tensors["backbone.conv_in.weight"][:, :1].clone()
            save_file(tensors, file)
        error = refusal(run(portrait, audio, target, folder), target)
        assert "cannot be loaded" in str(error)
        assert error.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("region", ["0,0,1", "0.5,0,0.2,1", "a,b,c,d", "0,0,2,1"])
def test_a_face_region_that_is_no_box_is_refused(portrait: Path, weights: Path, tmp_path: Path, region: str) -> None:
    target = tmp_path / "out.mp4"
    result = run(portrait, sound(tmp_path / "in.wav"), target, weights, "--face-region", region)
    assert "is not a box" in str(refusal(result, target))


def photograph() -> np.ndarray:
    """A portrait in the public domain that comes with matplotlib, ``uint8 RGB [600, 512, 3]``."""
    from matplotlib.cbook import get_sample_data

    with get_sample_data("grace_hopper.jpg") as file:
        return np.array(Image.open(file).convert("RGB"))


def test_the_face_of_a_photograph_is_found_and_pasted_back(weights: Path, tmp_path: Path) -> None:
    photo, audio, target = tmp_path / "photo.png", sound(tmp_path / "in.wav", seconds=0.2), tmp_path / "out.mp4"
    wide = np.concatenate([np.full_like(photograph(), 90), photograph()], axis=1)
    Image.fromarray(wide).save(photo)
    result = run(photo, audio, target, weights, "--paste-back")
    assert result.exception is None, result.output
    assert "taken as it is" not in result.output
    frames = frames_of(target)
    assert frames.shape == (5, 600, 1024, 3)
    change = np.abs(frames.astype(int) - wide).mean(axis=(0, 3))
    assert change[:, :450].mean() < 3  # the plain side and what lies beside the square stay
    assert change[100:350, 650:900].mean() > 10  # an untrained network moves the face


def test_no_face_and_several_faces_are_refused(weights: Path, tmp_path: Path) -> None:
    audio, target, photo = sound(tmp_path / "in.wav"), tmp_path / "out.mp4", photograph()
    crowd, wall = tmp_path / "crowd.png", tmp_path / "wall.png"
    Image.fromarray(np.concatenate([photo, photo], axis=1)).save(crowd)
    Image.new("RGB", (400, 300), (120, 110, 100)).save(wall)
    error = str(refusal(run(crowd, audio, target, weights), target))
    assert "several faces" in error
    assert "--face-box" in error
    assert "no face was found" in str(refusal(run(wall, audio, target, weights), target))
    box = "230,60,320,190"
    assert run(crowd, audio, target, weights, "--face-box", box).exception is None


@pytest.mark.slow
def test_a_minute_takes_no_more_memory_than_five_seconds(portrait: Path, weights: Path, tmp_path: Path) -> None:
    """Each length in a process of its own, which reports the most memory it ever held."""
    import subprocess
    import sys

    program = (
        "import resource, sys\n"
        "from typer.testing import CliRunner; from emo_bench.cli.main import app\n"
        "result = CliRunner().invoke(app, sys.argv[1:], standalone_mode=False)\n"
        "assert result.exception is None, result.exception\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    peaks = {}
    for seconds in (5, 60):
        audio = sound(tmp_path / f"{seconds}.wav", seconds=seconds)
        target = tmp_path / f"{seconds}.mp4"
        arguments = ["animate", str(portrait), str(audio), "-o", str(target), "--preset", str(weights), "--quiet"]
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
        peaks[seconds] = float(done.stdout.strip().splitlines()[-1])
        with av.open(str(target)) as container:
            assert container.streams.video[0].frames == seconds * 25
    # The sound itself is 4 MB; x264 and the allocator add a little.
    assert peaks[60] < 1.05 * peaks[5] + 20, peaks


def test_the_video_carries_signed_credentials_and_says_so(
    portrait: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("c2pa")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    audio = sound(tmp_path / "a.wav")
    plain = run(portrait, audio, tmp_path / "plain.mp4", weights)
    signed = run(portrait, audio, tmp_path / "signed.mp4", weights, "--credentials")
    assert (plain.exception, signed.exception) == (None, None), signed.output
    assert np.array_equal(frames_of(tmp_path / "plain.mp4"), frames_of(tmp_path / "signed.mp4"))
    checked = CliRunner().invoke(app, ["credentials", str(tmp_path / "signed.mp4"), "--json"], standalone_mode=False)
    found = json.loads(checked.stdout)
    assert (checked.return_value, found["state"]) == (ExitCode.OK, "trusted")
    assert found["source_type"].endswith("/trainedAlgorithmicMedia")
    assert found["facts"]["weights"] == "tiny"
    assert str(tmp_path) not in checked.stdout.replace(str(tmp_path / "signed.mp4"), "")
    none = CliRunner().invoke(app, ["credentials", str(tmp_path / "plain.mp4")], standalone_mode=False)
    assert (none.return_value, "no content credentials" in none.stdout) == (ExitCode.USAGE, True)


def test_certificate_and_key_belong_together(portrait: Path, weights: Path, tmp_path: Path) -> None:
    more = ("--credentials", "--certificate", str(tmp_path / "c.pem"))
    error = refusal(run(portrait, sound(tmp_path / "a.wav"), tmp_path / "x.mp4", weights, *more), tmp_path / "x.mp4")
    assert "given together" in str(error)


@pytest.mark.parametrize("name", ["out.webm", "out.avi", "out"])
def test_a_target_that_is_no_mp4_is_refused(portrait: Path, weights: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    error = refusal(run(portrait, sound(tmp_path / "in.wav"), target, weights), target)
    assert ".mp4" in str(error)


@pytest.mark.parametrize("place", ["folder.mp4", "in.wav/out.mp4"])
def test_where_nothing_can_be_written_is_told_before_the_work(
    portrait: Path, weights: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    audio = sound(tmp_path / "in.wav")
    result = run(portrait, audio, tmp_path / place, weights)
    assert isinstance(result.exception, ConfigError)
    assert "frames" not in result.output


@pytest.mark.parametrize("device", ["cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_told(portrait: Path, weights: Path, tmp_path: Path, device: str) -> None:
    target = tmp_path / "out.mp4"
    error = refusal(run(portrait, sound(tmp_path / "in.wav"), target, weights, "--device", device), target)
    assert device in str(error)
    assert "weights" not in str(error)
