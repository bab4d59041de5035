"""Attesting from the command line: an identity, a recording with its account, and what verification says of copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from attest_world import ACCOUNT, RESOURCES, repack

from countenance.digest import file_sha256


def test_the_commands(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from countenance.cli import run

    def told(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home"))
    (tmp_path / "account.md").write_text(ACCOUNT)
    clip = Path(shutil.copy(RESOURCES / "two_sounds.mp4", tmp_path / "square.mp4"))
    words = ("attest", clip, "--statement", tmp_path / "account.md", "--as", "Ida Holm")
    assert told(*words)[0::2] == (
        2,
        "countenance: There is no identity 'Ida Holm' on this computer. Make it with: countenance identity new "
        '"Ida Holm".\n',
    )
    assert told("identity", "new", "Ida Holm")[0] == 0
    assert [one["name"] for one in json.loads(told("identity", "list", "--json")[1])["identities"]] == ["Ida Holm"]
    code, out, _ = told(*words, "--json")
    done = json.loads(out)["attested"]
    assert (code, done["output"], done["sidecar"]) == (0, str(tmp_path / "square.attested.mp4"), None)
    assert done["text_sha256"] == file_sha256(tmp_path / "account.md")
    copy = repack(tmp_path / "square.attested.mp4", tmp_path / "copy.mkv")
    code, out, _ = told("verify", copy, "--original", done["output"], "--no-watermark")
    assert code == 1
    assert "only the container changed" in out
    assert told("verify", done["output"])[0] == 0
    assert told("attest", clip, "--statement", tmp_path / "gone.md", "--as", "Ida Holm")[0] == 2
    for nothing in (".", "/", tmp_path, tmp_path / "gone.mp4"):
        code, _, error = told("attest", nothing, "--statement", tmp_path / "account.md", "--as", "Ida Holm")
        assert (code, "There is no file" in error) == (2, True), error
