"""Whether a signer's certificate leads, over those that came along, to an authority that we hold ourselves.

The path (RFC 5280: names, signatures, validity, CA flag, path length, key usage, critical extensions) is checked by
cryptography's verifier; what it may be used for, by C2PA's list. For media the reference library does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.x509.verification import Policy

__all__ = ["leads_to_known_authority"]

_USES = frozenset(
    {
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # documents (RFC 9336)
        x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1"),  # C2PA claims
    }
)
_MOST_BETWEEN = 3
_UNREADABLE = (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def leads_to_known_authority(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], when: datetime
) -> bool:
    """Whether one of the anchors vouches for the first certificate of a chain, at a time.

    Args:
        chain: the signer's certificate, then any others that came along; none of these is believed by itself.
        anchors: authorities that are trusted.
        when: all certificates of the path must be valid then; aware.
    """
    if not anchors:
        return False
    anyone = ExtensionPolicy.permit_all()
    signer = anyone.require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_use)
    # The web's own rules ask for key usage, which authorities made by openssl req -x509 do not have.
    authority = (
        anyone.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _require_issuing)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_use_below)
    )
    verifier = (
        PolicyBuilder()
        .store(Store(list(anchors)))
        .time(when)
        .max_chain_depth(_MOST_BETWEEN)
        .extension_policies(ca_policy=authority, ee_policy=signer)
        .build_client_verifier()
    )
    try:
        verifier.verify(chain[0], list(chain[1:]))
    except VerificationError:
        return _issued_by_edwards(chain[0], anchors, when)
    except x509.UnsupportedGeneralNameType:  # the path holds; who the signer is also called cannot be read
        return False
    return True


def _issued_by_edwards(signer: x509.Certificate, anchors: Sequence[x509.Certificate], when: datetime) -> bool:
    """Directly under an authority with a key that the verifier, which follows the web's rules, does not take."""
    for anchor in anchors:
        if not isinstance(anchor.public_key(), ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            continue
        try:
            signer.verify_directly_issued_by(anchor)
            authority = anchor.extensions.get_extension_for_class(x509.BasicConstraints).value.ca and _may_issue(anchor)
            uses = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            understood = not any(_is_unknown_but_critical(one) for one in (*signer.extensions, *anchor.extensions))
        except (InvalidSignature, ValueError, TypeError, *_UNREADABLE):
            continue
        valid = all(one.not_valid_before_utc <= when <= one.not_valid_after_utc for one in (signer, anchor))
        if valid and authority and understood and not _USES.isdisjoint(uses):
            return True
    return False


def _may_issue(authority: x509.Certificate) -> bool:
    """Where it says nothing of what its key is for, as those made by ``openssl req -x509``, it may."""
    try:
        return authority.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _is_unknown_but_critical(extension: x509.Extension[x509.ExtensionType]) -> bool:
    return extension.critical and isinstance(extension.value, x509.UnrecognizedExtension)


def _require_use(_policy: Policy, _certificate: x509.Certificate, uses: x509.ExtendedKeyUsage) -> None:
    if _USES.isdisjoint(uses):
        raise ValueError("issued for something else")


def _require_use_below(_policy: Policy, _certificate: x509.Certificate, uses: x509.ExtendedKeyUsage | None) -> None:
    if uses is not None and (_USES | {ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}).isdisjoint(uses):
        raise ValueError("its certificates are for something else")


def _require_issuing(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("may not issue certificates")
