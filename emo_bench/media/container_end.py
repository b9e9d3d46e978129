"""How many bytes a file lacks according to its own structure; runs in the child process, imports nothing heavy.

Demuxers read what is there and adapt the duration to it, so a WAV, MP3 or Ogg file that was cut in half looks complete.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import asdict, dataclass, replace
from typing import BinaryIO


@dataclass(frozen=True)
class FileEnd:
    """What a file's structure reveals about its end.

    Attributes:
        missing: Bytes that are promised and not there.
        total: Bytes of the file.
        broken: The last unit (page, frame) is incomplete, and how much else is missing is unknown.
        open: The mark that ends such files is absent.
        damaged: Where the first piece of data begins whose checksum is wrong; None when none is.
        trailing: Bytes after the end of the file's own structure, which are not read.
        header_damaged: The checksum of a description (title, index) is wrong.
    """

    missing: int = 0
    total: int = 0
    broken: bool = False
    open: bool = False
    damaged: int | None = None
    header_damaged: bool = False
    trailing: int = 0

    def as_json(self) -> dict[str, int | bool | None]:
        """Plain values."""
        return asdict(self)


def examine_end(stream: BinaryIO) -> FileEnd:
    """Looks at the structure of a file and leaves the position at its beginning."""
    total = stream.seek(0, os.SEEK_END)
    try:
        stream.seek(0)
        head = stream.read(64)
        found = _by_kind(stream, head, total)
    except (struct.error, IndexError, OverflowError):
        found = FileEnd()
    finally:
        stream.seek(0)
    return replace(found, missing=max(0, found.missing), total=total)


def _by_kind(stream: BinaryIO, head: bytes, total: int) -> FileEnd:
    if head[:4] in (b"RIFF", b"RF64"):
        return _riff(stream, head, total)
    if head[:4] == b"riff":  # Wave64
        return FileEnd(missing=struct.unpack("<Q", head[16:24])[0] - total)
    if head[:4] == b"FORM":
        return FileEnd(missing=struct.unpack(">I", head[4:8])[0] + 8 - total)
    if head[:4] == b"caff":
        return _chunks(stream, total, start=8, head=">4sq", unknown=(-1,))
    if head[:4] == b"OggS":
        return _ogg(stream, total)
    if head[:4] == b"\x1aE\xdf\xa3":
        return _matroska(stream, total)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _boxes(stream, total)
    if head[:1] == b"G" and _is_transport_stream(stream):
        return FileEnd(broken=total % TS_PACKET != 0)
    if head[:4] == _PACK:
        return _program_stream(stream, total)
    start = _after_id3(head)
    stream.seek(start)
    first = stream.read(4)
    if len(first) == 4 and first[0] == 0xFF and first[1] & 0xE0 == 0xE0:
        return _adts(stream, start, total) if first[1] & 0xF6 == 0xF0 else _mp3(stream, start, total)
    return FileEnd()


def _riff(stream: BinaryIO, head: bytes, total: int) -> FileEnd:
    """The end of the last RIFF chunk (an AVI beyond 1 GB has several), or of a WAV's samples."""
    if head[8:12] == b"WAVE" and head[:4] == b"RIFF":
        return _wave(stream, total)
    if head[:4] == b"RF64":
        return FileEnd(missing=struct.unpack("<Q", head[20:28])[0] + 8 - total)
    end = 0
    while end + 8 <= total:
        stream.seek(end)
        name, size = struct.unpack("<4sI", stream.read(8))
        if name != b"RIFF" or size in (0, 0xFFFFFFFF):
            break
        end += 8 + size + size % 2
    # An unpaired last byte may be left out.
    return FileEnd(missing=end - total if end - total > 1 else 0)


def _wave(stream: BinaryIO, total: int) -> FileEnd:
    at = 12
    while at + 8 <= total:
        stream.seek(at)
        name, size = struct.unpack("<4sI", stream.read(8))
        if name == b"data":
            streamed = size in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000) or size > 0xFFFFFF00
            end = at + 8 + size + size % 2
            if not streamed and end + 12 < total:
                stream.seek(end)
                if stream.read(4) == b"RIFF":
                    return FileEnd(trailing=total - end)
            return FileEnd(missing=0 if streamed else at + 8 + size - total)
        at += 8 + size + size % 2
    return FileEnd()


def _chunks(stream: BinaryIO, total: int, *, start: int, head: str, unknown: tuple[int, ...]) -> FileEnd:
    length, at = struct.calcsize(head), start
    while at + length <= total:
        stream.seek(at)
        _, size = struct.unpack(head, stream.read(length))
        if size in unknown or size < 0:
            return FileEnd()
        at += length + size
    return FileEnd(missing=at - total)


def _ogg(stream: BinaryIO, total: int) -> FileEnd:
    """Walks all pages: FFmpeg's demuxer drops one whose checksum is wrong and says so only in its log."""
    at, ended = 0, False
    while at < total:
        stream.seek(at)
        head = stream.read(27)
        if head[:4] != b"OggS"[: len(head)]:
            return FileEnd(trailing=total - at) if ended else FileEnd(damaged=at)
        sizes = stream.read(head[26]) if len(head) == 27 else b""
        body = stream.read(sum(sizes))
        if len(head) < 27 or len(sizes) < head[26] or len(body) < sum(sizes):
            return FileEnd(broken=True)
        if _ogg_crc(head[:22] + bytes(4) + head[26:] + sizes + body) != struct.unpack("<I", head[22:26])[0]:
            return FileEnd(damaged=at)
        ended = bool(head[5] & 4)
        at += len(head) + len(sizes) + len(body)
    return FileEnd(open=not ended)


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_crc(page: bytes) -> int:
    """CRC-32 with zlib's polynomial, but with the bits of bytes and result the other way round and no inversion."""
    return int(f"{zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)


TS_PACKET = 188
"""Bytes of a packet of an MPEG transport stream; each begins with 'G'."""


def _is_transport_stream(stream: BinaryIO) -> bool:
    for packet in range(1, 4):
        stream.seek(packet * TS_PACKET)
        if stream.read(1) != b"G":
            return False
    return True


_PACK = b"\x00\x00\x01\xba"


def _program_stream(stream: BinaryIO, total: int) -> FileEnd:
    """Walks the packets of an MPEG program stream; only a last one that is incomplete can be detected."""
    at = 0
    while at + 4 <= total:
        stream.seek(at)
        head = stream.read(14)
        if head[:3] != _PACK[:3] or head[3] <= 0xB9:  # 0xB9 ends a stream
            return FileEnd()
        if head[3] == 0xBA:
            of_mpeg2 = len(head) > 4 and head[4] >> 6 == 1
            at += 14 + (head[13] & 7 if len(head) == 14 else 0) if of_mpeg2 else 12
        else:
            at += 6 + struct.unpack(">H", head[4:6])[0]
    return FileEnd(broken=at != total)


def _matroska(stream: BinaryIO, total: int) -> FileEnd:
    stream.seek(4)
    size, used = _ebml_number(stream.read(8))
    at = 4 + used + (size or 0)
    stream.seek(at)
    segment = stream.read(12)
    if segment[:4] != b"\x18S\x80g":
        return FileEnd()
    size, used = _ebml_number(segment[4:])
    start = at + 4 + used
    damaged, header_damaged = _matroska_checksums(stream, start, total)
    # A recording that was never finished states no size.
    missing = start + size - total if size is not None else 0
    return FileEnd(missing=missing, damaged=damaged, header_damaged=header_damaged)


_CLUSTER = b"\x1fC\xb6u"
_CRC32 = b"\xbf\x84"
_PIECE = 1 << 20


def _matroska_checksums(stream: BinaryIO, start: int, total: int) -> tuple[int | None, bool]:
    """The first cluster whose CRC-32 is wrong, and whether that of another part is; demuxers do not look at them."""
    at, header_damaged = start, False
    while at + 12 <= total:
        stream.seek(at)
        head = stream.read(12)
        id_length = 9 - head[0].bit_length()
        if not 1 <= id_length <= 4:
            return None, header_damaged
        size, used = _ebml_number(head[id_length:])
        body = at + id_length + used
        if size is None or body + size > total:
            return None, header_damaged
        stream.seek(body)
        checksum = stream.read(6)
        if size > 6 and checksum[:2] == _CRC32 and _crc32(stream, size - 6) != struct.unpack("<I", checksum[2:])[0]:
            if head[:id_length] == _CLUSTER:
                return at, header_damaged
            header_damaged = True
        at = body + size
    return None, header_damaged


def _crc32(stream: BinaryIO, size: int) -> int:
    value = 0
    while size > 0 and (piece := stream.read(min(size, _PIECE))):
        value = zlib.crc32(piece, value)
        size -= len(piece)
    return value


def _ebml_number(data: bytes) -> tuple[int | None, int]:
    length = 9 - data[0].bit_length()
    if not 1 <= length <= 8:
        return None, 1
    value = int.from_bytes(data[:length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), length


def _boxes(stream: BinaryIO, total: int) -> FileEnd:
    at = 0
    seen: set[bytes] = set()
    while at + 8 <= total:
        stream.seek(at)
        size, name = struct.unpack(">I4s", stream.read(8))
        if {b"moov", b"mdat"} <= seen and (name not in _BOXES or name == b"ftyp"):
            # Another file, or what a camera appends; a file in fragments has only one 'ftyp' as well.
            return FileEnd(trailing=total - at)
        seen.add(name)
        if size == 1:
            size = struct.unpack(">Q", stream.read(8))[0]
        if size < 8:  # 0 means: to the end of the file
            return FileEnd()
        at += size
    return FileEnd(missing=at - total if at > total else 0)


_BOXES = frozenset(
    {
        *(b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"free", b"skip", b"wide", b"udta", b"uuid", b"meta"),
        *(b"sidx", b"ssix", b"styp", b"emsg", b"prft", b"pdin", b"pnot", b"PICT", b"sefd", b"mpvd"),
    }
)
"""Boxes that stand at the top of MP4 and QuickTime files."""


def _after_id3(head: bytes) -> int:
    if head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | (byte & 0x7F)
    return 10 + size + (10 if head[5] & 0x10 else 0)


_MP3_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MP3_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mp3_length(header: bytes) -> int:
    """Bytes of an MPEG layer III frame; 0 when it is not one."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bits, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer != 1 or bits in (0, 15) or rate == 3:
        return 0
    scale = 144 if version == 3 else 72
    return scale * 1000 * _MP3_KBITS[version == 3][bits] // _MP3_RATES[version][rate] + (header[2] >> 1 & 1)


def _mp3(stream: BinaryIO, start: int, total: int) -> FileEnd:
    """By the byte count of a Xing, Info or VBRI header; without one only an incomplete last frame can be detected."""
    stream.seek(start)
    frame = stream.read(256)
    side = (17 if frame[3] >> 6 == 3 else 32) if frame[1] >> 3 & 3 == 3 else (9 if frame[3] >> 6 == 3 else 17)
    tag = frame[4 + side : 4 + side + 16]
    if tag[:4] in (b"Xing", b"Info"):
        flags = struct.unpack(">I", tag[4:8])[0]
        at = 8 + 4 * (flags & 1)
        if flags & 2:
            declared = struct.unpack(">I", tag[at : at + 4])[0]
            return FileEnd(missing=start + declared - total if declared else 0)
    if frame[36:40] == b"VBRI":
        return FileEnd(missing=start + struct.unpack(">I", frame[46:50])[0] - total)
    return _frames(stream, start, total, _mp3_length)


def _adts(stream: BinaryIO, start: int, total: int) -> FileEnd:
    def length(header: bytes) -> int:
        same = header[0] == 0xFF and header[1] & 0xF6 == 0xF0
        return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5 if same else 0

    return _frames(stream, start, total, length)


def _frames(stream: BinaryIO, start: int, total: int, length_of: object) -> FileEnd:
    at = start
    assert callable(length_of)  # noqa: S101 - narrows the type
    while at + 8 <= total:
        stream.seek(at)
        header = stream.read(8)
        length = length_of(header) if header[0] == 0xFF else 0
        if length < 8:
            return FileEnd()  # tags at the end, or another kind of stream
        at += length
    return FileEnd(broken=at > total)
