"""Captions: made, varied, mirrored, checked and compared, by grammar or by a language model."""
