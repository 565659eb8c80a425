"""Access to the PostgreSQL server: plpy, queries, errors, interrupts, settings, arguments, background threads."""
