"""The transformer in numpy: the reference that other engines are compared with."""
