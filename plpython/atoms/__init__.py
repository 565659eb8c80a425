"""Where atoms lie: bytes, tokens and weight codes as points and Hilbert keys."""
