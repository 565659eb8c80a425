"""The Python that runs inside PostgreSQL: plain modules, importable and tested without a server."""
