"""What a model is: its architecture, its encodings, its tokenizer."""
