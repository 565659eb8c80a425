"""Atoms: bytes, tokens and weight codes as points and Hilbert keys."""
