"""One file out of a package's archive: every byte pinned, nothing installed, nothing of the package run."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from emo_bench.cli.main import main
from emo_bench.extract import weights
from emo_bench.extract.package_archives import PackageFile, obtain_archive, take_file
from emo_bench.extract.weights import WeightsFile, WeightsFinder, fetch, weights_table
from emo_core.errors import WeightsError

CHANNELS = (3, 64, 192, 384, 256, 256)
SIZES = (11, 5, 3, 3, 3)
MEMBER = "tiny-1.0/tiny/net.ckpt"


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _kernel(shape: tuple[int, ...]) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 251).astype(np.float32).reshape(shape)  # packs well


@cache
def _alexnet(drop: str = "") -> bytes:
    layers: dict[str, Any] = {
        f"Conv_{i}": {
            "kernel": _kernel((size, size, CHANNELS[i], CHANNELS[i + 1])),
            "bias": np.full(CHANNELS[i + 1], i, np.float32),
        }
        for i, size in enumerate(SIZES)
        if f"Conv_{i}" != drop
    }
    return pickle.dumps({"AlexNet_0": layers, "NetLinLayer_0": {"Conv_0": {"kernel": np.ones(1)}}}, protocol=4)


def _tar(members: dict[str, bytes | str]) -> bytes:
    """A gzipped tar; a text value makes a symbolic link to it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _source(packed: bytes, content: bytes, /, **other: Any) -> PackageFile:
    given = {
        "package": "tiny",
        "version": "1.0",
        "archive": "tiny-1.0.tar.gz",
        "sha256": _sha(packed),
        "bytes": len(packed),
        "member": MEMBER,
        "member_sha256": _sha(content),
        "member_bytes": len(content),
    }
    return PackageFile(**{**given, **other})


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mirror: Path) -> Callable[..., PackageFile]:
    """Registers ``net.safetensors``, which stands for ``net.pth``, and puts its archive into the mirror."""
    entries: dict[str, WeightsFile] = {}
    monkeypatch.setattr(weights, "weights_table", lambda: entries)
    monkeypatch.setenv("EMO_BENCH_WEIGHTS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def add(content: bytes, sha256: str, **other: Any) -> PackageFile:
        archive = _tar({"tiny-1.0/setup.py": b"raise SystemExit('ran')", MEMBER: content})
        (mirror / "tiny-1.0.tar.gz").write_bytes(archive)
        source = _source(archive, content, **{"conversion": "alexnet-flax", **other})
        entries["net.pth"] = WeightsFile(name="net.pth", licence="MIT", sha256="0" * 64)
        entries["net.safetensors"] = WeightsFile(
            name="net.safetensors",
            licence="MIT",
            sha256=sha256,
            package=source,
            stands_for="net.pth",
            family="reference",
        )
        return source

    return add


CONVERTED = "324d2d5383890c1df740df08d5a31eebf04bca5a6a4fb65e28ae4950eac7f2bf"


class TestFetchingFromAMirror:
    def test_the_tensors_arrive_under_their_official_names(self, registry, mirror: Path, tmp_path: Path) -> None:
        registry(_alexnet(), CONVERTED)
        path = fetch("net.safetensors", target=tmp_path / "w", mirror=mirror)
        tensors = load_file(path)
        kernel = _kernel((5, 5, 64, 192))
        assert sorted(tensors) == sorted(
            f"features.{i}.{part}" for i in (0, 3, 6, 8, 10) for part in ("weight", "bias")
        )
        np.testing.assert_array_equal(tensors["features.3.weight"][5, 7], kernel[:, :, 7, 5])
        np.testing.assert_array_equal(tensors["features.10.bias"], np.full(256, 4, np.float32))

    def test_it_is_read_in_the_place_of_the_file_it_stands_for(self, registry, mirror: Path, tmp_path: Path) -> None:
        registry(_alexnet(), CONVERTED)
        finder = WeightsFinder(folders=(tmp_path / "w",))
        with pytest.raises(WeightsError, match=r"net\.pth are missing") as caught:
            finder.require("net.pth")
        assert caught.value.fix.endswith("emo-bench weights fetch net.safetensors")
        path = fetch("net.safetensors", target=tmp_path / "w", mirror=mirror)
        assert finder.require("net.pth") == path
        assert finder.serving("net.pth").sha256 == CONVERTED
        (tmp_path / "w" / "net.pth").write_bytes(b"x")
        assert finder.serving("net.pth").name == "net.pth"

    def test_a_finished_archive_is_kept_and_used_again(self, registry, mirror: Path, tmp_path: Path) -> None:
        registry(_alexnet(), CONVERTED)
        path = fetch("net.safetensors", target=tmp_path / "w", mirror=mirror)
        path.unlink()
        (mirror / "tiny-1.0.tar.gz").unlink()
        assert fetch("net.safetensors", target=tmp_path / "w", mirror=mirror).is_file()

    def test_half_an_archive_in_the_folder_is_replaced(self, registry, mirror: Path, tmp_path: Path) -> None:
        registry(_alexnet(), CONVERTED)
        (tmp_path / "w" / "archives").mkdir(parents=True)
        whole = (mirror / "tiny-1.0.tar.gz").read_bytes()
        (tmp_path / "w" / "archives" / "tiny-1.0.tar.gz").write_bytes(whole[: len(whole) // 2])
        assert fetch("net.safetensors", target=tmp_path / "w", mirror=mirror).is_file()

    @pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b"x" + b[1:], lambda b: b"", lambda b: b + b"\0"])
    def test_other_bytes_than_the_pinned_ones(self, registry, mirror: Path, tmp_path: Path, change) -> None:
        source = registry(_alexnet(), CONVERTED)
        archive = mirror / "tiny-1.0.tar.gz"
        archive.write_bytes(change(archive.read_bytes()))
        with pytest.raises(WeightsError, match="does not have the pinned bytes") as caught:
            fetch("net.safetensors", target=tmp_path / "w", mirror=mirror)
        assert source.sha256 in caught.value.expected
        assert not list((tmp_path / "w").rglob("*.safetensors"))

    def test_an_archive_that_the_mirror_has_not(self, registry, mirror: Path, tmp_path: Path) -> None:
        registry(_alexnet(), CONVERTED)
        (mirror / "tiny-1.0.tar.gz").unlink()
        with pytest.raises(WeightsError, match=r"the mirror has no tiny-1\.0\.tar\.gz") as caught:
            fetch("net.safetensors", target=tmp_path / "w", mirror=mirror)
        assert "pip download --no-deps tiny==1.0" in caught.value.fix

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (_alexnet(drop="Conv_3"), "another network"),
            (pickle.dumps({"VGG16_0": {"Conv_0": {"kernel": np.zeros((3, 3, 3, 64), np.float32)}}}), "another network"),
            (b"no pickle", "is not read"),
        ],
    )
    def test_another_network_inside(self, registry, mirror: Path, tmp_path: Path, content: bytes, words: str) -> None:
        registry(content, CONVERTED)
        with pytest.raises(WeightsError, match=words):
            fetch("net.safetensors", target=tmp_path / "w", mirror=mirror)
        assert not (tmp_path / "w" / "net.safetensors").exists()

    def test_a_result_with_another_pin_is_not_kept(self, registry, mirror: Path, tmp_path: Path) -> None:
        registry(_alexnet(), "1" * 64)
        with pytest.raises(WeightsError, match="pinned bytes"):
            fetch("net.safetensors", target=tmp_path / "w", mirror=mirror)
        assert not (tmp_path / "w" / "net.safetensors").exists()

    def test_a_code_running_pickle(self, registry, mirror: Path, tmp_path: Path) -> None:
        mark = tmp_path / "ran"

        class Runs:
            def __reduce__(self) -> Any:
                return os.system, (f"touch {mark}",)

        registry(pickle.dumps({"AlexNet_0": Runs()}), CONVERTED)
        with pytest.raises(WeightsError, match="is not read"):
            fetch("net.safetensors", target=tmp_path / "w", mirror=mirror)
        assert not mark.exists()

    def test_the_command(self, registry, mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        registry(_alexnet(), CONVERTED)
        given = ["weights", "fetch", "--family", "reference", "--to", str(tmp_path / "w"), "--mirror", str(mirror)]
        assert main(given) == 0
        shown = capsys.readouterr()
        assert shown.out.strip() == str(tmp_path / "w" / "net.safetensors")
        assert "net.safetensors: mirror" in shown.err
        (mirror / "tiny-1.0.tar.gz").unlink()
        given[5] = str(tmp_path / "other")
        assert main(given) == 2
        assert "the mirror has no tiny-1.0.tar.gz" in capsys.readouterr().err


class TestTakingAFile:
    def take(self, tmp_path: Path, packed: bytes, content: bytes, /, **other: Any) -> bytes:
        source = _source(packed, content, **other)
        (tmp_path / source.archive).write_bytes(packed)
        take_file(tmp_path / source.archive, source, tmp_path / "out")
        return (tmp_path / "out").read_bytes()

    def test_from_both_kinds(self, tmp_path: Path) -> None:
        assert self.take(tmp_path, _tar({"a": b"", MEMBER: b"net"}), b"net") == b"net"
        assert self.take(tmp_path, _zip({MEMBER: b"net"}), b"net", archive="tiny-1.0-py3-none-any.whl") == b"net"

    @pytest.mark.parametrize("member", ["/etc/passwd", "../outside", "a/../../outside"])
    def test_paths_that_lead_out(self, tmp_path: Path, member: str) -> None:
        with pytest.raises(WeightsError, match="no path inside an archive"):
            self.take(tmp_path, _tar({member: b"net"}), b"net", member=member)

    def test_members_that_lead_out_are_never_unpacked(self, tmp_path: Path) -> None:
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        self.take(inner, _tar({"../../outside": b"x", "/tmp/emo-bench-outside": b"x", MEMBER: b"net"}), b"net")
        assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["out", "tiny-1.0.tar.gz"]
        assert not Path("/tmp/emo-bench-outside").exists()

    def test_a_link_in_the_files_place(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="link or a folder"):
            self.take(tmp_path, _tar({MEMBER: "/etc/passwd"}), b"net")

    @pytest.mark.parametrize("pack", [_tar, _zip])
    def test_a_bomb_is_cut_off_at_the_pinned_size(self, tmp_path: Path, pack: Callable[..., bytes]) -> None:
        name = "tiny-1.0.tar.gz" if pack is _tar else "tiny-1.0-py3-none-any.whl"
        with pytest.raises(WeightsError, match="more than the expected 3 bytes"):
            self.take(tmp_path, pack({MEMBER: b"\0" * 50_000_000}), b"net", archive=name)
        assert (tmp_path / "out").stat().st_size == 0

    @pytest.mark.parametrize("name", ["tiny-1.0.tar.gz", "tiny-1.0-py3-none-any.whl"])
    @pytest.mark.parametrize(
        "data",
        [b"", b"no archive", _tar({"a": b"x"}), _zip({"a": b"x"}), _tar({MEMBER: b"n"})[:60]],
        ids=["empty", "text", "other-tar", "other-zip", "cut-tar"],  # their bytes hold the time
    )
    def test_damaged_or_without_the_file(self, tmp_path: Path, name: str, data: bytes) -> None:
        with pytest.raises(WeightsError, match="does not give"):
            self.take(tmp_path, data or b"\0", b"net", archive=name)

    def test_other_bytes_of_the_same_size(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="does not have the pinned bytes"):
            self.take(tmp_path, _tar({MEMBER: b"ten"}), b"net")


class TestPip:
    """pip itself, shown a folder as its only index: nothing leaves the machine."""

    @pytest.fixture(autouse=True)
    def _only_that_folder(self, monkeypatch: pytest.MonkeyPatch, mirror: Path) -> None:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(mirror))

    def test_a_source_archive_arrives_and_its_setup_does_not_run(self, registry, tmp_path: Path) -> None:
        source = registry(_alexnet(), CONVERTED)
        path = obtain_archive(source, tmp_path / "archives", mirror=None, total_s=120.0)
        assert _sha(path.read_bytes()) == source.sha256
        assert [entry.name for entry in path.parent.iterdir() if entry.suffix != ".lock"] == [path.name]

    def test_a_withdrawn_package_and_one_with_other_bytes(self, registry, mirror: Path, tmp_path: Path) -> None:
        source = registry(_alexnet(), CONVERTED)
        archive = mirror / "tiny-1.0.tar.gz"
        archive.write_bytes(_tar({"tiny-1.0/setup.py": b""}))
        with pytest.raises(WeightsError, match="could not be fetched") as caught:
            obtain_archive(source, tmp_path / "archives", mirror=None, total_s=120.0)
        assert "DO NOT MATCH" in caught.value.found
        archive.unlink()
        with pytest.raises(WeightsError, match="could not be fetched") as caught:
            obtain_archive(source, tmp_path / "archives", mirror=None, total_s=120.0)
        assert "tiny==1.0" in caught.value.found
        assert "--mirror" in caught.value.fix

    def test_the_deadline(self, registry, tmp_path: Path) -> None:
        source = registry(_alexnet(), CONVERTED)
        with pytest.raises(WeightsError, match="took more than"):
            obtain_archive(source, tmp_path / "archives", mirror=None, total_s=0.01)
        assert not [path for path in (tmp_path / "archives").iterdir() if path.suffix != ".lock"]


def test_the_real_table_names_known_files_and_safe_members() -> None:
    table = weights_table()
    packaged = [entry for entry in table.values() if entry.package]
    assert len(packaged) >= 5
    for entry in packaged:
        assert entry.package is not None
        assert ".." not in entry.package.member
        assert entry.bytes, entry.name
        if entry.package.conversion is None:
            assert entry.package.member_sha256 == entry.sha256
    for entry in table.values():
        assert entry.stands_for is None or entry.stands_for in table, entry.name


@pytest.mark.parametrize("field", ["package", "version", "archive"])
def test_a_table_cannot_smuggle_options_into_the_command(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        _source(b"a", b"b", **{field: "--index-url=elsewhere"})
