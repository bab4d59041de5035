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
    "signature": {
        "valid": "The statement in the file was signed with the key of the certificate that is in it, and nobody has "
        "edited it since. Whose key that is, is another question.",
        "broken": "The statement in the file is not what was signed.",
        "unreadable": "There are credentials whose signature cannot be read.",
        "absent": "Nobody signed this file.",
    },
    "trust": {
        "trusted": "Signed by {signer}, under an authority that this computer trusts. The certificate names an "
        "installation, an organisation or a person, and does not say that what it signs is true; a self-made one bears "
        "the name that its maker gave.",
        "unknown_signer": "Signed by {signer}, whom this computer does not know. Anybody can make such a certificate; "
        "ask the publisher for theirs and compare.",
        "unfit": "Signed by {signer} with a certificate that was not issued for signing media. It proves nothing.",
        "outside_validity": "Signed by {signer} with a certificate that was not valid at the time that counts. So "
        "nobody vouches for it; the bytes are judged apart.",
        "absent": "Nobody signed this file.",
        "not_relied_on": "Who signed does not matter here, since the credentials do not hold.",
    },
    "time": {
        "stamped": "Signed not later than {stamped}, as a timestamp service says that this computer trusts. When the "
        "scene was filmed it does not say.",
        "stamped_unknown": "A timestamp says {stamped}, of a service that this computer does not know. So the time is "
        "the signer's word alone.",
        "stated": "Made at {made_at} by the signer's own clock. There is no timestamp that proves it; the certificate "
        "is valid until {ends}.",
        "untold": "There is no timestamp, and no time that we understand. The certificate is valid until {ends}.",
        "expired": "The certificate was valid until {ends}, and there is no timestamp. Whether it was signed before "
        "that day cannot be proven any more; that does not mean that it was signed after it.",
        "expired_stamp_unknown": "The certificate was valid until {ends}. A timestamp says {stamped}, of a service "
        "that this computer does not know; trust that service's authority, if you do, and verify again.",
        "not_yet_valid": "The certificate is valid from {begins} only: this computer's clock is slow, or the "
        "signature was made with a certificate that should not exist yet.",
        "stamped_outside": "A trusted timestamp says {stamped}, when the certificate was not valid (from {begins} to "
        "{ends}).",
        "outside": "The certificate was not valid at the time that counts.",
        "ahead": "By the signer's word it was made at {made_at}, which is still to come: one of the two clocks is "
        "wrong.",
        "contradicted": "By the signer's word it was made at {made_at}, but a trusted timestamp says {stamped}: the "
        "signer's clock was wrong.",
        "stamp_broken": "The timestamp in it does not belong to this signature. It may have been put in afterwards.",
        "absent": "Nobody signed this file, so no time is told.",
        "not_relied_on": _NOT_RELIED_ON,
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
    "parents": {
        "none": "What it was made from carried no credentials, like most footage. Where that comes from is not proven.",
        "intact": "The credentials of what it was made from are inside, and held when it was used.",
        "broken": "The credentials of what it was made from did not hold: that had been changed before it was used, or "
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
    "consent_then": {
        "named": "Made on {made_at} under consent record {record_id}, by the signer's word. Give the record to check "
        "it; without it nobody can tell whose face this is or what was agreed.",
        "in_force": "Made on {made_at} under the consent record at hand ({record_id}): the hash is the same, and it "
        "was in force then.",
        "perhaps_revoked": "Made on {made_at} under the consent record at hand ({record_id}), which was in force then, "
        "unless it was already revoked: the list that says so does not say when.",
        "revoked": "The consent record at hand ({record_id}) is the one that is named, but it was revoked by "
        "{revoked}, before this was made ({made_at}).",
        "not_in_force": "The consent record at hand ({record_id}) is the one that is named, but it was not in force on "
        "{made_at} (until {expires}).",
        "other_record": "The consent record at hand is not the one that the file names ({record_id}): the hashes "
        "differ.",
        "other_scope": "The file names the consent record at hand ({record_id}), but states another scope than the "
        "record has.",
        "absent": "No consent record is named: this is no render of Countenance, or a picture without a painted face.",
        "not_relied_on": _NOT_RELIED_ON,
    },
    "consent_now": {
        "unknown": "Whether the consent still stands does not show in a file. Give the record; its ledger or its "
        "status list tells of a revocation.",
        "in_force": "The record is in force until {expires}. A revocation since shows in its ledger or status list "
        "only.",
        "not_yet": "The record is not in force yet.",
        "expired": "The record was in force until {expires}. Nothing new may be made; whether this may still be shown "
        "is for the record's terms.",
        "revoked": "The record was revoked on {revoked}. Nothing new may be made with this face; ask whether this may "
        "still be shown.",
        "revoked_some_time": "The record was revoked, by {revoked} at the latest. Nothing new may be made with this "
        "face; ask whether this may still be shown.",
        "other_record": "Not told by a record that the file does not name.",
        "absent": "No consent record is named.",
        "not_relied_on": _NOT_RELIED_ON,
    },
    "screens": {
        "claimed": "By the signer's word these screens ran and refused nothing: {screens}. A screen can miss what it "
        "looks for.",
        "none_claimed": "No screen is stated to have run.",
        "absent": "No screen is stated to have run.",
        "not_relied_on": _NOT_RELIED_ON,
    },
    "register": {
        "traced": "The register {where} knows this watermark ({payload}): {signer} signed a face replacement that "
        "carries it, made on {made_at} for the purpose “{purpose}” under consent record {record_id}. So this is most "
        "likely a copy of that. It proves nothing of the copy: its bytes are other ones, what was changed cannot be "
        "told, and who studies the watermark can put it into another picture.",
        "recognised": "The watermark is too weak to be read. Of the {count} that the register {where} knows, one "
        "stands out ({payload}), by {height} standard deviations: by chance that happens in one of ten million videos. "
        "{signer} signed a face replacement that carries it, made on {made_at} for the purpose “{purpose}” under "
        "consent record {record_id}. So this is most likely a strongly compressed copy of that. It proves nothing of "
        "the copy: its bytes are other ones, what was changed cannot be told, and who studies the watermark can put "
        "it into another picture.",
        "none_recognised": "No watermark could be read, and the register {where} recognises none in the picture (one "
        "that is served as plain files never does). Another register may know one.",
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
