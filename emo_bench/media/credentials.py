"""Content credentials (C2PA) of generated videos: signed provenance inside the file, and its verification.

Nothing is sent anywhere: no time stamps, no lists of revoked certificates, no manifests from the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from emo_bench.media.certificate import EXTRA, CredentialsError, Signer, credentials_available
from emo_core.atomic import atomic_path
from emo_core.version import __version__

Source = Literal["generated", "composite"]
SOURCE_TYPES: Mapping[Source, str] = {
    "generated": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    "composite": "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
}
"""What C2PA and the EU's code of practice call video by a trained model, alone or composited into real images."""

FACTS_LABEL = "org.emo-bench.generation"
_QUIET: dict[str, dict[str, Any]] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
_UNKNOWN_SIGNER = "signingCredential.untrusted"
_MAX_TEXT = 500

State = Literal["trusted", "intact", "altered"]


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a file's content credentials say.

    Attributes:
        state: ``altered`` when the file or its credentials are not as they were signed; ``intact`` when they are, by a
            signer that nobody here vouches for; ``trusted`` when its root is known.
        problems: Why they are altered, in the words of C2PA.
        signer: Organisation and name in the signing certificate.
        generator: Program and version that made the file.
        source_type: IPTC's word for how it was made.
        actions: What was done, for example ``c2pa.created``.
        facts: What emo-bench added, such as weights and seed.
    """

    state: State
    problems: tuple[str, ...]
    signer: str
    generator: str
    source_type: str
    actions: tuple[str, ...]
    facts: Mapping[str, Any]


def add_credentials(
    source: Path, target: Path, *, signer: Signer, origin: Source, title: str, facts: Mapping[str, Any]
) -> Path:
    """Writes a video with content credentials; its frames and samples stay as they are.

    Args:
        source: An MP4.
        target: Where the signed one goes, atomically; may be ``source``.
        signer: The certificate and its key.
        origin: How the video came about.
        title: What the file is called in its credentials.
        facts: Plain values to add. Nothing about the portrait or the voice belongs here.

    Raises:
        CredentialsError: when the libraries are missing or refuse certificate or file.
        OSError: as the file system reports it.
    """
    c2pa = _library()
    agent = {"name": "emo-bench", "version": __version__}
    manifest = {
        "claim_generator_info": [agent],
        "title": title,
        "format": "video/mp4",
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "digitalSourceType": SOURCE_TYPES[origin],
                            "softwareAgent": agent,
                        }
                    ]
                },
            },
            {"label": FACTS_LABEL, "data": dict(facts)},
        ],
    }
    try:
        info = c2pa.C2paSignerInfo(
            alg=signer.algorithm.encode(),
            sign_cert=signer.chain.encode(),
            private_key=signer.key.encode(),
            ta_url=None,
        )
        with (
            atomic_path(target) as temporary,
            c2pa.Signer.from_info(info) as sealing,
            c2pa.Context(c2pa.Settings.from_dict(_QUIET)) as context,
            c2pa.Builder(manifest, context=context) as builder,
        ):
            builder.sign_file(source, temporary, sealing)
    except c2pa.C2paError as error:
        raise CredentialsError(
            f"{title} could not be signed",
            expected="an MP4, and a certificate for digital signatures that is not its own issuer",
            found=str(error)[:_MAX_TEXT],
        ) from None
    return target


def read_credentials(path: Path, *, trusted: Sequence[str] = ()) -> Credentials | None:
    """Reads and verifies the content credentials of any file that C2PA knows.

    Args:
        path: Video or image; may be untrusted.
        trusted: PEM of root certificates whose signers are known.

    Returns:
        What they say; None when the file has none.

    Raises:
        CredentialsError: when the libraries are missing, or the file's content does not match its extension.
    """
    c2pa = _library()
    if not path.is_file():
        raise CredentialsError(f"there is no file {path}", expected="a video")
    trust = {"trust": {"trust_anchors": "\n".join(trusted)}} if trusted else {}
    settings = {**_QUIET, **trust, "verify": {**_QUIET["verify"], "verify_trust": True}}
    try:
        with (
            c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
            c2pa.Reader(str(path), context=context) as reader,
        ):
            return _credentials(json.loads(reader.json()), str(reader.get_validation_state()))
    except c2pa.C2paError.ManifestNotFound:
        return None
    except (c2pa.C2paError, ValueError, KeyError) as error:
        raise CredentialsError(
            f"the content credentials of {path.name} cannot be read",
            expected="a complete file in a format that C2PA supports",
            found=f"{error}"[:_MAX_TEXT],
        ) from None


def _library() -> Any:
    if not credentials_available():
        raise CredentialsError("content credentials need two more libraries", expected="c2pa-python", fix=EXTRA)
    import c2pa

    return c2pa


def _credentials(store: Mapping[str, Any], state: str) -> Credentials:
    manifest = store["manifests"][store["active_manifest"]]
    found = {entry["label"].partition("__")[0]: entry["data"] for entry in manifest.get("assertions", [])}
    listed = found.get("c2pa.actions.v2") or found.get("c2pa.actions") or {}
    actions = [entry for entry in listed.get("actions", []) if isinstance(entry, dict)]
    problems = tuple(
        f"{entry.get('code', '')}: {entry.get('explanation', '')}"[:_MAX_TEXT]
        for entry in store.get("validation_status", [])
        if entry.get("code") != _UNKNOWN_SIGNER
    )
    signature = manifest.get("signature_info") or {}
    generators = manifest.get("claim_generator_info") or [{}]
    states: Mapping[str, State] = {"Trusted": "trusted", "Valid": "intact"}
    facts = found.get(FACTS_LABEL)
    return Credentials(
        state=states.get(state, "altered"),
        problems=problems,
        signer=", ".join(str(part) for part in (signature.get("issuer"), signature.get("common_name")) if part),
        generator=f"{generators[0].get('name', '')} {generators[0].get('version', '')}".strip(),
        source_type=next((str(entry["digitalSourceType"]) for entry in actions if "digitalSourceType" in entry), ""),
        actions=tuple(str(entry.get("action", "")) for entry in actions),
        facts=facts if isinstance(facts, dict) else {},
    )
