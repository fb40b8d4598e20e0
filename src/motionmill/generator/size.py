"""A generator's config -> parameters and operations, by closed formulas (no model is made)."""

from __future__ import annotations

from motionmill.generator.config import GeneratorConfig


def block_parameters(config: GeneratorConfig) -> int:
    """Of one block: attention, feed-forward, two norms."""
    return 4 * config.width**2 + 3 * config.width * config.hidden_width + 2 * config.width


def num_parameters(config: GeneratorConfig) -> int:
    """Of the whole model, embeddings included."""
    count = config.num_layers * block_parameters(config)
    count += (2 * config.vocabulary - 1) * config.width + config.width  # embedding, head, last norm
    count += (config.text_width + 1) * config.width
    if config.duration_state:
        count += (config.max_tokens + 1) * config.width
    if config.length_head:
        count += (config.text_width + 1) * config.width + (config.width + 1) * (
            config.max_tokens + 1
        )
    return count


def forward_operations(
    config: GeneratorConfig, states: float, predicted: float, *, attended: float
) -> float:
    """Floating-point operations of a forward pass.

    Args:
        states: positions that go through the blocks, text and motion.
        predicted: positions that go through the head.
        attended: pairs of positions that attention multiplies.
    """
    matrices = block_parameters(config) - 2 * config.width
    blocks = config.num_layers * (2.0 * matrices * states + 4.0 * config.width * attended)
    return blocks + 2.0 * config.width * (config.vocabulary - 1) * predicted
