"""Text -> tokens: the LLaMA-style autoregressive generator."""
