"""plpy, PL/Python's module for the server: stored here by `connection.connect`, used in this wing only."""

plpy = None
