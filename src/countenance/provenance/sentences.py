"""Every sentence that verification can say, in one place: by layer and state, with what it does not mean."""

from __future__ import annotations

from countenance.provenance.report import Finding

__all__ = ["SENTENCES", "finding"]

_NOT_RELIED_ON = "Not relied on, since the credentials do not hold."

SENTENCES: dict[str, dict[str, str]] = {
    "integrity": {
        "intact": "The file is byte for byte what was signed. This does not say that what it shows took place.",
        "broken": "The file is not what was signed ({reason}). Whether by damage or on purpose cannot be told.",
        "absent": "There are no Content Credentials in this file or beside it. This does not mean that it is genuine: "
        "credentials are lost by most conversions and easily removed.",
        "elsewhere": "The file says that its credentials lie on the network. They were not fetched, since that "
        "would tell somebody that you asked; so nothing is known of them.",
        "unreadable": "This is not a media file that can be read: damaged, cut off or something else under that name. "
        "This says nothing on what it shows.",
    },
    "trust": {
        "trusted": "Signed by {signer}, under an authority that this computer trusts. A self-made certificate names an "
        "installation, not a person, or bears the name that its maker gave.",
        "unknown_signer": "Signed by {signer}, whom this computer does not know. Anybody can make such a certificate; "
        "ask the publisher for theirs and compare.",
        "expired": "Signed by {signer} with a certificate that is not valid now and carries no timestamp. When it was "
        "signed cannot be proven; the bytes are judged apart.",
        "absent": "Nobody signed this file.",
        "not_relied_on": "Who signed does not matter here, since the credentials do not hold.",
    },
    "account": {
        "stands": "{signer} stands behind this recording with a written account, signed on {made_at} by their own "
        "clock. Neither has changed since, not by a frame. This does not say that the account is true: it is the "
        "signer's word.",
        "frames_same": "{signer} stands behind this recording with a written account, signed on {made_at}. The file is "
        "not the one that was signed, but what it shows is: only the container changed. {told} Times, names and other "
        "data around them were not compared.",
        "frames_changed": "An account was signed by {signer} on {made_at} for a recording that this one differs from. "
        "{told}",
        "other_recording": "The account at hand was signed by {signer} on {made_at} for other content: for another "
        "recording, or for this one before it was encoded anew. {told}",
        "not_compared": "An account was signed by {signer} on {made_at}, but this file is not the one that was "
        "signed, and its frames were not compared.",
        "not_decodable": "An account was signed by {signer} on {made_at}, but this file is not the one that was "
        "signed, and it cannot be decoded to compare the frames.",
    },
    "footage": {
        "none": "The footage carried no credentials of its own, like most footage. Where it comes from is not proven.",
        "intact": "The footage's own credentials are inside and held when it was used.",
        "broken": "The footage's own credentials did not hold: it had been changed before its face was replaced, or "
        "its credentials were changed since.",
        "withheld": "The signer states that the footage carried credentials that held, and left them out to protect "
        "the person in it. That is the signer's word.",
        "withheld_broken": "The signer states that the footage carried credentials that did not hold.",
        "absent": "No footage is named.",
        "not_relied_on": _NOT_RELIED_ON,
    },
    "label": {
        "claimed": "By the signer's word the picture says “{text}” in every frame. Look and see: this program has not.",
        "left_out": "By the signer's word there is no visible label, as the consent record allows.",
        "absent": "No visible label is stated.",
        "not_relied_on": _NOT_RELIED_ON,
    },
    "watermark": {
        "matches": "The picture carries the watermark that the credentials state ({payload}).",
        "differs": "The picture carries the watermark {payload}, but the credentials state {claimed}: they may have "
        "been made for another render.",
        "found": "The picture carries a Countenance watermark ({payload}) without credentials that state it: most "
        "likely a copy of a render whose credentials were lost. Who holds the ledger can look it up.",
        "traces": "Traces of a Countenance watermark were found, too weak to read its id: most likely a strongly "
        "compressed copy.",
        "missing": "The credentials state a watermark that was not found. Short, dark or plain scenes can be too "
        "little to find it in.",
        "absent": "No Countenance watermark was found. This does not mean that no face was replaced: it can be "
        "destroyed, and other programs put in none.",
        "not_searched": "The picture was not searched for a watermark.",
        "unreadable": "The picture cannot be decoded, so it was not searched for a watermark.",
    },
    "consent": {
        "named": "Made on {made_at} under consent record {record_id}, by the signer's word. Give the record to check "
        "it; without it nobody can tell whose face this is or what was agreed.",
        "matches": "Made on {made_at} under the consent record at hand ({record_id}): the hash is the same, it was in "
        "force then and is now, until {expires}. A revocation since does not show in the file.",
        "matches_expired_since": "Made on {made_at} under the consent record at hand ({record_id}), which was in force "
        "then and is not now (until {expires}). Whether it may still be shown is for the record's terms.",
        "matches_revoked_since": "Made on {made_at} under the consent record at hand ({record_id}): valid when made, "
        "revoked since (on {revoked}). Nothing new may be made with this face; ask whether this may still be shown.",
        "matches_revoked": "Made on {made_at} under the consent record at hand ({record_id}). By {revoked} that record "
        "was revoked, and the list that says so does not say when: most likely valid when made, revoked since.",
        "matches_revoked_then": "The consent record at hand ({record_id}) is the one that is named, but it was revoked "
        "by {revoked}, before this was made ({made_at}).",
        "matches_not_in_force_then": "The consent record at hand ({record_id}) is the one that is named, but it was "
        "not in force on {made_at} (until {expires}).",
        "other_record": "The consent record at hand is not the one that the file names ({record_id}): the hashes "
        "differ.",
        "absent": "No consent record is named.",
        "not_relied_on": _NOT_RELIED_ON,
    },
    "register": {
        "traced": "The register {where} knows this watermark ({payload}): {signer} signed a face replacement that "
        "carries it, made on {made_at} for the purpose “{purpose}” under consent record {record_id}. So this is most "
        "likely a copy of that. It proves nothing of the copy: its bytes are other ones, what was changed cannot be "
        "told, and who studies the watermark can put it into another picture.",
        "unknown": "The register {where} does not know this watermark ({payload}). Another register may.",
        "false": "The register {where} answers with credentials that do not hold or are not those of this watermark "
        "({reason}). They are not relied on; tell whoever keeps it.",
        "unreachable": "The register could not be asked: {reason}",
        "nothing_to_ask": "No watermark without its credentials was found, so there was nothing to ask the register "
        "{where} for.",
    },
}


def finding(layer: str, state: str, **facts: str) -> Finding:
    """The answer of one layer.

    Args:
        layer: a key of :data:`SENTENCES`.
        state: a key of that layer.
        facts: what the sentence has gaps for.
    """
    return Finding(state, SENTENCES[layer][state].format(**facts), facts)
