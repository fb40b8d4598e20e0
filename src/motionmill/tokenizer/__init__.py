"""Features <-> tokens: the FSQ motion tokenizer."""
