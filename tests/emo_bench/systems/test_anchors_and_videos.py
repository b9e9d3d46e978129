"""Each anchor does what its name says; finished videos are matched, measured and refused when they do not fit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_bench.config.schema import System
from emo_bench.media.types import PIECE_LENGTH, Audio, Video, VideoSpec, video_from_array
from emo_bench.systems import conform
from emo_bench.systems.clip_store import ClipStore, DamagedClipError
from emo_bench.systems.conform import checked, fit_audio, fit_length, resize_video
from emo_bench.systems.system import (
    DrivingClip,
    GeneratedClip,
    GenerationRequest,
    SystemContext,
    build_system,
    system_digest,
)
from emo_core.errors import ClipError, ConfigError, DecodeError, EmoBenchError, GenerationError

FPS = Fraction(25)
N_FRAMES = 20


def numbered(n_frames: int, *, size: tuple[int, int] = (16, 12), offset: int = 0) -> Video:
    """Frame ``i`` is filled with ``i + offset``."""
    frames = np.zeros((n_frames, size[1], size[0], 3), np.uint8)
    frames += (np.arange(n_frames) + offset).astype(np.uint8)[:, None, None, None]
    return video_from_array(frames, fps=FPS)


def numbers(video: Video) -> list[int]:
    return video.read_all()[:, 0, 0, 0].tolist()


def clip(name: str, n_frames: int = N_FRAMES, **how: Any) -> DrivingClip:
    rng = np.random.default_rng(len(name) + n_frames)
    samples = rng.uniform(-0.5, 0.5, n_frames * 640).astype(np.float32)
    return DrivingClip(clip_id=name, video=numbered(n_frames, **how), audio=Audio(samples, 16000))


OWN, OTHER = clip("own"), clip("other", 7, offset=100)


def request(**changes: Any) -> GenerationRequest:
    values: dict[str, Any] = {
        "clip_id": "own",
        "reference_image": OWN.video.read_all()[3],
        "audio": OWN.audio,
        "fps": FPS,
        "n_frames": N_FRAMES,
        "width": 16,
        "height": 12,
        "seed": 0,
        "driving": OWN,
        "partner": OTHER,
    }
    return GenerationRequest(**{**values, **changes})


def generate(
    kind: str, asked: GenerationRequest | None = None, *, base: Path = Path(), **options: Any
) -> GeneratedClip:
    system = build_system(System(name="x", kind=kind, **options))
    system.load(SystemContext(base=base))
    return system.generate(asked or request())


def test_ground_truth_is_the_ground_truth() -> None:
    made = generate("ground_truth")
    np.testing.assert_array_equal(made.video.read_all(), OWN.video.read_all())
    assert made.audio is OWN.audio


def test_frozen_is_the_portrait_for_the_whole_length() -> None:
    made = generate("frozen", request(n_frames=70))
    assert numbers(made.video) == [3] * 70
    assert made.video.spec.n_frames == 70
    assert max(len(piece) for piece in made.video.open()) <= PIECE_LENGTH
    assert made.audio is OWN.audio


def test_frozen_reencoded_is_the_portrait_with_the_noise_of_a_codec(tiny) -> None:
    image = tiny.frames(n_frames=1, size=(64, 48))[0]
    asked = request(reference_image=image, width=64, height=48, n_frames=30)
    still, made = (generate(kind, asked).video.read_all().astype(int) for kind in ("frozen", "frozen_reencoded"))
    assert made.shape == still.shape
    assert 0 < np.abs(made - still).mean() < 6
    assert np.abs(np.diff(made, axis=0)).max() > 0, "a still picture trembles after H.264"
    assert np.abs(np.diff(made, axis=0)).mean() < 1
    assert generate("frozen_reencoded", asked).audio is asked.audio


def test_reencoded_is_nearly_the_ground_truth(tiny) -> None:
    frames = tiny.frames(n_frames=12, size=(64, 48))
    driving = DrivingClip(clip_id="own", video=video_from_array(frames, fps=FPS), audio=OWN.audio)
    asked = request(driving=driving, width=64, height=48, n_frames=12)
    errors = []
    for crf in (10, 45):
        made = generate("reencoded", asked, crf=crf).video.read_all()
        assert made.shape == frames.shape
        errors.append(float(np.abs(made.astype(int) - frames).mean()))
    assert 0 < errors[0] < 6
    assert errors[0] < errors[1]


@pytest.mark.parametrize("frames", [5, 1, 0, -5, -1, 100, -100])
def test_shifted_audio_comes_late_when_positive(frames: int) -> None:
    made = generate("shifted_audio", frames=frames)
    before, after = OWN.audio.samples, made.audio.samples
    assert after.shape == before.shape
    shift = frames * 640
    for position in (0, 641, 5000, len(before) - 1):
        source = position - shift  # what is heard now was heard `shift` samples earlier
        expected = before[source] if 0 <= source < len(before) else 0.0
        assert after[position] == expected
    np.testing.assert_array_equal(made.video.read_all(), OWN.video.read_all())


def test_shifted_audio_is_late_by_five_frames_unless_told_otherwise() -> None:
    click = np.zeros(N_FRAMES * 640, np.float32)
    click[640 * 4] = 1.0
    driving = DrivingClip(clip_id="own", video=OWN.video, audio=Audio(click, 16000))
    assert np.flatnonzero(generate("shifted_audio", request(driving=driving)).audio.samples).tolist() == [640 * 9]


def test_shuffled_audio_is_the_partners_repeated_to_the_same_length() -> None:
    made = generate("shuffled_audio")
    assert len(made.audio.samples) == len(OWN.audio.samples)
    np.testing.assert_array_equal(made.audio.samples[: 7 * 640], OTHER.audio.samples)
    np.testing.assert_array_equal(made.audio.samples[7 * 640 : 14 * 640], OTHER.audio.samples)
    np.testing.assert_array_equal(made.video.read_all(), OWN.video.read_all())
    assert made.notes == ("audio of clip other",)
    longer = generate("shuffled_audio", request(partner=clip("long", 90)))
    assert len(longer.audio.samples) == len(OWN.audio.samples)


def test_other_identity_is_the_partners_video_forth_and_back_with_the_own_sound() -> None:
    made = generate("other_identity")
    assert numbers(made.video) == [100 + i for i in [0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 5]]
    assert made.audio is OWN.audio
    assert numbers(generate("other_identity", request(partner=clip("l", 60))).video) == list(range(N_FRAMES))


def test_other_identity_is_cropped_not_stretched() -> None:
    frames = np.zeros((N_FRAMES, 40, 80, 3), np.uint8)
    frames[:, :, 20:60] = 200  # the middle square; what lies outside must not be seen
    partner = DrivingClip(clip_id="wide", video=video_from_array(frames, fps=FPS), audio=OTHER.audio)
    made = generate("other_identity", request(partner=partner, width=20, height=20)).video.read_all()
    assert made.shape == (N_FRAMES, 20, 20, 3)
    assert (made[:, :, 2:-2] == 200).all()
    assert made.min() > 150  # at the border the filter reaches a little over the cut


@pytest.mark.parametrize(
    ("kind", "missing", "words"),
    [
        ("ground_truth", "driving", "needs the ground truth"),
        ("shifted_audio", "driving", "needs the ground truth"),
        ("shuffled_audio", "partner", "second clip"),
        ("other_identity", "partner", "second identity"),
    ],
)
def test_without_what_it_needs_an_anchor_says_so(kind: str, missing: str, words: str) -> None:
    with pytest.raises(GenerationError, match=words):
        generate(kind, request(**{missing: None}))


def test_digests_of_systems_depend_on_options_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(**options: Any) -> str:
        system = System(name=options.pop("name", "x"), kind="shifted_audio", **options)
        return system_digest(system, build_system(system), SystemContext())

    assert digest() == digest(name="y") == digest(frames=5)
    assert digest() != digest(frames=-5)
    before = digest()
    from emo_bench.systems.anchors import ShiftedAudio

    monkeypatch.setattr(ShiftedAudio, "code_version", 2)
    assert digest() != before


class TestFitting:
    @given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 5))
    @settings(max_examples=60, deadline=None)
    def test_forth_and_back_in_small_blocks(self, have: int, want: int, block: int) -> None:
        cycle = [*range(have), *range(have - 2, 0, -1)]
        frames = numbered(have).read_all()
        source = Video(numbered(have).spec, lambda: (frames[i : i + 2] for i in range(0, have, 2)))
        made = fit_length(source, n_frames=want)
        before = conform.PIECE_LENGTH, conform.BACKWARD_BYTES
        conform.PIECE_LENGTH, conform.BACKWARD_BYTES = block, 1
        try:
            assert numbers(made) == [cycle[i % len(cycle)] for i in range(want)]
        finally:
            conform.PIECE_LENGTH, conform.BACKWARD_BYTES = before
        assert made.spec.n_frames == want

    def test_playing_backwards_does_not_hold_the_video(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(conform, "BACKWARD_BYTES", 1 << 20)

        def long(n_frames: int) -> Video:
            def pieces() -> Iterator[np.ndarray]:
                for start in range(0, n_frames, PIECE_LENGTH):
                    yield np.zeros((min(PIECE_LENGTH, n_frames - start), 64, 64, 3), np.uint8)

            return Video(VideoSpec(width=64, height=64, fps=FPS, n_frames=n_frames), pieces)

        tracemalloc.start()
        assert sum(len(piece) for piece in fit_length(long(3000), n_frames=5500).open()) == 5500
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 << 20  # the whole would be 37 MB

    def test_other_aspects_are_refused_unless_cropped(self) -> None:
        with pytest.raises(GenerationError, match="another aspect ratio"):
            resize_video(numbered(2, size=(16, 16)), width=16, height=12)
        assert resize_video(numbered(2, size=(32, 24)), width=16, height=12).read_all().shape == (2, 12, 16, 3)
        same = numbered(2)
        assert resize_video(same, width=16, height=12) is same

    def test_the_contract_is_checked_piece_by_piece(self) -> None:
        good = numbered(5)
        assert sum(len(piece) for piece in checked(good, n_frames=5)) == 5
        for n_frames, words in ((4, "expected: 4 frames"), (6, "expected: 6 frames")):
            with pytest.raises(GenerationError, match=words):
                list(checked(good, n_frames=n_frames))
        floats = Video(good.spec, lambda: iter([np.zeros((5, 12, 16, 3), np.float32)]))
        with pytest.raises(GenerationError, match="uint8"):
            list(checked(floats, n_frames=5))
        wide = Video(good.spec, lambda: iter([np.zeros((5, 12, 17, 3), np.uint8)]))
        with pytest.raises(GenerationError, match="wrong form"):
            list(checked(wide, n_frames=5))

    def test_no_audio_cannot_be_repeated(self) -> None:
        with pytest.raises(GenerationError, match="empty"):
            fit_audio(Audio(np.zeros(0, np.float32), 16000), n_samples=5)


class TestVideos:
    def asked(self, n_frames: int = 10) -> GenerationRequest:
        return request(clip_id="clip-00", n_frames=n_frames, width=64, height=48)

    def test_matched_by_id_or_pattern(self, tiny, tmp_path: Path) -> None:
        tiny.clip(tmp_path / "clip-00.mkv", person=1)
        tiny.clip(tmp_path / "out_clip-00_best.mkv", person=2)
        made = generate("videos", self.asked(), base=tmp_path, folder=".")
        np.testing.assert_array_equal(made.video.read_all()[0], tiny.frames(n_frames=1, person=1)[0])
        assert made.notes == ()
        other = generate("videos", self.asked(), base=tmp_path, folder=".", pattern="out_{id}_best")
        np.testing.assert_array_equal(other.video.read_all()[0], tiny.frames(n_frames=1, person=2)[0])

    @pytest.mark.parametrize(
        ("seconds", "note"),
        [
            (0.32, "length 8 -> 10 frames, the last one held for 2"),
            (0.56, "length 14 -> 10 frames, the last 4 cut"),
        ],
    )
    def test_a_little_too_short_or_long_is_fitted_and_noted(self, tiny, tmp_path, seconds: float, note: str) -> None:
        tiny.clip(tmp_path / "clip-00.mkv", seconds=seconds)
        made = generate("videos", self.asked(), base=tmp_path, folder=".")
        assert made.notes == (note,)
        given = tiny.frames(n_frames=round(seconds * 25))
        shown = made.video.read_all()
        assert len(shown) == made.video.spec.n_frames == 10
        np.testing.assert_array_equal(shown, given[np.minimum(np.arange(10), len(given) - 1)])

    @pytest.mark.parametrize("seconds", [0.16, 0.64])
    def test_another_length_is_refused(self, tiny, tmp_path: Path, seconds: float) -> None:
        tiny.clip(tmp_path / "clip-00.mkv", seconds=seconds)
        with pytest.raises(GenerationError, match="not as long as the audio") as caught:
            generate("videos", self.asked(), base=tmp_path, folder=".")
        assert "10 frames, give or take 5" in caught.value.expected
        assert caught.value.found.startswith(f"{round(seconds * 25)} frames")
        assert "raise length_tolerance_s" in caught.value.fix

    def test_the_tolerance_is_an_option(self, tiny, tmp_path: Path) -> None:
        tiny.clip(tmp_path / "clip-00.mkv", seconds=0.36)
        with pytest.raises(GenerationError, match="not as long"):
            generate("videos", self.asked(), base=tmp_path, folder=".", length_tolerance_s=0.0)

    def test_another_rate_and_size(self, tiny, tmp_path: Path) -> None:
        tiny.clip(tmp_path / "clip-00.mkv", seconds=0.4, fps=50, size=(128, 96))
        made = generate("videos", self.asked(), base=tmp_path, folder=".")
        assert (made.video.spec.fps, made.video.spec.n_frames) == (FPS, 10)
        assert made.notes == ("frame rate converted from 50.000 to 25 fps", "size 128x96 -> 64x48")

    def test_missing_broken_and_leading_out(self, tiny, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        with pytest.raises(GenerationError, match="no video for clip 'clip-00'") as caught:
            generate("videos", self.asked(), base=tmp_path, folder="out")
        assert "clip-00.mp4" in caught.value.expected
        (tmp_path / "out" / "clip-00.mp4").write_bytes(b"broken")
        with pytest.raises(DecodeError):
            generate("videos", self.asked(), base=tmp_path, folder="out")
        (tmp_path / "out" / "clip-00.mp4").unlink()
        tiny.clip(tmp_path / "secret.mkv")
        (tmp_path / "out" / "clip-00.mkv").symlink_to(tmp_path / "secret.mkv")
        with pytest.raises(GenerationError, match="no video"):
            generate("videos", self.asked(), base=tmp_path, folder="out")
        with pytest.raises(ConfigError, match="no folder"):
            generate("videos", self.asked(), base=tmp_path, folder="absent")

    def test_each_clip_depends_on_the_bytes_of_its_video(self, tiny, tmp_path: Path) -> None:
        system = build_system(System(name="x", kind="videos", folder="."))
        context = SystemContext(base=tmp_path)
        assert system.clip_dependencies("clip-00", context) == {"video": None}
        tiny.clip(tmp_path / "clip-00.mkv")
        system = build_system(System(name="x", kind="videos", folder="."))
        first = system.clip_dependencies("clip-00", context)
        tiny.clip(tmp_path / "clip-00.mkv", person=4)
        assert system.clip_dependencies("clip-00", context) != first

    def context_of(self, folder: Path, *clips: str) -> tuple[Any, SystemContext]:
        system = build_system(System(name="x", kind="videos", folder="."))
        return system, SystemContext(base=folder, clip_ids=clips)

    def test_names_that_fit_nothing_are_told_before_work(self, tmp_path: Path) -> None:
        for name in ("clip-00.mkv", "other.mkv", "clip-00.wav"):
            (tmp_path / name).write_bytes(b"x")
        system, context = self.context_of(tmp_path, "clip-00", "clip-01")
        assert system.dependencies(context) == {}
        assert system.notices(context) == (
            "videos that fit no clip, 1: other.mkv",
            "clips without a video, 1: clip-01",
            "audio files are not used, clips are scored with the reference's audio: clip-00.wav",
        )
        system, context = self.context_of(tmp_path, "nobody")
        with pytest.raises(ConfigError, match="fits any clip") as caught:
            system.dependencies(context)
        assert "other.mkv" in caught.value.found

    def test_two_videos_for_one_clip_are_an_error_that_names_them(self, tmp_path: Path) -> None:
        for name in ("clip-00.mkv", "clip-00.mp4"):
            (tmp_path / name).write_bytes(b"x")
        system, context = self.context_of(tmp_path, "clip-00")
        with pytest.raises(ConfigError, match="several videos") as caught:
            system.dependencies(context)
        assert "clip-00.mkv, clip-00.mp4" in caught.value.found
        with pytest.raises(ClipError, match="several videos fit"):
            generate("videos", self.asked(), base=tmp_path, folder=".")


class TestClipStore:
    def put(self, store: ClipStore, tiny, key: str = "ab" * 32) -> Any:
        frames = tiny.frames(n_frames=6)
        spec = VideoSpec(width=64, height=48, fps=FPS, n_frames=6)
        audio = Audio(tiny.speech(seconds=0.24), 16000)
        video = Video(spec, lambda: iter([frames[:4], frames[4:]]))
        return store.put(key, video=video, audio=audio, notes=("a note",))

    def test_what_goes_in_comes_out_bit_for_bit(self, tiny, tmp_path: Path) -> None:
        store = ClipStore(tmp_path)
        assert store.get("ab" * 32) is None
        made = self.put(store, tiny)
        found = store.get("ab" * 32)
        assert found is not None
        assert found.sidecar == made.sidecar
        assert (found.spec.n_frames, found.spec.fps, tuple(note.text for note in found.sidecar.notes)) == (
            6,
            FPS,
            ("a note",),
        )
        video, audio = store.open(found)
        np.testing.assert_array_equal(video.read_all(), tiny.frames(n_frames=6))
        np.testing.assert_array_equal(audio.samples, tiny.speech(seconds=0.24))

    def test_digests_are_of_pixels_and_samples(self, tiny, tmp_path: Path) -> None:
        first, second = self.put(ClipStore(tmp_path / "1"), tiny), self.put(ClipStore(tmp_path / "2"), tiny, "cd" * 32)
        assert first.sidecar.video_sha256 == second.sidecar.video_sha256
        assert first.sidecar.audio_sha256 == second.sidecar.audio_sha256
        assert first.sidecar.frames == second.sidecar.frames

    def test_damage_is_noticed_and_the_clip_removed(self, tiny, tmp_path: Path) -> None:
        store = ClipStore(tmp_path)
        made = self.put(store, tiny)
        for name in (made.sidecar.frames.name, made.sidecar.audio):
            path = store.objects.path(name)
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.write_bytes(bytes(data))
            with pytest.raises(DamagedClipError, match="damaged and has been removed"):
                store.open(made)
            assert store.get("ab" * 32) is None
            assert not made.path.exists()
            assert not path.exists()
            assert self.put(store, tiny).sidecar == made.sidecar

    @pytest.mark.parametrize("damage", ["no sidecar", "no frames", "no audio", "half a sidecar", "another sidecar"])
    def test_half_a_clip_is_none(self, tiny, tmp_path: Path, damage: str) -> None:
        store = ClipStore(tmp_path)
        made = self.put(store, tiny)
        sidecar = made.path
        if damage == "no sidecar":
            sidecar.unlink()
        elif damage == "no frames":
            store.objects.path(made.sidecar.frames.name).unlink()
        elif damage == "no audio":
            store.objects.path(made.sidecar.audio).unlink()
        else:
            sidecar.write_bytes(sidecar.read_bytes()[:50] if damage == "half a sidecar" else b'{"key": 1}')
        assert store.get("ab" * 32) is None
        assert self.put(store, tiny).sidecar == made.sidecar

    def test_a_system_that_fails_on_the_way_leaves_nothing(self, tiny, tmp_path: Path) -> None:
        def pieces() -> Iterator[np.ndarray]:
            yield tiny.frames(n_frames=3)
            raise GenerationError("broke down")

        spec = VideoSpec(width=64, height=48, fps=FPS, n_frames=6)
        with pytest.raises(EmoBenchError, match="broke down"):
            ClipStore(tmp_path).put("ab" * 32, video=Video(spec, pieces), audio=OWN.audio)
        assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npy"]
