"""Tests in a real browser; `pytest -m web`."""
