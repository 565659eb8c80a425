"""The state of a session: its models, engines, KV caches, kept prefixes and matrices."""
