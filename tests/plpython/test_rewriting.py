"""Tensors that are read while others drop and collect."""

import pytest

from plpython.server.errors import ModelError
from plpython.store import tensor_writer
from plpython.weights.tensors import Tensor


@pytest.mark.parametrize(
    "read", [lambda tensor: list(tensor_writer.row_pieces(tensor)), lambda t: tensor_writer.tile_values(t, 0)]
)
def test_a_tensor_that_is_removed_while_it_is_read_is_told(plpy, read):
    with pytest.raises(ModelError, match="was removed meanwhile") as error:
        read(Tensor("output.weight", bytes(32), "F32", (4, 8), 4, 128))
    assert error.value.sqlstate == "42704"
