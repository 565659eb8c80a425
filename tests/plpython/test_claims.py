"""Threads claim the groups of a matrix: each group once, in runs of even length."""

import numpy as np
import pytest

from plpython.engine.steps import LONGEST_RUN_BYTES, SHORTEST_RUN_BYTES, Groups, claim_groups
from plpython.kernels.dispatch import LAYOUT_BY_NAME
from plpython.simd.registers import compiled
from plpython.simd.threads import Crew, new_state
from tests.plpython.compiled import callable_from_python

COLUMNS = 896
Q8 = LAYOUT_BY_NAME["q8"]


@compiled
def _claims(threads, state, matrix, groups, tokens, begins, ends):
    crew, count = Crew(0, threads, state, (0, 0)), 0
    while True:
        begin, end = claim_groups(crew, 0, Groups(groups, matrix, tokens))
        if begin == groups:
            return count
        begins[count], ends[count] = begin, end
        count += 1


CLAIMS = callable_from_python(_claims)


@pytest.mark.parametrize("tokens", [1, 8, 256])
@pytest.mark.parametrize("groups", [1, 2, 7, 56, 9496])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_group_is_claimed_once_in_even_runs_of_bounded_size(threads, groups, tokens):
    matrix = np.array([Q8.number, 0, groups * 16, COLUMNS])
    begins, ends = np.zeros(groups + 1, np.int64), np.zeros(groups + 1, np.int64)
    count = CLAIMS(threads, new_state(1), matrix, groups, tokens, begins, ends)
    begins, ends = begins[:count], ends[:count]
    assert begins[0] == 0 and ends[-1] == groups
    np.testing.assert_array_equal(begins[1:], ends[:-1])
    lengths, width = ends - begins, Q8.group_bytes(COLUMNS)
    assert not (lengths[:-1] % 2).any()
    assert lengths.max() <= max(2, LONGEST_RUN_BYTES // (width * tokens))
    if threads > 1 and tokens == 1 and groups > 1000:
        assert lengths[-2] * width <= SHORTEST_RUN_BYTES + 2 * width < lengths[0] * width
