"""``countenance identity show``, ``use``, ``timestamp``, ``trust``: how this installation signs, whom it trusts."""

from __future__ import annotations

from pathlib import Path

import click

from countenance.commands.terminal import Command, answer, json_option

__all__ = ["COMMANDS"]


@click.command(cls=Command, short_help="Say who signs here, and whom this computer trusts.")
@json_option
def show(as_json: bool) -> None:
    """Say with which certificate this installation signs, until when it is valid, and which authorities it trusts.

    \b
    Example:
      countenance identity show
    """
    from cryptography import x509

    from countenance.project import user_data_dir
    from countenance.provenance.identity import SigningIdentity, local_authority_pem
    from countenance.provenance.installation import trusted_authorities

    data_dir = user_data_dir()
    identity = SigningIdentity.load_or_create(data_dir)
    signer = x509.load_pem_x509_certificate(identity.chain_pem.encode("ascii"))
    trusted, for_time = _names(local_authority_pem(data_dir)), _names(trusted_authorities(data_dir, time=True))
    facts = {
        "signer": signer.subject.rfc4514_string(),
        "valid_until": signer.not_valid_after_utc.date(),
        "algorithm": identity.algorithm,
        "timestamp_url": identity.timestamp_url,
        "trusted": trusted,
        "trusted_for_time": for_time,
    }
    lines = [
        f"Signs as {facts['signer']}, until {facts['valid_until']}.",
        f"Timestamps: {identity.timestamp_url or 'none, so a signature counts as long as its certificate is valid'}.",
        "Trusts:",
        *(f"  {name}" for name in trusted),
        *(f"  for timestamps: {name}" for name in for_time),
    ]
    answer({"identity": facts}, "\n".join(lines), as_json=as_json)


def _names(pem: str) -> list[str]:
    from cryptography import x509

    found = x509.load_pem_x509_certificates(pem.encode("ascii")) if pem else []
    return sorted({certificate.subject.rfc4514_string() for certificate in found})


@click.command(cls=Command, short_help="Sign with an organisation's certificate.")
@click.argument("certificate", required=False, type=click.Path(path_type=Path))
@click.argument("key", required=False, type=click.Path(path_type=Path))
@click.option("--authority", metavar="FILE", type=click.Path(path_type=Path), help="The authority's certificate.")
@click.option("--own", is_flag=True, help="Sign with this installation's self-made certificate again.")
@json_option
def use(certificate: Path | None, key: Path | None, authority: Path | None, own: bool, as_json: bool) -> None:
    """Sign with an organisation's CERTIFICATE and its private KEY (both PEM) from now on.

    The file of the certificate holds those that vouch for it, too, the authority last; otherwise give --authority. The
    certificate must be meant for signing (extended key usage emailProtection, or C2PA's own). A key with a passphrase
    is asked for it; it is kept without, readable by you only. A key in a hardware module is used from Python: see
    docs/concepts/marks.md.

    \b
    Examples:
      countenance identity use newsroom.pem newsroom.key
      countenance identity use --own
    """
    from countenance.project import user_data_dir
    from countenance.provenance.installation import forget_organisation, use_organisation

    if own == (certificate is not None) or (certificate is None) != (key is None):
        raise click.UsageError("Give a certificate and its key, or --own.")
    if certificate is None or key is None:
        there = forget_organisation(user_data_dir())
        said = "This installation signs with its own certificate again." if there else "It does so already."
        answer({"organisation": None}, said, as_json=as_json)
        return
    made = use_organisation(user_data_dir(), certificate, key, authority=authority, passphrase=_passphrase(key))
    names = _names(made.chain_pem.split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    answer(
        {"organisation": {"signer": names[0]}}, f"This installation signs as {names[0]} from now on.", as_json=as_json
    )


def _passphrase(key: Path) -> str | None:
    try:
        locked = b"ENCRYPTED" in key.read_bytes()[:4096]
    except OSError:
        return None  # told by the one who reads it
    return str(click.prompt("Passphrase of the key", hide_input=True, err=True)) if locked else None


@click.command(cls=Command, short_help="Ask a service for a timestamp of each file.")
@click.argument("address", required=False)
@click.option("--none", "none", is_flag=True, help="Ask for none any more.")
@json_option
def timestamp(address: str | None, none: bool, as_json: bool) -> None:
    """Ask the timestamp service (RFC 3161) at ADDRESS for a timestamp of every render from now on.

    With a timestamp a signature still counts when its certificate is over. The service learns a hash, the time and your
    network address; nothing of the picture. Patches, previews and contact sheets get none. Without an answer there is
    no output.

    \b
    Examples:
      countenance identity timestamp https://timestamp.example/rfc3161
      countenance identity timestamp --none
    """
    from countenance.project import user_data_dir
    from countenance.provenance.installation import set_timestamp_url

    if none == (address is not None):
        raise click.UsageError("Give an address, or --none.")
    set_timestamp_url(user_data_dir(), address)
    said = "No timestamps are asked for." if address is None else f"Each render gets a timestamp from {address}."
    answer({"timestamp_url": address}, said, as_json=as_json)


@click.command(cls=Command, short_help="Trust another authority.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--time", "time", is_flag=True, help="For timestamps, not for signers.")
@json_option
def trust(file: Path, time: bool, as_json: bool) -> None:
    """Trust the authorities in FILE (PEM) from now on: what their signers signed can hold.

    Get the file from its owner, by a way on which nobody can exchange it.

    \b
    Examples:
      countenance identity trust newsroom-authority.crt
      countenance identity trust --time timestamp-authority.pem
    """
    from countenance.project import user_data_dir
    from countenance.provenance.installation import trust_authorities

    count = trust_authorities(user_data_dir(), file, time=time)
    what = "timestamp services" if time else "signers"
    answer({"trusted": count}, f"{count} authorities are trusted for {what} from now on.", as_json=as_json)


COMMANDS = (show, use, timestamp, trust)
