import resource
import sys

import pytest
import torch

from countenance.allocator import keep_freed_memory


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
