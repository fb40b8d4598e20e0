"""Motion <-> files: one file a format, chosen by suffix in files.py."""
