"""The modules that SQL functions call. They call no others."""
