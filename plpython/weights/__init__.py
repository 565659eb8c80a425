"""A model's tensors as arrays and as packed files that all sessions share."""
