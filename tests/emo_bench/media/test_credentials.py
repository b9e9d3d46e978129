"""Content credentials: written, read by the library's own reader, and every change of the file is told."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import record_factory

pytest.importorskip("c2pa")

from emo_bench.media.certificate import (
    CredentialsError,
    Signer,
    local_root,
    local_signer,
    user_signer,
)
from emo_bench.media.credentials import add_credentials, read_credentials

FACTS = {"seed": 3, "weights": "tiny"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificate")


@pytest.fixture(scope="module")
def signer(folder: Path) -> Signer:
    return local_signer(folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "plain.mp4"
    record_factory.tiny_video(path, hue=10)
    return path


@pytest.fixture(scope="module")
def signed(plain: Path, signer: Signer) -> Path:
    target = plain.with_name("signed.mp4")
    return add_credentials(plain, target, signer=signer, origin="generated", title="a clip", facts=FACTS)


def test_what_was_written_is_read(signed: Path, folder: Path) -> None:
    found = read_credentials(signed)
    assert found is not None
    assert (found.state, found.problems, found.facts) == ("intact", (), FACTS)
    assert found.generator.startswith("emo-bench ")
    assert found.source_type.endswith("/trainedAlgorithmicMedia")
    assert found.actions == ("c2pa.created",)
    assert "made on this machine" in found.signer
    known = read_credentials(signed, trusted=[local_root(folder) or ""])
    assert known is not None
    assert known.state == "trusted"


def test_the_library_itself_finds_the_file_valid(signed: Path) -> None:
    import c2pa

    with c2pa.Reader(str(signed)) as reader:
        assert reader.get_validation_state() == "Valid"
        assert reader.is_embedded()


def test_frames_and_sound_stay_as_they_were(plain: Path, signed: Path) -> None:
    import av

    def contents(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux() if packet.size]

    assert contents(plain) == contents(signed)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_changed_byte_of_the_media_is_told(signed: Path, tmp_path: Path, share: float) -> None:
    data = bytearray(signed.read_bytes())
    start = data.index(b"mdat") + 4
    data[start + int(share * (len(data) - start))] ^= 0xFF
    other = tmp_path / "other.mp4"
    other.write_bytes(data)
    found = read_credentials(other)
    assert found is not None
    assert found.state == "altered"
    assert any("mismatch" in problem for problem in found.problems)


def test_a_changed_statement_is_told(signed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    data = signed.read_bytes()
    assert b"trainedAlgorithmicMedia" in data
    other.write_bytes(data.replace(b"trainedAlgorithmicMedia", b"digitalCapture_________"))
    found = read_credentials(other)
    assert found is not None
    assert found.state == "altered"


def test_credentials_of_another_video_are_told(signed: Path, signer: Signer, tmp_path: Path) -> None:
    """The manifest of one file in another: its box moved over as it is."""
    second = tmp_path / "second.mp4"
    record_factory.tiny_video(second, hue=200)
    add_credentials(second, second, signer=signer, origin="generated", title="b", facts=FACTS)

    def box(data: bytes) -> tuple[int, int]:
        at = data.index(b"uuid") - 4
        return at, at + int.from_bytes(data[at : at + 4], "big")

    first_data, second_data = signed.read_bytes(), second.read_bytes()
    (a, b), (c, d) = box(first_data), box(second_data)
    (tmp_path / "mixed.mp4").write_bytes(second_data[:c] + first_data[a:b] + second_data[d:])
    found = read_credentials(tmp_path / "mixed.mp4")
    assert found is not None
    assert found.state == "altered"


def test_a_file_without_credentials_has_none(plain: Path) -> None:
    assert read_credentials(plain) is None


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 4096])
def test_what_is_no_video_is_a_clear_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    with pytest.raises(CredentialsError, match=r"x\.mp4"):
        read_credentials(path)


def test_a_cut_file_is_no_crash(signed: Path, tmp_path: Path) -> None:
    data = signed.read_bytes()
    for length in (40, 300, len(data) // 2, len(data) - 7):
        path = tmp_path / "cut.mp4"
        path.write_bytes(data[:length])
        try:
            found = read_credentials(path)
        except CredentialsError:
            continue
        assert found is None or found.state == "altered"


def test_the_certificate_is_made_once_and_its_key_is_private(folder: Path, signer: Signer) -> None:
    assert local_signer(folder) == signer
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    assert signer.key not in repr(signer)
    assert (folder / "root.pem").read_text() in signer.chain


def test_the_users_own_certificate_signs(folder: Path, plain: Path, tmp_path: Path) -> None:
    own = user_signer(folder / "certificate.pem", folder / "key.pem")
    target = add_credentials(plain, tmp_path / "a.mp4", signer=own, origin="composite", title="a", facts={})
    found = read_credentials(target)
    assert found is not None
    assert found.source_type.endswith("/compositeWithTrainedAlgorithmicMedia")


def test_a_key_of_another_certificate_is_refused(folder: Path, tmp_path: Path) -> None:
    local_signer(tmp_path)
    with pytest.raises(CredentialsError, match="not the key of the first certificate"):
        user_signer(folder / "certificate.pem", tmp_path / "key.pem")
    (tmp_path / "none.pem").write_text("none", encoding="utf-8")
    with pytest.raises(CredentialsError, match="cannot be read"):
        user_signer(tmp_path / "none.pem", tmp_path / "key.pem")


def test_a_certificate_that_is_its_own_issuer_is_refused_when_signing(
    folder: Path, plain: Path, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from emo_bench.media.certificate import _signed

    key = ec.generate_private_key(ec.SECP256R1())
    alone = _signed("me", "me", key, key)
    (tmp_path / "c.pem").write_bytes(alone.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "k.pem").write_bytes(private)
    own = user_signer(tmp_path / "c.pem", tmp_path / "k.pem")
    with pytest.raises(CredentialsError, match="my-video could not be signed"):
        add_credentials(plain, tmp_path / "a.mp4", signer=own, origin="generated", title="my-video", facts={})
    assert not (tmp_path / "a.mp4").exists()


def test_first_uses_at_once_share_one_certificate(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: local_signer(tmp_path / "shared"), range(4)))
    assert len({signer.chain for signer in made}) == 1
    assert local_signer(tmp_path / "shared") == made[0]


def test_a_home_that_cannot_be_written_says_what_else_can_be_done(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(CredentialsError, match="XDG_DATA_HOME") as caught:
        local_signer(tmp_path / "home" / "credentials")
    assert "--certificate" in str(caught.value.fix)
