"""Clips -> those that show the same recording: shifted, cropped, mirrored, re-sampled."""
