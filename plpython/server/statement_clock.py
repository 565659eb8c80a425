"""The moment of a call: equal for two calls between which nothing that a query sees can have changed by the session.

A generation in SQL makes hundreds of calls a statement, and each must mean the model of its name as it is now, with the
rights of who calls. Asking the tables costs 10 us a call, this 2 us: the server's own counters, read in place. They are
the start of the statement and of the transaction, the transaction and subtransaction, the command within it (each write
of the session begins another) and the current user. What other sessions commit is seen by the next statement.
"""

import ctypes

_server = ctypes.PyDLL(None)  # the process itself; its counters are read without letting go of the interpreter


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
except AttributeError:  # not inside a server: no two moments are known to be the same
    now = object
else:

    def now():
        """The moment, a value to compare."""
        return _statement(), _transaction(), _xid(), _subtransaction(), _user(), _command(False)
