"""Documents that this installation signs: a ledger's export, a certificate of destruction.

General-JSON JWS (RFC 7515) with one signature by the signing identity's key and its certificates (``x5c``):
the same key and authority that sign renders, so whoever knows the authority can check both. Everything that the
standard leaves open is pinned, as in :mod:`countenance.consent.jws`; which algorithm, the kind of the certificate's key
says, never the header: ES256, ES384 or ES512 of a curve, EdDSA (RFC 8037) of Ed25519, PS256 of RSA.

Whether the signature holds and whether the signer is known are two answers, here as everywhere.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import GeneralJSONSerialization, JWSRegistry

from countenance.consent.clock import parse_time
from countenance.consent.strict_json import canonical, loads
from countenance.errors import ConsentError, IntegrityError, MarkError
from countenance.provenance.chain import leads_to_known_authority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countenance.provenance.identity import SigningIdentity

__all__ = ["DOCUMENT_LIMIT", "SignedDocument", "own_authority_pem", "read_document", "sign_document"]

DOCUMENT_LIMIT = 4 * 1024 * 1024
"""Largest document in bytes."""

_OF_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class _Only(JWSRegistry):
    max_payload_length = DOCUMENT_LIMIT
    max_header_length = 32 * 1024  # four certificates

    def __init__(self, algorithm: str) -> None:
        super().__init__()
        self._algorithm = algorithm

    def get_alg(self, name: str) -> Any:
        if name != self._algorithm:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


def _algorithm_of(certificate: x509.Certificate) -> tuple[str, type[ECKey | OKPKey | RSAKey]]:
    """How the key of a certificate signs; raises ValueError for one that does not."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _OF_CURVE:
        return _OF_CURVE[key.curve.name], ECKey
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA", OKPKey
    if isinstance(key, rsa.RSAPublicKey):
        return "PS256", RSAKey
    raise ValueError("its key is of another kind")


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A document whose signature holds.

    ``payload`` is what was signed; ``signer`` the certificate's name; ``trusted`` whether an authority that this
    computer knows vouches for that certificate, directly or over others, valid at the time that the document states.
    """

    payload: dict[str, Any]
    signer: str
    trusted: bool


def sign_document(payload: Mapping[str, Any], identity: SigningIdentity, typ: str) -> bytes:
    """Sign a document as this installation.

    Args:
        payload: what is signed; ``time`` must be in it, as :func:`countenance.consent.clock.format_time` writes it.
        identity: who signs.
        typ: the kind of document.

    Returns:
        One line of canonical JSON without a line break.

    Raises:
        MarkError: the document is too large, or the identity cannot sign.
    """
    parse_time(str(payload["time"]))
    try:
        certificates = x509.load_pem_x509_certificates(identity.chain_pem.encode("ascii"))
        algorithm, kind = _algorithm_of(certificates[0])
        chain = [base64.b64encode(one.public_bytes(Encoding.DER)).decode("ascii") for one in certificates]
        value = jws.serialize_json(
            [{"protected": {"alg": algorithm, "typ": typ, "x5c": chain}}],
            canonical(payload),
            kind.import_key(identity.key_pem),
            registry=_Only(algorithm),
        )
    except (JoseError, ValueError) as error:
        raise MarkError(f"The document cannot be signed ({error}). Make a new signing identity.") from error
    data = canonical(value)
    if len(data) > DOCUMENT_LIMIT:
        raise MarkError(f"The document is larger than {DOCUMENT_LIMIT // 1024**2} MiB, which nobody would read back.")
    return data


def own_authority_pem() -> str:
    """The certificate of this installation's own authority, "" where it has none (raises MarkError)."""
    from countenance.project import user_data_dir
    from countenance.provenance.identity import local_authority_pem

    return local_authority_pem(user_data_dir())


def read_document(data: bytes, typ: str, what: str, *, trusted_pem: str | None = None) -> SignedDocument:
    """Read a signed document and verify its signature.

    Args:
        data: the document's bytes, which may be hostile.
        typ: the kind of document that it must be.
        what: its name in messages.
        trusted_pem: certificates of the authorities to trust, PEM; None takes this installation's own.

    Raises:
        IntegrityError: it is not a document of this kind, or was changed after it was signed.
        MarkError: this installation's own authority is damaged.
    """
    anchors = own_authority_pem() if trusted_pem is None else trusted_pem
    try:
        value = loads(data, what, limit=DOCUMENT_LIMIT)
        header = _header(value, typ)
        chain = _chain(header)
        algorithm, kind = _algorithm_of(chain[0])
        if header["alg"] != algorithm:
            raise ValueError(f"its key signs by {algorithm}")  # noqa: TRY301 - one place makes the sentence
        public = chain[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signed = cast("GeneralJSONSerialization", value)
        verified = jws.deserialize_json(signed, kind.import_key(public), registry=_Only(algorithm))
        payload = loads(verified.payload, what, limit=DOCUMENT_LIMIT)
        trusted = _trusted(chain, anchors, payload)
    except BadSignatureError as error:
        raise IntegrityError(f"{what} was changed after it was signed. Ask for the original file.") from error
    except (ConsentError, JoseError, UnsupportedAlgorithm, ValueError, KeyError, TypeError) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise IntegrityError(f"{what} is not valid: {reason}. Ask for the original file.") from error
    return SignedDocument(payload, _name(chain[0]), trusted)


def _header(value: dict[str, Any], typ: str) -> dict[str, Any]:
    if set(value) != {"payload", "signatures"}:
        raise ValueError("it must have exactly a payload and signatures")
    signatures = value["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1 or set(signatures[0]) != {"protected", "signature"}:
        raise ValueError("it must have exactly one signature with a protected header")
    text = signatures[0]["protected"]
    header = loads(base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True), "A header")
    if set(header) != {"alg", "typ", "x5c"} or header["typ"] != typ:
        raise ValueError(f"its header must have exactly alg, typ {typ} and x5c")
    return header


def _chain(header: Mapping[str, Any]) -> list[x509.Certificate]:
    chain = header["x5c"]
    if not isinstance(chain, list) or not 1 <= len(chain) <= 4:
        raise ValueError("it has no certificates")
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(str(text), validate=True)) for text in chain]
    except binascii.Error as error:
        raise ValueError("its certificates cannot be read") from error


def _trusted(chain: list[x509.Certificate], anchors_pem: str, payload: Mapping[str, Any]) -> bool:
    """Vouched for by an authority that we hold ourselves (never one that only came along), when it was stated."""
    stated = parse_time(str(payload["time"]))
    anchors = x509.load_pem_x509_certificates(anchors_pem.encode("ascii")) if anchors_pem else []
    return leads_to_known_authority(chain, anchors, stated)


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    text = str(names[0].value) if names else "somebody unnamed"
    return "".join(letter if letter.isprintable() else " " for letter in text)[:80]
