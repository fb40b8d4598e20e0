"""How good generated motion is."""
