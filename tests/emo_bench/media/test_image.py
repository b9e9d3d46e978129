"""Pictures from outside: what is read, and what a user is told about the rest."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from emo_bench.media.image import read_image, read_still_image
from emo_core.errors import DecodeError, LimitError


def test_a_picture_is_read_upright_and_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist()[0][:2] == [[10, 20, 30], [255, 255, 255]]
    turned = Image.new("RGB", (8, 4))
    turned.getexif()[0x0112] = 6
    turned.save(tmp_path / "b.jpg", exif=turned.getexif())
    assert read_image(tmp_path / "b.jpg").shape == (8, 4, 3)


def test_what_is_no_picture_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"<html>404</html>")
    with pytest.raises(DecodeError, match=r"'a\.png' is not a readable image") as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.found == "content of no such format"


def test_colours_that_nobody_can_know_are_no_broken_file(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(DecodeError, match=r"the colours of 'a\.jpg' are not known") as caught:
        read_image(tmp_path / "a.jpg")
    assert "without a colour profile" in str(caught.value.found)
    assert "8-bit" in str(caught.value.expected)
    assert "sRGB" in str(caught.value.fix)


def test_an_empty_file_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(DecodeError, match="empty") as caught:
        read_image(tmp_path / "a.png")
    assert "image" in caught.value.expected


def test_a_cut_picture_says_so(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    with pytest.raises(DecodeError) as caught:
        read_image(tmp_path / "a.png")
    assert "truncated" in str(caught.value.found)


@pytest.mark.parametrize(("size", "told"), [((9000, 8000), "9000x8000"), ((14000, 13000), "182000000 pixels")])
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, size: tuple[int, int], told: str) -> None:
    Image.new("1", size).save(tmp_path / "a.png")
    with pytest.raises(LimitError) as caught:
        read_image(tmp_path / "a.png")
    assert told in str(caught.value.found)
    assert caught.value.fix == "reduce the image"


RAMP = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_16_bit_gray_is_scaled(tmp_path: Path, ending: str) -> None:
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / f"a.{ending}")
    assert np.array_equal(read_image(tmp_path / f"a.{ending}"), np.repeat(RAMP[..., None], 3, axis=2))


def test_float_from_0_to_1_is_scaled(tmp_path: Path) -> None:
    Image.fromarray((RAMP / 255).astype(np.float32), "F").save(tmp_path / "a.tiff")
    assert np.array_equal(read_image(tmp_path / "a.tiff")[..., 1], RAMP)


@pytest.mark.parametrize("pixels", [RAMP, RAMP.astype(np.uint16) * 257, (RAMP / 255).astype(np.float32)])
def test_a_tiff_that_counts_from_white_to_black_is_turned(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "a.tiff"
    Image.fromarray(pixels).save(path)
    tag = struct.pack("<HHII", 262, 3, 1, 1)
    content = path.read_bytes()
    assert content.count(tag) == 1
    path.write_bytes(content.replace(tag, struct.pack("<HHII", 262, 3, 1, 0)))
    assert np.array_equal(read_image(path)[..., 0], 255 - RAMP)


def test_12_bits_stored_in_16_are_told(tmp_path: Path) -> None:
    Image.fromarray(RAMP.astype(np.uint16) * 16).save(tmp_path / "a.png")
    assert "dark" in " ".join(read_still_image(tmp_path / "a.png").notes)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (RAMP.astype(np.float32), "only values from 0 to 1"),
        (RAMP.astype(np.float32) / 255 - 0.5, "only values from 0 to 1"),
        (np.where(RAMP > 9, np.nan, 0).astype(np.float32), "only values from 0 to 1"),
        (RAMP.astype(np.int32) * 1000, "no stated white"),
        (RAMP.astype(np.uint16), "not scaled to 16 bits"),
    ],
)
def test_values_without_a_stated_white_are_refused(tmp_path: Path, pixels: np.ndarray, words: str) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.tiff")
    with pytest.raises(DecodeError) as caught:
        read_image(tmp_path / "a.tiff")
    assert words in str(caught.value.found)


def test_a_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.fromarray((RAMP > 100).astype(np.uint8), "P")
    image.putpalette([200, 10, 20, 30, 40, 250])
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [200, 10, 20]
    image.save(tmp_path / "b.png", transparency=0)
    seen = read_image(tmp_path / "b.png")
    assert (seen[0, 0].tolist(), seen[-1, -1].tolist()) == ([255, 255, 255], [30, 40, 250])


def rgb_profile(*, red: tuple[float, float], gamma: float) -> bytes:
    """A matrix profile whose red primary and gamma differ from sRGB's, made from the bytes of one that Pillow makes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())

    def fixed(value: float) -> bytes:
        return round(value * 65536).to_bytes(4, "big", signed=True)

    count = int.from_bytes(profile[128:132], "big")
    for index in range(count):
        entry = 132 + 12 * index
        name, at = bytes(profile[entry : entry + 4]), int.from_bytes(profile[entry + 4 : entry + 8], "big")
        if name == b"rXYZ":
            profile[at + 8 : at + 16] = fixed(red[0]) + fixed(red[1])
        if name == b"rTRC":
            curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big")
            profile[at : at + len(curve)] = curve
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_colour_profile_is_converted(tmp_path: Path, mode: str) -> None:
    profile = rgb_profile(red=(0.515, 0.241), gamma=2.2)
    image = Image.new("RGB", (8, 8), (180, 120, 90)).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=profile)
    picture = read_still_image(tmp_path / "a.png")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    wanted: Any = ImageCms.profileToProfile(image.convert("RGB"), source, ImageCms.createProfile("sRGB"))
    assert picture.pixels[3, 3].tolist() == list(wanted.getpixel((3, 3)))
    assert np.abs(picture.pixels[3, 3].astype(int) - (180, 120, 90)).max() > 5


def test_a_damaged_profile_is_told(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (180, 120, 90)).save(tmp_path / "a.png", icc_profile=b"no profile" * 20)
    picture = read_still_image(tmp_path / "a.png")
    assert picture.pixels[0, 0].tolist() == [180, 120, 90]
    assert any("damaged" in note for note in picture.notes)


def test_cmyk_without_a_profile_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 100, 100, 20)).save(tmp_path / "a.jpg")
    with pytest.raises(DecodeError) as caught:
        read_image(tmp_path / "a.jpg")
    assert "CMYK" in str(caught.value.found)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_every_exif_orientation_is_applied_and_told(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[0, 0], pixels[5, 0] = (255, 0, 0), (0, 255, 0)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    picture = read_still_image(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as stored:
        assert np.array_equal(picture.pixels, np.asarray(ImageOps.exif_transpose(stored)))
    assert any("upright" in note for note in picture.notes)


def png_with(path: Path, pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG with further chunks before its pixels."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    data = stream.getvalue()
    at = data.index(b"IDAT") - 4
    extra = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    path.write_bytes(data[:at] + extra + data[at:])
    return path


GRAYS = np.repeat(RAMP[..., None], 3, axis=2)


def test_the_gamma_of_a_png_is_applied(tmp_path: Path) -> None:
    linear = (b"gAMA", struct.pack(">I", 100000))
    picture = read_still_image(png_with(tmp_path / "a.png", GRAYS, linear))
    expected = RAMP / 255
    expected = np.where(expected <= 0.0031308, 12.92 * expected, 1.055 * expected ** (1 / 2.4) - 0.055)
    assert np.abs(picture.pixels[..., 0] - 255 * expected).max() <= 0.51
    assert "PNG gamma 1" in " ".join(picture.notes)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", struct.pack(">I", 45455))],
        [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100000))],
        [(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))],
        [(b"cHRM", struct.pack(">8I", *[0] * 8))],
        [(b"gAMA", struct.pack(">I", 0))],
    ],
)
def test_what_a_png_states_of_srgb_changes_nothing(tmp_path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    picture = read_still_image(png_with(tmp_path / "a.png", GRAYS, *chunks))
    assert np.array_equal(picture.pixels, GRAYS)
    assert picture.notes == ()


def test_other_primaries_of_a_png_are_converted_as_a_profile_would(tmp_path: Path) -> None:
    red = np.full((4, 4, 3), (200, 40, 40), np.uint8)
    adobe = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
    picture = read_still_image(png_with(tmp_path / "a.png", red, (b"gAMA", struct.pack(">I", 45470)), adobe))
    assert picture.pixels[0, 0, 0] > 220  # a wider space: the same numbers are a stronger red
    assert abs(int(picture.pixels[0, 0, 1]) - 40) < 8
    assert "primaries" in picture.notes[0]


def test_adobe_rgb_by_exif_is_converted(tmp_path: Path) -> None:
    red = Image.new("RGB", (16, 16), (200, 40, 40))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    red.save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    picture = read_still_image(tmp_path / "a.jpg")
    assert picture.pixels[8, 8, 0] > 220
    assert "Adobe RGB" in picture.notes[0]


def test_code_points_for_colours_are_told(tmp_path: Path) -> None:
    told = read_still_image(png_with(tmp_path / "a.png", GRAYS, (b"cICP", bytes((9, 16, 0, 1)))))
    assert "cICP" in told.notes[0]
    assert read_still_image(png_with(tmp_path / "b.png", GRAYS, (b"cICP", bytes((1, 13, 0, 1))))).notes == ()


def test_what_is_no_file_with_content_is_told_as_an_image(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    for place in (tmp_path, tmp_path / "empty.png"):
        with pytest.raises(DecodeError) as caught:
            read_image(place)
        assert caught.value.expected == "an image"


def test_a_gray_image_with_a_profile_of_colours_is_converted_by_it(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    gray = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1)), "L")
    gray.save(tmp_path / "gray.png", icc_profile=profile)
    still = read_still_image(tmp_path / "gray.png")
    assert still.notes == ()
    assert np.abs(still.pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1
