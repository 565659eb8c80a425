"""From logits to text: sampling, batches of sequences, reuse of prefixes, guesses."""
