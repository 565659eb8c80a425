"""The private server's port: kept while nobody else takes it."""

import socket

from tools.cluster import free_port


def test_a_port_that_is_free_is_kept():
    port = free_port()
    assert free_port(port) == port


def test_a_port_that_somebody_listens_on_is_left_to_them():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert free_port(taken) not in (taken, 0)
