"""What a session knows: its models, engines, KV caches, prefixes, matrices."""
