"""What everything in the server needs: plpy, errors, settings, arguments, background threads."""
