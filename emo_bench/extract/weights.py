"""The registry of weight files: pinned by SHA-256, looked up in folders, hashed at every load, fetched on request."""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import Field

from emo_bench.config.load import parse_yaml, validate
from emo_bench.config.schema import Frozen
from emo_bench.extract.download import Limits, receive_file, take_member
from emo_bench.extract.package_archives import PackageFile, obtain_archive, take_file
from emo_core.atomic import atomic_path
from emo_core.errors import WeightsError
from emo_core.hashing import sha256_file

LicencePolicy = Literal["any", "no-non-commercial"]
FetchFamily = Literal["reference", "open"]
FOLDERS_VARIABLE = "EMO_BENCH_WEIGHTS"
LONGEST_DOWNLOAD_S = 3600.0
LARGEST_FILE = 3 << 30
"""Bytes that are received at most where the registry knows no size."""


class WeightsFile(Frozen):
    """One pinned file.

    Attributes:
        name: File name; the key of the registry.
        sha256: Hex digest of its bytes; None when nobody has published one (such a file can never be loaded).
        bytes: Size, when known.
        licence: Licence of the weights themselves.
        non_commercial: Whether that licence forbids commercial use.
        urls: Where it can be had; ``archive.zip#folder/file`` is a member of a zip archive.
        package: The archive of the Python package registry that carries it; asked before the addresses.
        stands_for: File whose tensors these are, as far as metrics read them; read where that file is missing.
        family: Which set of files it is fetched with.
        own: Whether it is whatever file the user puts there: not pinned, but records and features carry its digest, so
            that numbers of different files never meet.
        made_from: File of the registry whose arrays it holds as JSON; that one is fetched, and this one made of it.
        installed: Where it lies within an installed package, ``package/folder/file``; read there, never fetched.
        used_by: What needs it.
        note: Anything a user should know, for example which file it must not be mixed up with.
    """

    name: str
    sha256: str | None = None
    bytes: int | None = None
    licence: str
    non_commercial: bool = False
    urls: tuple[str, ...] = ()
    package: PackageFile | None = None
    stands_for: str | None = None
    family: FetchFamily | None = None
    own: bool = False
    made_from: str | None = None
    installed: str | None = None
    used_by: str = ""
    note: str = ""

    def source(self) -> str:
        """Where it comes from, in words."""
        if self.own:
            return "your own"
        if self.package:
            return f"package {self.package.package} {self.package.version}"
        if self.installed:
            return f"installed package {self.installed.partition('/')[0]}"
        return "official URL" if self.urls or self.made_from else "by hand"


class _Table(Frozen):
    files: tuple[WeightsFile, ...] = Field(min_length=1)


@cache
def weights_table() -> dict[str, WeightsFile]:
    """All known files by name."""
    resource = files("emo_bench.extract") / "weights_table.yaml"
    with as_file(resource) as path:
        table = validate(_Table, parse_yaml(path.read_text(encoding="utf-8"), path=path))
    return {entry.name: entry for entry in table.files}


def cache_folder() -> Path:
    """Where fetched weights are kept: ``$XDG_CACHE_HOME/emo-bench/weights`` or the platform's equivalent."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("emo-bench", appauthor=False)) / "weights"


def _within_package(path: str) -> Path | None:
    """A file of an installed package, found without importing it."""
    package, _, rest = path.partition("/")
    spec = find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    return next((folder / rest for folder in folders if (folder / rest).is_file()), None)


@dataclass(frozen=True)
class WeightsFinder:
    """Finds weight files for one run.

    Attributes:
        folders: Searched in order; the environment's and the user's cache come after them.
        policy: Which licences are allowed.
    """

    folders: tuple[Path, ...] = ()
    policy: LicencePolicy = "any"

    def search_path(self) -> tuple[Path, ...]:
        """All folders that are searched."""
        extra = [Path(part) for part in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if part]
        return (*self.folders, *extra, cache_folder())

    def locate(self, name: str) -> Path | None:
        """The first file of that name, unchecked; None when there is none."""
        found = next((folder / name for folder in self.search_path() if (folder / name).is_file()), None)
        entry = weights_table().get(name)
        return _within_package(entry.installed) if found is None and entry and entry.installed else found

    def entry(self, name: str) -> WeightsFile:
        """The registry's entry.

        Raises:
            WeightsError: when the name is not in the registry.
        """
        table = weights_table()
        if name not in table:
            raise WeightsError(f"weights {name!r} are not in the registry", fix="emo-bench weights list")
        return table[name]

    def serving(self, name: str) -> WeightsFile:
        """The entry of the file that is read under this name: that file, or where it is missing one that stands for it.

        The entry of a file of the user's own has the digest of the file that is there.

        Raises:
            WeightsError: when the name is not in the registry.
        """
        entry = self.entry(name)
        if entry.own and (path := self.locate(name)):
            return entry.model_copy(update={"sha256": _digest(path), "bytes": path.stat().st_size})
        if self.locate(name) is None:
            others = (other for other in weights_table().values() if other.stands_for == name)
            return next((other for other in others if self.locate(other.name)), entry)
        return entry

    def require(self, name: str) -> Path:
        """The path of a file whose bytes were just found to be the pinned ones.

        Args:
            name: Of the file; one that stands for it is given where it is missing.

        Raises:
            WeightsError: when it is missing, has other bytes, has no published digest, or the policy forbids it.
        """
        entry = self.serving(name)
        name = entry.name
        if self.policy == "no-non-commercial" and entry.non_commercial:
            raise WeightsError(
                f"weights {name} are for non-commercial use only ({entry.licence})",
                expected="a licence that the policy 'no-non-commercial' allows",
                fix="choose another protocol, or set weights.licence_policy: any",
            )
        path = self.locate(name)
        if path is None:
            where = ", ".join(str(folder) for folder in self.search_path())
            others = [other.name for other in weights_table().values() if other.stands_for == name]
            ready = name if entry.urls or entry.package or entry.made_from else ""
            fetchable = next(iter(others), ready)
            raise WeightsError(
                f"weights {name} are missing",
                expected=f"{' or '.join([name, *others])} in one of: {where}",
                fix=f"put it there, or: emo-bench weights fetch {fetchable}" if fetchable else "put it there",
            )
        if entry.sha256 is None:
            raise WeightsError(f"weights {name} have no published SHA-256 and cannot be trusted", found=str(path))
        check_file(path, entry)
        return path


def check_file(path: Path, entry: WeightsFile) -> None:
    """Compares the bytes of a file with the registry.

    Raises:
        WeightsError: naming the file, the expected and the found digest; says so when it is an HTML page.
    """
    found = _digest(path)
    if found == entry.sha256:
        return
    with path.open("rb") as stream:
        start = stream.read(256).lstrip().lower()
    page = start.startswith((b"<!doctype", b"<html"))
    raise WeightsError(
        f"{path} is a web page, not weights" if page else f"{path} does not have the pinned bytes",
        expected=f"SHA-256 {entry.sha256}",
        found=f"SHA-256 {found}, {path.stat().st_size} bytes",
        fix="delete the file and get it again from a source you trust",
    )


def _digest(path: Path) -> str:
    return _cached_sha256(str(path), path.stat().st_size, path.stat().st_mtime_ns)


@cache
def _cached_sha256(path: str, size: int, modified_ns: int) -> str:
    # One process asks for the same file once per extractor; size and time notice a change in between.
    del size, modified_ns
    return sha256_file(Path(path))


def family_files(family: str) -> list[str]:
    """Names of the files that are fetched together, from packages first."""
    entries = [entry for entry in weights_table().values() if entry.family == family]
    return [entry.name for entry in sorted(entries, key=lambda entry: (entry.package is None, entry.name))]


def fetch(
    name: str,
    *,
    target: Path | None = None,
    mirror: Path | None = None,
    timeout_s: float = 60.0,
    total_s: float = LONGEST_DOWNLOAD_S,
) -> Path:
    """Downloads one file into the cache; only ever called at the user's request.

    Args:
        name: Registry name.
        target: Folder; the user's cache when absent.
        mirror: Folder of package archives and of files by their registry names; nothing is downloaded then.
        timeout_s: Without a byte, for each connection.
        total_s: For the whole of one download, however steadily it drips.

    Raises:
        WeightsError: when no mirror gives the pinned bytes; nothing is left behind then.
    """
    from http.client import HTTPException
    from zipfile import BadZipFile

    from filelock import FileLock

    entry = WeightsFinder().entry(name)
    if entry.own:
        raise WeightsError(
            f"weights {name} are your own and cannot be fetched",
            expected=f"a file of yours under this name in {target or cache_folder()} or another weights folder",
            fix="put it there",
        )
    if entry.installed and (there := _within_package(entry.installed)):
        check_file(there, entry)
        return there
    folder = target or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    problems: list[str] = []
    with FileLock(str(path) + ".lock", timeout=3600):
        if path.is_file():
            check_file(path, entry)
            return path
        if entry.sha256 is None:
            raise WeightsError(f"weights {name} have no published SHA-256; a download could not be checked")
        if entry.package:
            return _from_package(path, entry, entry.package, mirror=mirror, total_s=total_s)
        if entry.made_from and not (mirror and (mirror / name).is_file()):
            made_from = fetch(entry.made_from, target=target, mirror=mirror, timeout_s=timeout_s, total_s=total_s)
            return _from_arrays(path, entry, made_from)
        if mirror:
            return _from_mirror(path, entry, mirror)
        for url in entry.urls:
            try:
                _download(url, path, entry, limits=Limits(timeout_s, time.monotonic() + total_s))
                return path
            # Also what zip archives raise: RuntimeError when encrypted, NotImplementedError for odd compression.
            except (
                OSError,
                ValueError,
                HTTPException,
                BadZipFile,
                KeyError,
                RuntimeError,
                EOFError,
                zlib.error,
                WeightsError,
            ) as error:
                problems.append(f"{url}: {(str(error) or type(error).__name__).splitlines()[0]}")
    raise WeightsError(
        f"weights {name} could not be fetched",
        found="; ".join(problems) or "no address is known",
        fix=f"put the file into {folder} by hand",
    )


def _from_package(path: Path, entry: WeightsFile, source: PackageFile, *, mirror: Path | None, total_s: float) -> Path:
    archive = obtain_archive(source, path.parent / "archives", mirror=mirror, total_s=total_s)
    with atomic_path(path) as temporary, TemporaryDirectory(dir=path.parent, prefix=".archive-") as folder:
        taken = temporary if source.conversion is None else Path(folder) / Path(source.member).name
        take_file(archive, source, taken)
        if source.conversion:
            from emo_bench.extract.weight_conversion import convert

            convert(taken, temporary, source.conversion)
        check_file(temporary, entry)
    return path


def _from_arrays(path: Path, entry: WeightsFile, source: Path) -> Path:
    from emo_bench.extract.weight_conversion import arrays_as_json

    with atomic_path(path) as temporary:
        arrays_as_json(source, temporary)
        check_file(temporary, entry)
    return path


def _from_mirror(path: Path, entry: WeightsFile, mirror: Path) -> Path:
    if not (mirror / entry.name).is_file():
        raise WeightsError(
            f"the mirror has no {entry.name}",
            expected=f"that file in {mirror}; no package carries it",
            found="no such file",
            fix=f"put it there, or fetch it without --mirror from its home: {entry.urls[0]}" if entry.urls else "",
        )
    with atomic_path(path) as temporary:
        shutil.copyfile(mirror / entry.name, temporary)
        check_file(temporary, entry)
    return path


def _download(url: str, path: Path, entry: WeightsFile, *, limits: Limits) -> None:
    from urllib.parse import unquote, urldefrag

    address, member = urldefrag(url)
    with atomic_path(path) as temporary:
        if not member:
            receive_file(address, temporary, size=entry.bytes or LARGEST_FILE, limits=limits)
        else:
            with TemporaryDirectory(dir=path.parent, prefix=".archive-") as folder:
                archive = Path(folder) / "archive.zip"
                receive_file(address, archive, size=LARGEST_FILE, limits=limits)
                take_member(archive, unquote(member), temporary, size=entry.bytes or LARGEST_FILE)
        check_file(temporary, entry)


@dataclass(frozen=True)
class WeightsState:
    """What is known of one registry entry on this machine."""

    entry: WeightsFile
    path: Path | None
    state: Literal["ok", "missing", "wrong bytes", "unpinned"]


def states(finder: WeightsFinder, names: Iterable[str] | None = None, *, verify: bool) -> Sequence[WeightsState]:
    """The state of each file; hashes are computed only with ``verify``."""
    result = []
    for name in sorted(names if names is not None else weights_table()):
        entry, path = finder.entry(name), finder.locate(name)
        state: Literal["ok", "missing", "wrong bytes", "unpinned"] = "missing" if path is None else "ok"
        if path is not None and entry.own:
            entry = finder.serving(name)
        elif path is not None and entry.sha256 is None:
            state = "unpinned"
        elif path is not None and verify:
            try:
                check_file(path, entry)
            except WeightsError:
                state = "wrong bytes"
        result.append(WeightsState(entry, path, state))
    return result
