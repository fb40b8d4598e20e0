"""Video -> motion."""
