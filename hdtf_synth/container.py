"""A video file whose every byte is decided here: an AVI with CamStudio video and PCM sound.

General encoders promise the same pictures, never the same bytes, across their versions. The CamStudio codec
(``CSCD``) is a deflate stream of differences between frames, lossless, and FFmpeg has decoded it since 2006; deflate
(RFC 1951) leaves the choice of codes to the writer, and this writer makes them with whole numbers only: one Huffman
code for a clip's key frames and one for its difference frames, plus runs of equal bytes.
"""

from __future__ import annotations

import heapq
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_KEY_EVERY = 25
_END = 256
_RUN_MIN = 6
_CODE_LIMIT = 15
_LENGTH_BASE = (
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    13,
    15,
    17,
    19,
    23,
    27,
    31,
    35,
    43,
    51,
    59,
    67,
    83,
    99,
    115,
    131,
    163,
    195,
    227,
    258,
)
_LENGTH_EXTRA = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0)
_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def avi_bytes(frames: NDArray[np.uint8], samples: NDArray[np.int16], *, fps: int, rate: int) -> bytes:
    """A complete AVI file.

    Args:
        frames: ``uint8 [T, H, W, 3]``, RGB; the width a multiple of 4.
        samples: ``int16 [n]``, mono.
        fps: Frames per second.
        rate: Samples per second; a multiple of ``fps``.

    Returns:
        The file's bytes, a function of the arguments only.

    Raises:
        ValueError: for shapes that the format cannot hold.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or frames.shape[2] % 4 or not len(frames):
        raise ValueError(f"expected uint8 [T, H, W, 3] with W a multiple of 4, found {frames.dtype} {frames.shape}")
    if rate % fps:
        raise ValueError(f"expected a rate that is a multiple of fps, found {rate} and {fps}")
    packets = _video_packets(frames)
    step = rate // fps
    chunks: list[tuple[bytes, bytes, bool]] = []
    for index, (packet, key) in enumerate(packets):
        chunks.append((b"00dc", packet, key))
        sound = samples[index * step : (index + 1) * step if index + 1 < len(packets) else None]
        chunks.append((b"01wb", sound.astype("<i2").tobytes(), True))
    return _riff(chunks, frames.shape[2], frames.shape[1], len(frames), len(samples), fps, rate)


def _riff(
    chunks: list[tuple[bytes, bytes, bool]], width: int, height: int, n_frames: int, n_samples: int, fps: int, rate: int
) -> bytes:
    movie, index = bytearray(b"movi"), bytearray()
    for name, data, key in chunks:
        index += struct.pack("<4sIII", name, 0x10 if key else 0, len(movie), len(data))
        movie += name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    largest = max(len(data) for _, data, _ in chunks)
    main = struct.pack(
        "<14I", 1000000 // fps, largest * fps, 0, 0x110, n_frames, 0, 2, largest, width, height, 0, 0, 0, 0
    )
    video_head = struct.pack(
        "<4s4sIHHIIIIIIII4H",
        b"vids",
        b"CSCD",
        0,
        0,
        0,
        0,
        1,
        fps,
        0,
        n_frames,
        largest,
        0xFFFFFFFF,
        0,
        0,
        0,
        width,
        height,
    )
    video_form = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"CSCD", width * height * 3, 0, 0, 0, 0)
    audio_head = struct.pack(
        "<4s4sIHHIIIIIIII4H",
        b"auds",
        b"\0\0\0\0",
        0,
        0,
        0,
        0,
        2,
        rate * 2,
        0,
        n_samples,
        rate * 2,
        0xFFFFFFFF,
        2,
        0,
        0,
        0,
        0,
    )
    audio_form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    head = _chunk(b"avih", main)
    head += _list(b"strl", _chunk(b"strh", video_head) + _chunk(b"strf", video_form))
    head += _list(b"strl", _chunk(b"strh", audio_head) + _chunk(b"strf", audio_form))
    body = _list(b"hdrl", head) + _chunk(b"LIST", bytes(movie)) + _chunk(b"idx1", bytes(index))
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"AVI " + body


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)


def _video_packets(frames: NDArray[np.uint8]) -> list[tuple[bytes, bool]]:
    """Each frame as CamStudio stores it: rows from the bottom, blue first; differences wrap at 256."""
    bottom_up = np.ascontiguousarray(frames[:, ::-1, :, ::-1]).reshape(len(frames), -1)
    planes: list[tuple[NDArray[np.uint8], bool]] = []
    for index, frame in enumerate(bottom_up):
        key = index % _KEY_EVERY == 0
        planes.append((frame if key else frame - bottom_up[index - 1], key))
    tokens = [_tokens(plane) for plane, _ in planes]
    packets: dict[int, bytes] = {}
    for wanted in (True, False):
        members = [index for index, (_, key) in enumerate(planes) if key is wanted]
        if members:
            code = _code_for([tokens[index] for index in members])
            for index in members:
                data = _deflate(tokens[index], code)
                checksum = struct.pack(">I", zlib.adler32(planes[index][0].tobytes()))
                packets[index] = bytes([0x03 if wanted else 0x02, 0]) + b"\x78\x01" + data + checksum
    return [(packets[index], key) for index, (_, key) in enumerate(planes)]


def _tokens(data: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Bytes and runs: values below 256 are bytes, 256 + n repeats the last byte n times (3 <= n <= 258)."""
    change = np.flatnonzero(data[1:] != data[:-1]) + 1
    starts = np.concatenate([[0], change])
    lengths = np.diff(np.concatenate([starts, [len(data)]]))
    long = np.flatnonzero(lengths >= _RUN_MIN)
    tokens = data.astype(np.int32)
    if len(long) == 0:
        return tokens
    first, rest = starts[long] + 1, lengths[long] - 1
    # A run keeps its first byte; one token stands for up to 258 more, and the other places of the run fall away.
    steps = np.zeros(len(data) + 1, np.int8)
    steps[first] = 1
    steps[first + rest] -= 1
    keep = np.cumsum(steps[:-1], dtype=np.int8) == 0
    keep[first] = True
    tokens[first] = np.minimum(rest, 258) + 256
    for place, length in zip(first[rest > 258].tolist(), rest[rest > 258].tolist(), strict=True):
        parts = _split(length)
        tokens[place : place + len(parts)] = parts
        keep[place : place + len(parts)] = True
    return np.asarray(tokens[keep], np.int32)


def _split(length: int) -> list[int]:
    """The tokens of a repetition longer than one token can hold."""
    parts = []
    while length > 0:
        # The last part must not be shorter than 3.
        part = length if length <= 258 else (258 if length - 258 >= 3 else length - 3)
        parts.append(256 + part)
        length -= part
    return parts


@dataclass(frozen=True)
class _Code:
    """What to write for each token: bits (in the order of the stream) and how many; and the block's header."""

    bits: NDArray[np.uint64]
    lengths: NDArray[np.int64]
    header: list[tuple[int, int]]


def _code_for(token_lists: list[NDArray[np.int32]]) -> _Code:
    counts = np.zeros(515, np.int64)
    for tokens in token_lists:
        counts += np.bincount(tokens, minlength=515)
    symbol_of, extra_bits, extra_value = _run_symbols()
    symbols = np.zeros(286, np.int64)
    symbols[:256] = counts[:256]
    for token in range(259, 515):
        symbols[symbol_of[token]] += counts[token]
    symbols[_END] = len(token_lists)
    # At least two symbols keep the code complete; rare ones cost nothing.
    symbols[0] = max(int(symbols[0]), 1)
    sizes = _code_lengths(symbols.tolist())
    codes = _canonical(sizes)
    bits = np.zeros(515, np.uint64)
    lengths = np.zeros(515, np.int64)
    for token in range(515):
        symbol = symbol_of[token]
        size = sizes[symbol]
        value, used = codes[symbol], size
        if token >= 259:
            value |= extra_value[token] << used
            used += extra_bits[token] + 1  # one more bit, 0, for the only distance code: distance 1
        bits[token], lengths[token] = value, used
    bits[_END], lengths[_END] = codes[_END], sizes[_END]
    return _Code(bits, lengths, _header(sizes))


@lru_cache(maxsize=1)
def _run_symbols() -> tuple[list[int], list[int], list[int]]:
    symbol_of, extra_bits, extra_value = list(range(515)), [0] * 515, [0] * 515
    for length in range(3, 259):
        k = max(i for i, base in enumerate(_LENGTH_BASE) if base <= length)
        symbol_of[256 + length] = 257 + k
        extra_bits[256 + length] = _LENGTH_EXTRA[k]
        extra_value[256 + length] = length - _LENGTH_BASE[k]
    symbol_of[257] = symbol_of[258] = 0
    return symbol_of, extra_bits, extra_value


def _code_lengths(counts: list[int]) -> list[int]:
    """Lengths of a Huffman code of at most 15 bits; equal counts are ordered by symbol."""
    while True:
        heap: list[tuple[int, int, tuple[int, ...]]] = [
            (count, symbol, (symbol,)) for symbol, count in enumerate(counts) if count > 0
        ]
        heapq.heapify(heap)
        sizes = [0] * len(counts)
        serial = len(counts)
        while len(heap) > 1:
            first, second = heapq.heappop(heap), heapq.heappop(heap)
            for symbol in first[2] + second[2]:
                sizes[symbol] += 1
            heapq.heappush(heap, (first[0] + second[0], serial, first[2] + second[2]))
            serial += 1
        if max(sizes) <= _CODE_LIMIT:
            return sizes
        counts = [(count + 1) // 2 if count > 0 else 0 for count in counts]


def _canonical(sizes: list[int]) -> list[int]:
    """Codes by RFC 1951 section 3.2.2, bits reversed for the stream."""
    code, codes = 0, [0] * len(sizes)
    for size in range(1, _CODE_LIMIT + 1):
        for symbol, own in enumerate(sizes):
            if own == size:
                codes[symbol] = int(f"{code:0{size}b}"[::-1], 2)
                code += 1
        code <<= 1
    return codes


def _header(sizes: list[int]) -> list[tuple[int, int]]:
    """The block header: (value, number of bits) in order; one distance code of one bit."""
    fields = [(1, 1), (2, 2), (286 - 257, 5), (0, 5), (15, 4)]
    # Code lengths are written plainly with a fixed code of 4 bits for each of the 16 sizes.
    fields += [(4 if symbol < 16 else 0, 3) for symbol in _LENGTH_ORDER]
    fields += [(int(f"{size:04b}"[::-1], 2), 4) for size in [*sizes, 1]]
    return fields


def _deflate(tokens: NDArray[np.int32], code: _Code) -> bytes:
    header_bits = np.asarray([value for value, _ in code.header], np.uint64)
    header_lengths = np.asarray([length for _, length in code.header], np.int64)
    bits = np.concatenate([header_bits, code.bits[tokens], code.bits[_END : _END + 1]])
    lengths = np.concatenate([header_lengths, code.lengths[tokens], code.lengths[_END : _END + 1]])
    return _pack(bits, lengths)


def _pack(bits: NDArray[np.uint64], lengths: NDArray[np.int64]) -> bytes:
    """Concatenates bit strings, lowest bit first."""
    for _ in range(1):  # join neighbours: half as many, twice as long (at most 42 bits)
        if len(bits) % 2:
            bits, lengths = np.append(bits, np.uint64(0)), np.append(lengths, 0)
        bits = bits[0::2] | (bits[1::2] << lengths[0::2].astype(np.uint64))
        lengths = lengths[0::2] + lengths[1::2]
    ends = np.cumsum(lengths)
    starts = ends - lengths
    word, offset = starts >> 5, (starts & 31).astype(np.uint64)
    low = bits << offset  # up to 73 bits: what falls off above 64 is caught below
    high = np.where(offset > 0, bits >> (np.uint64(64) - np.maximum(offset, np.uint64(1))), np.uint64(0))
    n_words = int(ends[-1] + 31) // 32 + 3
    packed = np.zeros(n_words, np.uint64)
    first = np.concatenate([[True], word[1:] != word[:-1]])
    groups = np.flatnonzero(first)
    places = word[groups]
    mask = np.uint64(0xFFFFFFFF)
    for shift, part in ((0, low & mask), (1, low >> np.uint64(32)), (2, high)):
        packed[places + shift] |= np.bitwise_or.reduceat(part, groups)
    return packed.astype("<u4").tobytes()[: int(ends[-1] + 7) // 8]
