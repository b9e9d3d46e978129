from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from decoders import decoders
from hypothesis import given
from hypothesis import strategies as st

from emo_bench.media.decode import load_pair, load_video, open_video, place_audio, read_audio
from emo_bench.media.orientation import Orientation
from emo_bench.media.types import Audio, samples_for_frames
from emo_core.errors import DecodeError, NoAudioError, TooShortError

CODECS = {
    "h264.mp4": {},
    "h264.ts": {},
    "hevc.mp4": {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=none"}},
    "mpeg1.mpg": {"codec": "mpeg1video", "options": {"b": "2000000"}},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"b": "2000000"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "ffv1.mkv": {"codec": "ffv1"},
}


@pytest.mark.parametrize("name", CODECS)
def test_25_fps_passes_through_in_every_codec(media, tmp_path: Path, name: str) -> None:
    path = media.make(tmp_path / name, media.Recipe(n_frames=40, **CODECS[name]))
    video = open_video(path)
    frames = video.read_all()
    assert frames.shape == (40, 64, 128, 3)
    assert (video.spec.width, video.spec.height, video.spec.n_frames) == (128, 64, 40)
    assert [media.index_of(frame) for frame in frames] == list(range(40))
    assert np.abs(frames[0, 48, 32].astype(int) - (230, 20, 20)).max() <= 6
    assert np.abs(frames[0, 48, 96].astype(int) - (20, 20, 230)).max() <= 6


def test_a_video_can_be_read_twice_and_gives_the_same_pixels(talking: Path) -> None:
    video = open_video(talking)
    assert np.array_equal(video.read_all(), video.read_all())


def test_pieces_are_short(talking: Path) -> None:
    assert [len(piece) for piece in open_video(talking).open()] == [32, 18]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_29_97_fps_is_brought_to_25_by_nearest_frame(media, tmp_path: Path, ending: str) -> None:
    fps = Fraction(30000, 1001)
    path = media.make(tmp_path / f"a.{ending}", media.Recipe(n_frames=60, fps=fps))
    video = open_video(path)
    assert video.spec.n_frames == 50  # 2.002 s
    expected = [int(np.argmin([abs(j / fps - Fraction(i, 25)) for j in range(60)])) for i in range(50)]
    assert [media.index_of(frame) for frame in video.read_all()] == expected


@pytest.mark.parametrize("ending", ["mkv", "webm", "flv", "mp4", "ts"])
@pytest.mark.parametrize(
    ("fps", "n_frames"),
    [("30", 41), ("60", 48), ("60", 49), ("30000/1001", 43), ("24000/1001", 48), ("60000/1001", 48)],
)
def test_no_frame_is_lost_to_rounded_time_stamps(media, tmp_path: Path, ending: str, fps: str, n_frames: int) -> None:
    codec = "libvpx-vp9" if ending == "webm" else "libx264"
    recipe = media.Recipe(n_frames=n_frames, fps=Fraction(fps), codec=codec)
    path = media.make(tmp_path / f"a.{ending}", recipe)
    own = load_video(path, fps=Fraction(fps))
    assert [media.index_of(image) for image in own.video.read_all()] == list(range(n_frames))
    assert "frame_rate" not in {note.code for note in own.notes}
    assert open_video(path).spec.n_frames == int((Fraction(n_frames) / Fraction(fps) + Fraction(1, 2000)) * 25)


def test_own_frame_rate_is_kept_when_none_is_asked_for(media, tmp_path: Path) -> None:
    fps = Fraction(30000, 1001)
    video = open_video(media.make(tmp_path / "a.mp4", media.Recipe(n_frames=20, fps=fps)), fps=None)
    assert video.spec.fps == fps
    assert [media.index_of(frame) for frame in video.read_all()] == list(range(20))


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_variable_rate_follows_the_real_time_stamps(media, tmp_path: Path, ending: str) -> None:
    stamps = [0, 40, 80, 200, 300, 310, 320, 400, 1000, 1040]
    path = media.make(tmp_path / f"a.{ending}", media.Recipe(stamps_ms=stamps))
    shown = [media.index_of(frame) for frame in open_video(path).read_all()]
    due = [[stamp for stamp in stamps if stamp <= 40 * i + 20] for i in range(len(shown))]
    assert shown == [int(np.argmin([abs(stamp - 40 * i) for stamp in known])) for i, known in enumerate(due)]
    assert len(shown) in (26, 27)  # the last frame's own duration differs between the containers


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((0, 1, -1, 0), lambda image: np.rot90(image, 3)),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_display_matrix_is_applied(media, tmp_path: Path, matrix: tuple[int, ...], turned) -> None:
    path = media.make(tmp_path / "a.mp4", media.Recipe(n_frames=3))
    plain = open_video(path).read_all()
    media.set_display_matrix(path, *matrix)
    video = open_video(path)
    frames = video.read_all()
    assert np.array_equal(frames[2], turned(plain[2]))
    assert (video.spec.height, video.spec.width) == frames.shape[1:3]


@given(st.sampled_from([0, 1, 2, 3]), st.booleans())
def test_orientation_size_is_its_own_inverse(turns: int, mirror: bool) -> None:
    orientation = Orientation(turns=turns, mirror=mirror)
    assert orientation.upright_size(orientation.upright_size((3, 5))) == (3, 5)


def test_size_is_the_size_after_rotation(media, tmp_path: Path) -> None:
    path = media.set_display_matrix(media.make(tmp_path / "a.mp4", media.Recipe(n_frames=3)), 0, 1, -1, 0)
    video = open_video(path, size=(40, 90))
    assert video.read_all().shape == (3, 90, 40, 3)
    assert (video.spec.width, video.spec.height) == (40, 90)


def test_shrinking_does_not_alias(media, tmp_path: Path) -> None:
    path = media.make(tmp_path / "a.mp4", media.Recipe(n_frames=2, size=(512, 256)))
    small = open_video(path, size=(16, 8)).read_all()[0]
    assert np.abs(small[6, 3].astype(int) - (230, 20, 20)).max() <= 8


def test_closing_the_iterator_ends_the_child(talking: Path) -> None:
    before = decoders()
    reading = open_video(talking).open()
    next(reading)
    assert len(decoders() - before) == 1
    reading.close()
    assert not decoders() - before


def test_pair_has_exactly_as_much_sound_as_pictures(talking: Path) -> None:
    pair = load_pair(talking)
    assert pair.video.spec.n_frames == 50
    assert pair.audio.samples.shape == (32000,)
    assert pair.audio.samples.dtype == np.float32
    assert pair.video_info is pair.audio_info
    assert not [note for note in pair.notes if "cut" not in note]


@pytest.mark.parametrize(("sound_seconds", "frames", "word"), [(3.0, 50, "audio ends"), (1.0, 25, "video ends")])
def test_longer_and_shorter_audio(media, tmp_path: Path, sound_seconds: float, frames: int, word: str) -> None:
    video = media.make(tmp_path / "v.mp4", media.Recipe())
    sound = media.Sound(channels=media.tone(sound_seconds, 16000)[None], rate=16000, codec="pcm_s16le")
    audio = media.make(tmp_path / "a.wav", media.Recipe(codec=None, sound=sound))
    pair = load_pair(video, audio)
    assert pair.video.spec.n_frames == frames
    assert len(pair.audio.samples) == samples_for_frames(frames, rate=16000, fps=Fraction(25))
    assert any(note.startswith(word) for note in pair.notes)


@pytest.mark.parametrize("start", [Fraction(1, 2), Fraction(0)])
def test_audio_inside_is_placed_by_its_own_start_time(media, tmp_path: Path, start: Fraction) -> None:
    click = np.zeros(32000, np.float32)
    click[8000] = 0.9
    sound = media.Sound(channels=click[None], rate=16000, codec="pcm_s16le", start=start)
    pair = load_pair(media.make(tmp_path / "a.mkv", media.Recipe(n_frames=100, sound=sound)))
    assert int(np.argmax(pair.audio.samples)) == 8000 + int(start * 16000)
    assert pair.video.spec.n_frames == 50 + int(start * 25)


def test_audio_before_the_first_frame_is_cut(media, tmp_path: Path) -> None:
    click = np.zeros(32000, np.float32)
    click[16000] = 0.9
    sound = media.Sound(channels=click[None], rate=16000, codec="pcm_s16le")
    recipe = media.Recipe(stamps_ms=[500 + 40 * i for i in range(50)], sound=sound)
    pair = load_pair(media.make(tmp_path / "a.mkv", recipe))
    assert int(np.argmax(pair.audio.samples)) == 8000
    assert any("before the video" in note for note in pair.notes)


@pytest.mark.parametrize(("codec", "ending"), [("aac", "mp4"), ("libmp3lame", "mp3"), ("flac", "flac"), ("aac", "aac")])
def test_stereo_becomes_the_mean_at_16_khz(media, tmp_path: Path, codec: str, ending: str) -> None:
    left = media.tone(1.0, 44100, 440)
    sound = media.Sound(channels=np.stack([left, left * 0.5]), rate=44100, codec=codec)
    audio = read_audio(media.make(tmp_path / f"a.{ending}", media.Recipe(codec=None, sound=sound)))
    assert audio.rate == 16000
    assert 0.95 < audio.seconds < 1.15
    middle = audio.samples[4000:12000].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(int(np.argmax(spectrum)) * 2 - 440) <= 2
    # LAME lowers the level by 5 %.
    assert abs(np.sqrt(np.mean(middle**2)) / (0.75 * 0.5 / np.sqrt(2)) - 1) < 0.06


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_wav_samples_come_through_exactly(media, tmp_path: Path, codec: str) -> None:
    wave = (np.round(media.tone(0.5, 16000) * 127) / 128).astype(np.float32)
    path = media.make(
        tmp_path / "a.wav", media.Recipe(codec=None, sound=media.Sound(channels=wave[None], rate=16000, codec=codec))
    )
    samples = read_audio(path).samples
    assert len(samples) == 8000
    assert np.abs(samples - wave).max() <= (1 / 128 if codec == "pcm_u8" else 1e-4)


def test_resampling_in_pieces_is_resampling_at_once(media, tmp_path: Path) -> None:
    import soxr

    wave = media.tone(1.5, 48000)
    sound = media.Sound(channels=wave[None], rate=48000, codec="pcm_f32le")
    audio = read_audio(media.make(tmp_path / "a.wav", media.Recipe(codec=None, sound=sound)))
    whole = soxr.resample(wave, 48000, 16000, quality="HQ")
    assert len(audio.samples) == len(whole) == 24000
    assert np.abs(audio.samples - whole).max() < 1e-5


@given(st.integers(-50, 50), st.integers(0, 40), st.integers(0, 60))
def test_placing_keeps_every_sample_at_its_time(shift: int, length: int, wanted: int) -> None:
    samples = np.arange(1, length + 1, dtype=np.float32)
    placed = place_audio(Audio(samples, 10), offset=Fraction(shift, 10), n_samples=wanted).samples
    assert len(placed) == wanted
    for time_index in range(wanted):
        source = time_index - shift
        assert placed[time_index] == (samples[source] if 0 <= source < length else 0)


@pytest.mark.parametrize(
    ("ending", "codec", "pix_fmt"),
    [("mov", "qtrle", "argb"), ("mkv", "ffv1", "yuva420p"), ("webm", "libvpx-vp9", "yuva420p")],
)
def test_an_alpha_channel_is_told(media, tmp_path: Path, ending: str, codec: str, pix_fmt: str) -> None:
    recipe = media.Recipe(n_frames=5, codec=codec, pix_fmt=pix_fmt, sound=None)
    assert "transparency" in {note.code for note in load_video(media.make(tmp_path / f"a.{ending}", recipe)).notes}
    assert "transparency" not in {
        note.code for note in load_video(media.make(tmp_path / "b.mp4", media.Recipe())).notes
    }


def test_no_audio_says_so(media, tmp_path: Path) -> None:
    path = media.make(tmp_path / "a.mp4", media.Recipe(n_frames=3))
    with pytest.raises(NoAudioError, match="has no audio"):
        load_pair(path)
    with pytest.raises(NoAudioError):
        read_audio(path)


def test_audio_file_is_no_video(media, tmp_path: Path) -> None:
    sound = media.Sound(channels=media.tone(0.5, 16000)[None], rate=16000, codec="pcm_s16le")
    with pytest.raises(DecodeError, match="no video"):
        open_video(media.make(tmp_path / "a.wav", media.Recipe(codec=None, sound=sound)))


def test_nothing_in_common(media, tmp_path: Path) -> None:
    sound = media.Sound(channels=media.tone(0.02, 16000)[None], rate=16000, codec="pcm_s16le")
    audio = media.make(tmp_path / "a.wav", media.Recipe(codec=None, sound=sound))
    with pytest.raises(TooShortError, match="no whole frame"):
        load_pair(media.make(tmp_path / "v.mp4", media.Recipe(n_frames=5)), audio)


@pytest.mark.slow
def test_every_real_clip_loads(real_clips: Path) -> None:
    for path in sorted(real_clips.glob("*.m*")):
        beside = path.with_name("edtalk_mouth_source_Klobuchar.wav") if "silent" in path.name else None
        began = time.perf_counter()
        pair = load_pair(path, beside)
        n_frames = sum(len(piece) for piece in pair.video.open())
        spec = pair.video.spec
        print(path.name, spec, f"{time.perf_counter() - began:.1f} s", pair.notes)  # noqa: T201 - shown with -s
        assert n_frames == spec.n_frames > 40
        assert len(pair.audio.samples) == samples_for_frames(n_frames, rate=16000, fps=Fraction(25))
        assert 0.01 < np.abs(pair.audio.samples).max() <= 1
