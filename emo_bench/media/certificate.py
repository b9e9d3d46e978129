"""Certificates that content credentials are signed with: the user's own, or one made on this machine.

A certificate of this machine shows that a file is as it was signed, not who signed it: nobody vouches for it. Its root
can be given to others, who then recognise files from here.
"""

from __future__ import annotations

import datetime
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo_core.atomic import write_text
from emo_core.errors import EmoBenchError

if TYPE_CHECKING:
    from cryptography import x509

CHAIN_FILE = "certificate.pem"
ROOT_FILE = "root.pem"
KEY_FILE = "key.pem"
MAX_PEM_BYTES = 1 << 20
VALID_FOR = datetime.timedelta(days=3650)
LOCAL_NAME = "emo-bench, made on this machine"
EXTRA = "pip install 'emo-bench[credentials]'"


class CredentialsError(EmoBenchError):
    """Content credentials cannot be written or read."""

    code = "credentials"


@dataclass(frozen=True, repr=False)
class Signer:
    """What signs; never printed, since it holds the key.

    Attributes:
        chain: PEM of the signing certificate and those above it, in this order.
        key: PEM of its private key.
        algorithm: As C2PA names it: ``es256``, ``es384``, ``es512``, ``ps256``, ``ed25519``.
    """

    chain: str
    key: str
    algorithm: str


def credentials_available() -> bool:
    """Whether the libraries of the extra ``credentials`` are installed."""
    from importlib.util import find_spec

    return find_spec("c2pa") is not None and find_spec("cryptography") is not None


def user_signer(chain: Path, key: Path) -> Signer:
    """The user's own certificate.

    Args:
        chain: PEM file: the certificate, then those above it.
        key: PEM file of its private key, without a password.

    Raises:
        CredentialsError: when a file is missing or not a PEM file, or the two do not belong together.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        certificates = x509.load_pem_x509_certificates(_pem(chain))
        private = serialization.load_pem_private_key(_pem(key), password=None)
    except (ValueError, TypeError) as error:
        raise CredentialsError(
            "the certificate or its key cannot be read", expected="PEM files, the key without a password",
            found=str(error)[:200],
        ) from None  # fmt: skip
    if not certificates:
        raise CredentialsError(f"{chain} holds no certificate", expected="PEM")
    if _public_bytes(certificates[0].public_key()) != _public_bytes(private.public_key()):
        raise CredentialsError(
            f"{key.name} is not the key of the first certificate in {chain.name}",
            expected="the signing certificate first, then those above it",
        )
    return Signer(_pem(chain).decode(), _pem(key).decode(), _algorithm(private))


def _pem(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_PEM_BYTES)
    except OSError as error:
        raise CredentialsError(f"cannot read {path}", expected="a PEM file", found=str(error)) from None
    return data


def _public_bytes(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    return encoded


def _algorithm(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        known = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
        if key.curve.name in known:
            return known[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise CredentialsError(
        "this kind of key cannot sign content credentials",
        expected="P-256, P-384 or P-521, RSA of 2048 bits or more, or Ed25519",
    )


def credentials_folder() -> Path:
    """The folder of this machine's certificate."""
    import platformdirs

    return Path(platformdirs.user_data_dir("emo-bench", appauthor=False)) / "credentials"


def local_root(folder: Path | None = None) -> str | None:
    """PEM of the root of this machine's certificate; None before the first use."""
    path = (folder or credentials_folder()) / ROOT_FILE
    return _pem(path).decode() if path.is_file() else None


def local_signer(folder: Path | None = None) -> Signer:
    """The certificate of this machine; created at the first use, and again when it has expired.

    The root's key is discarded as soon as it has signed the one certificate below it.

    Args:
        folder: Where it is kept; the user's data folder when absent.

    Raises:
        CredentialsError: when the files cannot be used or kept.
    """
    from filelock import FileLock

    place = folder or credentials_folder()
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Two first uses at once would leave one's key beside the other's chain.
        with FileLock(place / ".lock", timeout=60):
            return _local_signer(place)
    except OSError as error:
        raise CredentialsError(
            f"the certificate of this machine cannot be kept in {place}",
            expected="a folder that may be written to",
            found=str(error),
            fix="set XDG_DATA_HOME to one, give --certificate and --key, or (with animate) --no-credentials",
        ) from None


def _local_signer(place: Path) -> Signer:
    if (place / CHAIN_FILE).is_file() and (place / KEY_FILE).is_file():
        signer = user_signer(place / CHAIN_FILE, place / KEY_FILE)
        if _is_valid_now(signer):
            return signer
    root, chain, key = _made()
    _write_private(place / KEY_FILE, key)
    write_text(place / ROOT_FILE, root)
    write_text(place / CHAIN_FILE, chain)
    return user_signer(place / CHAIN_FILE, place / KEY_FILE)


def _is_valid_now(signer: Signer) -> bool:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    certificates = x509.load_pem_x509_certificates(signer.chain.encode())
    return all(one.not_valid_before_utc <= now < one.not_valid_after_utc for one in certificates)


def _write_private(path: Path, text: str) -> None:
    """Readable by its owner alone from the first moment."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _made() -> tuple[str, str, str]:
    """PEM of a new root, of the chain below and up to it, and of the signing key.

    C2PA wants a signing certificate that is not its own issuer, for digital signatures, with an extended use: here that
    of e-mail, as its certificate profile allows.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _signed("root of content credentials", "root of content credentials", root_key, root_key, authority=True)
    leaf = _signed(
        "content credentials", "root of content credentials", key, root_key,
        more=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])],
    )  # fmt: skip
    encoded = [one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in (root, leaf)]
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
    return encoded[0], encoded[1] + encoded[0], private


def _signed(
    subject: str, issuer: str, key: Any, issuer_key: Any, *, authority: bool = False, more: list[Any] | None = None
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority, key_cert_sign=authority, crl_sign=authority,
                content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )  # fmt: skip
    for extension in more or []:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, LOCAL_NAME), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )
