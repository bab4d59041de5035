"""Named identities: made, listed, found, and no way out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from countenance.errors import InputError
from countenance.provenance.identities import identity_named, list_identities, new_identity


class TestIdentities:
    def test_made_listed_and_found(self, tmp_path: Path) -> None:
        made = new_identity(tmp_path, "  Åsa   Berg & Söner ")
        assert (made.name, made.folder.name) == ("Åsa Berg & Söner", "åsa-berg-söner")
        assert identity_named(tmp_path, "åsa berg & söner") == made
        assert [one.name for one in list_identities(tmp_path)] == ["Åsa Berg & Söner"]
        assert made.folder.stat().st_mode & 0o077 == 0
        assert made.load().authority_pem == made.authority.read_text()

    @pytest.mark.parametrize("name", ["", "a\x1bb", "x" * 65, "é" * 33, "Countenance local signer"])
    def test_no_names(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError):
            new_identity(tmp_path, name)
        assert list_identities(tmp_path) == []

    def test_no_way_out_of_the_folder(self, tmp_path: Path) -> None:
        made = new_identity(tmp_path / "data", "../../Ida")
        assert made.folder == tmp_path / "data" / "identities" / "ida"

    def test_there_is_one_already_or_none(self, tmp_path: Path) -> None:
        new_identity(tmp_path, "Ida Holm")
        with pytest.raises(InputError, match="already"):
            new_identity(tmp_path, "ida holm")
        with pytest.raises(InputError, match=r"did you mean.*identity new"):
            identity_named(tmp_path, "Ida Hom")
