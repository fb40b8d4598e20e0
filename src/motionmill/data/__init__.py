"""Clips -> captioned, leak-free training shards."""
