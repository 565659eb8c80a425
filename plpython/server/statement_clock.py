"""The moment of a call: two calls at the same moment see the same data.

A query over operators makes hundreds of calls in a statement, and each must use the model of its name as it is now,
with the caller's rights. A look-up in the tables takes 10 us; comparing moments takes 2 us. A moment is made of
counters of the server: the start of the statement and of the transaction, the transaction, the subtransaction, the
command (each write of the session begins a new one) and the current user. Commits of other sessions become visible with
the next statement.
"""

import ctypes

_server = ctypes.PyDLL(None)  # the server process; PyDLL keeps Python's lock during a call


def _counter(name, result, *arguments):
    function = getattr(_server, name)
    function.restype, function.argtypes = result, arguments
    return function


def _counters():
    return (
        _counter("GetCurrentStatementStartTimestamp", ctypes.c_int64),
        _counter("GetCurrentTransactionStartTimestamp", ctypes.c_int64),
        _counter("GetTopTransactionIdIfAny", ctypes.c_uint32),
        _counter("GetCurrentSubTransactionId", ctypes.c_uint32),
        _counter("GetUserId", ctypes.c_uint32),
        _counter("GetCurrentCommandId", ctypes.c_uint32, ctypes.c_bool),
    )


try:
    _statement, _transaction, _xid, _subtransaction, _user, _command = _counters()
except AttributeError:  # not inside a server: no two moments are equal
    now = object
else:

    def now():
        """The moment, a value to compare."""
        return _statement(), _transaction(), _xid(), _subtransaction(), _user(), _command(False)
