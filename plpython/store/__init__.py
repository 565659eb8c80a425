"""Models as rows: manifests, tensors that are written, tokens, embedding columns."""
