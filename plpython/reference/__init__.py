"""The transformer in numpy: the reference that every other engine is held against."""
