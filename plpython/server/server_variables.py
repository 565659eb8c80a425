"""State of the server process, read in place through ctypes: a question through SPI costs fifty times as much."""

import ctypes


def _variable(kind, name):
    """A global variable of the server. Outside a server it is a number that a test may set."""
    try:
        return kind.in_dll(ctypes.CDLL(None), name)
    except ValueError:
        return kind(0)


def _statement_lookup():
    """The server's look-up of a prepared statement: (name, whether to raise) -> its address, None without one."""
    try:
        find = ctypes.PyDLL(None).FetchPreparedStatement
    except AttributeError:  # not inside a server
        return lambda name, raises: 1
    find.restype, find.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_bool)
    return find


def _sender():
    """PqCommMethods->flush_if_writable: sends what is written for the client, as far as it need not wait."""
    try:
        methods = ctypes.c_void_p.in_dll(ctypes.PyDLL(None), "PqCommMethods").value
    except ValueError:  # not inside a server
        return lambda: 0
    return ctypes.PYFUNCTYPE(ctypes.c_int)((ctypes.c_void_p * 3).from_address(methods)[2])


find_statement = _statement_lookup()
send_written = _sender()
interrupt_pending = _variable(ctypes.c_int, "InterruptPending")
cancel_pending = _variable(ctypes.c_int, "QueryCancelPending")
die_pending = _variable(ctypes.c_int, "ProcDiePending")
catalog_changes = _variable(ctypes.c_uint64, "SharedInvalidMessageCounter")
