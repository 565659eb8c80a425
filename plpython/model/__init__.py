"""What a model is: its architecture, encodings and tokenizer."""
