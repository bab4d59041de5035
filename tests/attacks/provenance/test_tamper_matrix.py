"""Every row of docs/reference/tamper-matrix.md, done to small files."""

from __future__ import annotations

from pathlib import Path

import pytest
from boxes import jpeg_segments, jumbf_boxes, mp4_boxes, mp4_store
from forge import png_chunks
from tamper_cases import CASES, Case
from tamper_page import PAGE, page
from tamper_world import World

from countenance.provenance.verify import verify_file


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer(case: Case, world: World, tmp_path: Path) -> None:
    count = 0
    for files in case.make(world):
        for path in tmp_path.iterdir():
            path.unlink()
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        result = verify_file(
            tmp_path / next(iter(files)),
            trusted_pem=world.identity.authority_pem,
            time_pem=world.clock.authority_pem,
            search_watermark=False,
        )
        told = {name: result.layers[name].state for name in case.states}
        assert (result.verdict, told) == (case.verdict, dict(case.states)), (count, result.codes, result.to_text())
        if result.verdict == "broken":
            assert result.claim is None  # nothing that it states is shown as a fact
            assert result.trust.state == "not_relied_on"
        count += 1
    assert count > 0


def test_the_files_have_the_parts_that_the_page_names(world: World) -> None:
    boxes = {path[-1] for path, _, _ in mp4_boxes(world.mp4)}
    assert boxes >= {"ftyp", "uuid", "moov", "mvhd", "trak", "tkhd", "mdia", "stbl", "stsd", "stco", "mdat"}
    assert {kind for kind, _, _ in png_chunks(world.png)} >= {"IHDR", "caBX", "IDAT", "IEND"}
    assert {kind for kind, _, _ in jpeg_segments(world.jpg)} >= {"SOI", "E0", "APP11", "DB", "C0", "C4", "SOS", "EOI"}
    labels = {label for label, _, _ in jumbf_boxes(mp4_store(world.mp4)[1])}
    assert labels >= {"c2pa.claim.v2", "c2pa.signature", "c2pa.actions.v2", "org.countenance.consent"}
    assert labels >= {"c2pa.soft-binding", "c2pa.training-mining", "cawg.training-mining", "c2pa.hash.bmff.v3"}


def test_the_page_is_of_this_list() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/attacks/provenance/tamper_page.py"
