"""Layouts: one file for each way to pack a matrix, with its bytes and its arithmetic."""
