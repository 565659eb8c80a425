"""One module a kind of value: each gives (text as someone might type it, the right answer by models/RULES.md)."""
