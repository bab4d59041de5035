"""The Python API's verification; part of :mod:`countenance.api`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.api_consent import AnyPath
    from countenance.provenance.report import Verification

__all__ = ["verify"]


def verify(
    path: AnyPath,
    *,
    record: AnyPath | None = None,
    status_list: AnyPath | None = None,
    trust: Sequence[AnyPath] = (),
    trust_time: Sequence[AnyPath] = (),
    search_watermark: bool = True,
    original: AnyPath | None = None,
    register: str | Path | None = None,
) -> Verification:
    """Say what a file proves: integrity, trust, marks and consent, each apart.

    Args:
        path: any file; one without marks is a normal answer, not an error.
        record: the consent record's file, where it is at hand; the ledger of the project that it lies in, if any, is
            asked whether it was revoked.
        status_list: the file of a status list, which says so too.
        trust: PEM files of authorities to trust besides this installation's own, for this answer only.
        trust_time: PEM files of authorities of timestamp services, likewise.
        search_watermark: decode the picture and look for the watermark.
        original: an attested recording that this file may be a copy of: every frame is compared.
        register: a folder's register, or a served one's address, that is asked for a watermark without credentials, or
            which of its own stands out where none could be read; nothing else makes this function use the network.

    Raises:
        MediaError: there is no such file, or it cannot be opened.
        InputError: the original is not an attested recording, or there is no such register.
        ConsentError: the record is not valid.
        MarkError: this installation's own authority is damaged.
    """
    from countenance.project import user_data_dir
    from countenance.provenance.attestation import beside_original
    from countenance.provenance.identity import local_authority_pem, watermark_secret
    from countenance.provenance.installation import read_authorities, trusted_authorities
    from countenance.provenance.trace import register_at, traced
    from countenance.provenance.verify import verify_file

    asked = None if register is None else register_at(str(register))
    known = revoked = scope = None
    if record is not None:
        from countenance.consent.record import parse_record
        from countenance.consent.status import known_revocation
        from countenance.consent.strict_json import read_bounded
        from countenance.provenance.scope import scope_sha256

        known = parse_record(read_bounded(Path(record), "The consent record"))
        revoked = known_revocation(known, Path(record), None if status_list is None else Path(status_list))
        scope = scope_sha256(known)
    elif status_list is not None:
        raise InputError("A status list says something of a consent record only. Give that with --record.")
    own = user_data_dir()
    trusted_pem = local_authority_pem(own) + read_authorities(trust)
    time_pem = trusted_authorities(own, time=True) + read_authorities(trust_time)
    result = verify_file(
        Path(path),
        record=known,
        scope_sha256=scope,
        revoked=revoked,
        trusted_pem=trusted_pem,
        time_pem=time_pem,
        search_watermark=search_watermark,
        secret=watermark_secret(own),
    )
    if original is not None:
        whole = verify_file(Path(original), trusted_pem=trusted_pem, time_pem=time_pem, search_watermark=False)
        result = beside_original(result, whole)
    return result if asked is None else traced(result, asked, trusted_pem)
