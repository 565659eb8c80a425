"""What SQL functions call, and nothing else is called by SQL."""
