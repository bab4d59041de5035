"""Signed documents: general-JSON JWS (RFC 7515), Ed25519, with everything pinned that the standard leaves open.

``{"payload": …, "signatures": [{"protected": …, "signature": …}, …]}`` and nothing else. Each protected header has
exactly ``alg`` (``EdDSA``), ``typ`` (the kind of document, so that one kind cannot pass for another) and ``kid`` (the
key's thumbprint); hence no ``crit``, no ``jwk``, no ``b64`` and no unprotected header. The key ids of the signatures
must be exactly those that the document calls for, in that order: a library that verifies "every signature present" is
content when one of two was cut off, we are not; and a document whose signatures could change places would have two
hashes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from joserfc.jws import GeneralJSONSerialization, HeaderDict, JWSRegistry

from countenance.consent.keys import SigningKey
from countenance.consent.strict_json import canonical, loads
from countenance.errors import ConsentError

__all__ = ["ALGORITHM", "SIGNATURE_LIMIT", "add_signature", "open_document", "sign_document"]

ALGORITHM = "EdDSA"
"""The only signature algorithm; the curve is Ed25519 by the form of the key."""

SIGNATURE_LIMIT = 4
"""Most signatures that are looked at."""


class _OnlyEdDSA(JWSRegistry):
    """Knows one algorithm.

    joserfc warns at the name ``EdDSA``, since RFC 9864 prefers a name that says the curve as well. Here the key's
    form says it, and the older name is the one that every JOSE library verifies.
    """

    max_payload_length = 64 * 1024

    def get_alg(self, name: str) -> Any:
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[ALGORITHM]


def sign_document(payload: Mapping[str, Any], keys: Sequence[SigningKey], typ: str) -> bytes:
    """Sign a document with each of the keys.

    Args:
        payload: what is signed; its canonical JSON goes into the document.
        keys: the signers', in the order of the signatures.
        typ: the kind of document.

    Returns:
        The document in canonical JSON, so that ``sha256sum`` of the file is the document's hash.
    """
    return canonical(_signed(canonical(payload), keys, typ))


def add_signature(document: bytes, key: SigningKey, typ: str) -> bytes:
    """The document with one more signature over the same payload, after those that it has.

    Args:
        document: as :func:`open_document` gave it: verified, in canonical JSON.
        key: the signer's.
        typ: the kind of document.
    """
    value = loads(document, "The document")
    added = _signed(_decode(value["payload"]), [key], typ)
    return canonical({**value, "signatures": [*value["signatures"], *added["signatures"]]})


def open_document(
    data: bytes,
    typ: str,
    signers: Callable[[dict[str, Any]], Sequence[OKPKey]],
    what: str,
    *,
    unfinished: str | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Read a signed document and verify it.

    Args:
        data: the file's bytes; may be hostile.
        typ: the kind of document that it must be.
        signers: the keys that the payload calls for, each of which must have signed, in this order, and nobody else;
            raises ValueError when the payload does not say.
        what: the document's name in messages, for example ``"The consent record"``.
        unfinished: the message when the first of several have signed, and the others have not.

    Returns:
        The payload, and the document in canonical JSON (what its hash is taken of).

    Raises:
        ConsentError: anything is not as described above.
    """
    value = loads(data, what)
    try:
        signed_by = _key_ids(_headers(value), typ)
        payload = loads(_decode(value["payload"]), what)
        wanted = signers(payload)
        keys = {key.thumbprint(): key for key in wanted}
        if len(keys) != len(wanted):
            raise ValueError("the same key is to sign it twice")  # noqa: TRY301 - one place turns them into sentences
        if unfinished is not None and len(signed_by) < len(keys) and signed_by == list(keys)[: len(signed_by)]:
            raise ConsentError(unfinished)
        _require_signers(signed_by, list(keys))
        jws.deserialize_json(
            cast("GeneralJSONSerialization", value),
            lambda signer: keys[signer.headers()["kid"]],
            registry=_OnlyEdDSA(),
        )
    except BadSignatureError as error:
        raise ConsentError(
            f"{what} was changed after it was signed, or the signature is not its signer's. Ask for the original file."
        ) from error
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise ConsentError(f"{what} is not valid: {_reason(error)}. Ask the lender for a new one.") from error
    return payload, canonical(value)


def _signed(payload: bytes, keys: Sequence[SigningKey], typ: str) -> dict[str, Any]:
    by_id = {key.key_id: key.secret for key in keys}
    members: list[HeaderDict] = [{"protected": {"alg": ALGORITHM, "kid": key.key_id, "typ": typ}} for key in keys]
    value = jws.serialize_json(members, payload, lambda signer: by_id[signer.headers()["kid"]], registry=_OnlyEdDSA())
    return cast("dict[str, Any]", value)


def _headers(value: dict[str, Any]) -> list[dict[str, Any]]:
    if set(value) != {"payload", "signatures"} or not isinstance(value["payload"], str):
        raise ValueError("it must have exactly a payload and signatures")
    signatures = value["signatures"]
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= SIGNATURE_LIMIT:
        raise ValueError("it must have a list of signatures")
    headers = []
    for signature in signatures:
        if not isinstance(signature, dict) or set(signature) != {"protected", "signature"}:
            raise ValueError("a signature must have exactly a protected header and a value")
        if len(_decode(signature["signature"])) != 64:
            raise ValueError("a signature has not 64 bytes")
        headers.append(loads(_decode(signature["protected"]), "A header"))
    return headers


def _key_ids(headers: list[dict[str, Any]], typ: str) -> list[Any]:
    for header in headers:
        if header != {"alg": ALGORITHM, "kid": header.get("kid"), "typ": typ}:
            raise ValueError(f"its header must have exactly alg {ALGORITHM}, kid and typ {typ}")
    return [header["kid"] for header in headers]


def _require_signers(signed_by: list[Any], key_ids: list[str]) -> None:
    if signed_by == key_ids:
        return
    if signed_by == key_ids[::-1]:
        raise ValueError("its signatures have changed places")
    raise ValueError("it is not signed by exactly the people who must sign it")


def _decode(text: object) -> bytes:
    """Base64url in its one form: no padding, spaces or stray bits, so that one document has one hash."""
    if not isinstance(text, str):
        raise TypeError("a part of it is not base64url")
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("a part of it is not base64url") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:
        raise ValueError("a part of it is not base64url in its one form")
    return data


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
