"""Supported containers and their file extensions: one table for opening files and for finding them.

What is named here can be opened, and what can be opened is found by its name; nothing else is either.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Container:
    """One of FFmpeg's demuxers.

    Attributes:
        demuxer: FFmpeg's name.
        video: Endings of files that hold video, with or without audio.
        audio: Endings of files that hold audio alone.
    """

    demuxer: str
    video: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()


CONTAINERS = (
    Container("mov", (".mp4", ".mov", ".m4v", ".qt", ".3gp", ".3g2", ".f4v"), (".m4a", ".m4b")),
    Container("matroska", (".mkv", ".webm", ".mk3d"), (".mka", ".weba")),
    Container("avi", (".avi", ".divx")),
    Container("mpeg", (".mpg", ".mpeg", ".vob", ".m2p")),
    Container("mpegts", (".ts", ".m2ts", ".mts", ".m2t")),
    Container("flv", (".flv",)),
    Container("asf", (".wmv", ".asf"), (".wma",)),
    Container("ogg", (".ogv",), (".ogg", ".oga", ".opus", ".spx")),
    Container("mpegvideo", (".m1v", ".m2v")),
    Container("h264", (".h264", ".264")),
    Container("hevc", (".hevc", ".h265", ".265")),
    Container("ivf", (".ivf",)),
    Container("obu", (".obu",)),
    Container("wav", audio=(".wav", ".wave", ".rf64", ".bwf")),
    Container("w64", audio=(".w64",)),
    Container("aiff", audio=(".aif", ".aiff", ".aifc")),
    Container("caf", audio=(".caf",)),
    Container("au", audio=(".au", ".snd")),
    Container("flac", audio=(".flac",)),
    Container("mp3", audio=(".mp3", ".mp2", ".mpga")),
    Container("aac", audio=(".aac", ".adts")),
    Container("ac3", audio=(".ac3",)),
    Container("eac3", audio=(".eac3", ".ec3")),
    Container("amr", audio=(".amr",)),
)
DEMUXERS = tuple(container.demuxer for container in CONTAINERS)
VIDEO_EXTENSIONS = tuple(ending for container in CONTAINERS for ending in container.video)
AUDIO_EXTENSIONS = tuple(ending for container in CONTAINERS for ending in container.audio)
