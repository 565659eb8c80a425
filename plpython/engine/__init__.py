"""The compiled transformer: passes of a decoder and an encoder over packed weights."""
