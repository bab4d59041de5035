import resource
import sys
from pathlib import Path

import pytest
import torch

from countenance.allocator import give_back_freed_memory, keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc's allocator can be told")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    if not keep_freed_memory():
        pytest.skip("not glibc")

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            torch.zeros(3 * 2**20)  # 12 MiB: 3072 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert faults() < 3072


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc's allocator can be told")
def test_gaps_between_pieces_in_use_are_given_back() -> None:
    if not give_back_freed_memory():
        pytest.skip("not glibc")

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()

    pieces = [b"x" * (60_000 + number) for number in range(1000)]
    kept = pieces[::10]
    pieces.clear()
    before = resident()
    assert give_back_freed_memory()
    assert before - resident() > 30e6
    assert len(kept) == 100
