"""HTTP and web studio."""
