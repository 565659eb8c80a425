"""One module a kind of value: each gives (text as someone might type it, the right answer by tidy/RULES.md).

What they share is in forms (tables and their slots), numbers (how numbers are written and read) and noise (typing).
"""
