"""Strangers who ask a served register by evidence, and registers that lie about what they recognise."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from register_world import ID, OTHER, copy_with, evidence_of
from test_hostile_register import Served, body, liar

from countenance.provenance.identity import SigningIdentity
from countenance.provenance.register import Register, Registered, read_recognition, write_answer
from countenance.provenance.register_server import RECOGNITION_COSTS, RegisterServer
from countenance.provenance.trace import Trace, register_at, traced
from countenance.provenance.watermark_recognise import EVIDENCE_BYTES, READINGS, heights

FAINT = evidence_of(bytes.fromhex(ID), 0.9, 4)


def path_of(*evidence: bytes) -> str:
    return f"/v1/recognise/{base64.urlsafe_b64encode(b''.join(evidence)).decode()}"


@pytest.fixture
def ask(footage: Path, identity: SigningIdentity) -> Callable[..., Trace]:
    def run(where: str, evidence: bytes = FAINT, trusted_pem: str = identity.authority_pem) -> Trace:
        result = traced(
            replace(copy_with(footage, None), unread=(evidence,), hinted=True), register_at(where), trusted_pem
        )
        assert result.trace is not None
        return result.trace

    return run


class TestStrangers:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1/recognise", "/v1/recognise/", "/v1/recognise/AAAA", "/v1/recognise/====", "/v1/recognise/A",
            path_of(FAINT[:-1]), path_of(FAINT, FAINT[:1]), path_of(*[FAINT] * (READINGS + 1)), path_of(FAINT) + "?x=1",
            path_of(FAINT) + "/", path_of(FAINT)[:-1] + "+", path_of(FAINT).replace("v1", "v2"),
            "/v1/recognise/" + "A" * 5000, "/v1/recognise/../watermarks", path_of(bytes(EVIDENCE_BYTES)),
            path_of(b"\x80" * EVIDENCE_BYTES), path_of(b"\x7f" * EVIDENCE_BYTES),
        ],
    )  # fmt: skip
    def test_nothing_but_evidence_that_fits(self, filled: Path, path: str) -> None:
        with RegisterServer(Register(filled)) as server:
            code, answer = Served(server).get(path)
        assert code in (400, 404)
        assert answer.endswith(b"\r\n\r\n")

    def test_a_register_cannot_be_read_out_by_guessing(self, filled: Path) -> None:
        """Evidence of random words, and evidence on few bits, which one word in two to their number fits."""
        drawn = np.random.default_rng(2)
        with RegisterServer(Register(filled), requests_a_minute=100_000) as server:
            served = Served(server)
            for _ in range(20):
                guesses = [evidence_of(drawn.bytes(5), 3.0, 0) for _ in range(READINGS)]
                few = np.zeros((READINGS, EVIDENCE_BYTES), np.int8)
                few[:, :24] = drawn.choice([-127, 127], (READINGS, 24))
                assert served.get(path_of(*guesses))[0] == 404
                assert served.get(path_of(*(row.tobytes() for row in few)))[0] == 404

    def test_it_costs_as_much_as_ten_questions(self, filled: Path) -> None:
        with RegisterServer(Register(filled), requests_a_minute=2 * RECOGNITION_COSTS) as server:
            codes = [Served(server).get(path_of(FAINT))[0] for _ in range(4)]
        assert codes == [200, 200, 429, 429]

    def test_it_only_gives(self, filled: Path) -> None:
        before = Register(filled).path.read_bytes()
        with RegisterServer(Register(filled)) as server:
            assert Served(server).get(path_of(FAINT), "POST")[0] == 405
            code, answer = Served(server).get(path_of(FAINT), "HEAD")
        assert (code, answer.endswith(b"\r\n\r\n")) == (200, True)
        assert Register(filled).path.read_bytes() == before

    def test_a_damaged_register_is_no_news_to_strangers(self, tmp_path: Path) -> None:
        (tmp_path / "register.sqlite").write_bytes(b"no database" * 500)
        with RegisterServer(Register(tmp_path)) as server:
            assert Served(server).get(path_of(FAINT))[0] == 503

    @pytest.mark.parametrize("watermark", ["10203040", "102030405060", "no number"])
    def test_a_register_with_an_id_of_another_form_is_damaged(
        self, filled: Path, tmp_path: Path, ask: Callable[..., Trace], watermark: str
    ) -> None:
        shutil.copy(Register(filled).path, tmp_path)
        with closing(sqlite3.connect(tmp_path / "register.sqlite")) as connection, connection:
            connection.execute("INSERT INTO renders VALUES ('0', ?, 'video/mp4', x'00')", (watermark,))
        with RegisterServer(Register(tmp_path)) as server:
            assert Served(server).get(path_of(FAINT))[0] == 503
        finding = ask(str(tmp_path)).finding
        assert finding.state == "unreachable"
        assert "is damaged" in finding.sentence


class TestLies:
    def test_a_render_that_is_not_in_the_picture(self, ask: Callable[..., Trace], other: Registered) -> None:
        with liar(body(write_answer(OTHER, [other], 1))) as (address, asked):
            trace = ask(address)
        assert (trace.finding.state, trace.claim) == ("none_recognised", None)
        assert asked == [path_of(FAINT)]  # the evidence and nothing else

    def test_few_to_choose_from(self, ask: Callable[..., Trace], entry: Registered) -> None:
        """Of one it would be recognised; a register may have had a million, and say one."""
        evidence = next(
            made
            for seed in range(200)
            if 6.0 < heights([made := evidence_of(bytes.fromhex(ID), 0.66, seed)], [bytes.fromhex(ID)])[0, 0] < 6.7
        )
        with liar(body(write_answer(ID, [entry], 1))) as (address, _):
            assert ask(address, evidence).finding.state == "none_recognised"

    def test_another_render_s_manifest(self, ask: Callable[..., Trace], other: Registered) -> None:
        with liar(body(write_answer(ID, [replace(other, watermark=ID)], 5))) as (address, _):
            trace = ask(address)
        assert (trace.finding.state, trace.claim) == ("false", None)

    def test_an_edited_manifest(self, ask: Callable[..., Trace], entry: Registered) -> None:
        edited = replace(entry, manifest=entry.manifest.replace(b"double", b"zouble"))
        with liar(body(write_answer(ID, [edited], 5))) as (address, _):
            assert ask(address).finding.state == "false"

    def test_a_signer_whom_nobody_here_knows(self, ask: Callable[..., Trace], entry: Registered) -> None:
        with liar(body(write_answer(ID, [entry], 5))) as (address, _):
            trace = ask(address, trusted_pem="")
        assert (trace.finding.state, trace.trusted) == ("recognised", False)
        assert "whom this computer does not know" in trace.finding.sentence

    @pytest.mark.parametrize("compared", [None, 0, -1, True, "5", 1.5, [5], 2**40 + 1, 10**400])
    def test_answers_of_another_form(self, entry: Registered, compared: object) -> None:
        answer = json.loads(write_answer(ID, [entry])) | {"compared": compared}
        with pytest.raises(ValueError, match="not an answer"):
            read_recognition(json.dumps(answer).encode())

    @pytest.mark.parametrize("watermark", [None, 5, "", "1020304050 ", "../../etc/x", "102030405G"])
    def test_watermarks_of_another_form(self, entry: Registered, watermark: object) -> None:
        answer = json.loads(write_answer(ID, [entry], 5)) | {"watermark": watermark}
        with pytest.raises(ValueError):
            read_recognition(json.dumps(answer).encode())

    def test_no_renders(self) -> None:
        with pytest.raises(ValueError, match="not an answer"):
            read_recognition(write_answer(ID, [], 5))

    @pytest.mark.parametrize(
        ("answer", "state"),
        [
            (body(b"", 404), "none_recognised"),
            (body(b"", 500), "unreachable"),
            (body(b"", 429), "unreachable"),
            (body(b"<html>", 200), "false"),
            (body(b"", 302, Location="http://127.0.0.1:1/"), "unreachable"),
        ],
    )
    def test_answers_that_are_none(self, ask: Callable[..., Trace], answer: Callable, state: str) -> None:
        with liar(answer) as (address, _):
            finding = ask(address).finding
        assert finding.state == state
        assert path_of(FAINT)[-40:] not in finding.sentence  # over a thousand letters that tell nobody anything
        if state == "unreachable":
            assert f"cannot be reached at {address} (" in finding.sentence
