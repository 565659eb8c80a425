"""The thin client: a model file to COPY, and back."""
