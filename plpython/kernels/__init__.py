"""The operators as compiled loops over packed weights, keys and values."""
