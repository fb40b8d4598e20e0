"""LLaMA-style transformer: a text prefix and motion tokens -> logits of the next token.

Shapes: B batch, P prefix states (text, left-padded), N motion tokens, S = P + N positions, D width, H heads, V outputs
(codes and end). The prefix attends to itself in both directions, motion tokens attend to what is before them. Rotary
positions count real states only: text from 0, motion goes on where the text ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pad_sequence

from motionmill.generator.cache import KeyValueCache, NextSlots
from motionmill.generator.config import GeneratorConfig
from motionmill.generator.packing import Mixer, Pack, mixer
from motionmill.generator.rotary import rotary_table, rotate


class LayerView(Protocol):
    """Where one layer keeps its keys and values."""

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new ones, (B, H, n, C); returns those that attention looks at."""


@dataclass(frozen=True, eq=False)
class Prefix:
    """A batch of text conditions.

    Attributes:
        states: (B, P, text_width) text states, padded on the LEFT.
        mask: (B, P) True where a state is real.
        durations: (B,) asked length in tokens, 0 where none is asked.
    """

    states: Tensor
    mask: Tensor
    durations: Tensor


class Generator(nn.Module):
    """Text prefix and motion tokens -> logits."""

    entry_points = ("packed", "prefill", "step", "put", "predict_length", "length_of")

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.text_projection = nn.Linear(config.text_width, config.width)
        if config.duration_state:
            self.duration_embedding = nn.Embedding(config.max_tokens + 1, config.width)
        if config.length_head:
            self.length_hidden = nn.Linear(config.text_width, config.width)
            self.length_output = nn.Linear(config.width, config.max_tokens + 1)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary - 1, bias=False)

    def forward(self, prefix: Prefix, tokens: Tensor) -> Tensor:
        """Logits for training.

        Args:
            tokens: (B, N) input tokens, pad after the end.

        Returns:
            (B, N + 1, V): entry k predicts token k; entry 0 comes from the last prefix state.
        """
        hidden, mask = self.embed_prefix(prefix)
        length = hidden.shape[1]
        hidden = torch.cat((hidden, self.embedding(tokens)), dim=1)
        mask = F.pad(mask, (0, tokens.shape[1]), value=True)
        rotary = rotary_table(self.config, positions_of(mask))
        allowed = attention_mask(mask, length)
        for block in self.blocks:
            hidden = block(hidden, rotary, allowed)
        return self.head(self.norm(hidden[:, length - 1 :]))

    def packed(self, batch: Pack) -> Tensor:
        """(M, V) logits of the places of a pack that predict a token; the same as `forward` gives sample by sample."""
        hidden = self.embedding(batch.tokens)
        text = self.text_projection(batch.text.to(self.text_projection.weight.dtype))
        hidden = hidden.index_copy(0, batch.text_places, text.to(hidden.dtype))
        if self.config.duration_state:
            asked = batch.durations.clamp(max=self.config.max_tokens)
            duration = self.duration_embedding(asked).to(hidden.dtype)
            hidden = hidden.index_copy(0, batch.duration_places, duration)
        rotary = rotary_table(self.config, batch.positions.unsqueeze(0))
        mix = mixer(batch, training=self.training)
        hidden = hidden.unsqueeze(0)
        for block in self.blocks:
            hidden = block(hidden, rotary, mix)
        return self.head(self.norm(hidden[0, batch.predicting]))

    def prefill(
        self, prefix: Prefix, cache: KeyValueCache, history: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Run prefixes, and the tokens that a motion already has, into new rows of a cache.

        Args:
            history: B tensors (N_b,) of tokens, none by default.

        Returns:
            (B, V) logits of each row's next token.
        """
        hidden, mask = self.embed_prefix(prefix)
        length = hidden.shape[1]
        last = torch.full((len(hidden),), length - 1, device=hidden.device)
        if history is not None and any(len(tokens) for tokens in history):
            tokens = pad_sequence(list(history), batch_first=True, padding_value=self.config.pad)
            counts = torch.tensor([len(row) for row in history], device=hidden.device)
            hidden = torch.cat((hidden, self.embedding(tokens.to(hidden.device))), dim=1)
            known = torch.arange(tokens.shape[1], device=hidden.device) < counts[:, None]
            mask = torch.cat((mask, known), dim=1)
            last = last + counts
        rotary = rotary_table(self.config, positions_of(mask))
        allowed = attention_mask(mask, length)
        for block, view in zip(self.blocks, cache.join(mask), strict=True):
            hidden = block(hidden, rotary, allowed, view)
        hidden = hidden[torch.arange(len(last), device=last.device), last]
        return self.head(self.norm(hidden))

    def step(self, tokens: Tensor, cache: KeyValueCache) -> Tensor:
        """One more token a row of the cache: (n,) tokens -> (n, V) logits of the next."""
        logits = self.put(tokens, cache.next_slots())
        cache.advance()
        return logits

    def put(self, tokens: Tensor, slots: NextSlots) -> Tensor:
        """One more token into the given slots of a cache: (n,) tokens -> (n, V) logits of the next."""
        hidden = self.embedding(tokens).unsqueeze(1)
        for block, view in zip(self.blocks, slots.views, strict=True):
            hidden = block(hidden, slots.rotary, slots.visible, view)
        return self.head(self.norm(hidden[:, 0]))

    def predict_length(self, prefix: Prefix) -> Tensor:
        """(B, max_tokens + 1) logits of how many tokens a motion of this text has, from its first (mean) state."""
        first = prefix.mask.long().argmax(-1)
        return self.length_of(prefix.states[torch.arange(len(first), device=first.device), first])

    def length_of(self, means: Tensor) -> Tensor:
        """(B, text_width) mean text states -> (B, max_tokens + 1) logits of how many tokens a motion has."""
        return self.length_output(F.silu(self.length_hidden(means)))

    def embed_prefix(self, prefix: Prefix) -> tuple[Tensor, Tensor]:
        """(B, P', D) embedded prefix and its (B, P') mask; P' has one more state where durations are known."""
        hidden, mask = self.text_projection(prefix.states), prefix.mask
        if self.config.duration_state:
            duration = self.duration_embedding(prefix.durations.clamp(max=self.config.max_tokens))
            hidden = torch.cat((hidden, duration.unsqueeze(1)), dim=1)
            mask = F.pad(mask, (0, 1), value=True)
        return hidden, mask


class Block(nn.Module):
    """Attention and feed-forward, each with RMS norm before and a residual around."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width)
        self.feed_forward = FeedForward(config)
        self.dropout = config.dropout

    def forward(
        self,
        hidden: Tensor,
        rotary: Tensor,
        allowed: Tensor | Mixer | None,
        cache: LayerView | None = None,
    ) -> Tensor:
        update = self.attention(self.attention_norm(hidden), rotary, allowed, cache)
        hidden = hidden + F.dropout(update, self.dropout, self.training)
        update = self.feed_forward(self.feed_forward_norm(hidden))
        return hidden + F.dropout(update, self.dropout, self.training)


class Attention(nn.Module):
    """Multi-head self-attention with interleaved rotary positions."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.queries_keys_values = nn.Linear(config.width, 3 * config.width, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self,
        hidden: Tensor,
        rotary: Tensor,
        allowed: Tensor | Mixer | None,
        cache: LayerView | None,
    ) -> Tensor:
        """Mix values by what `allowed` says, a mask or the attention of a pack."""
        heads = self.queries_keys_values(hidden).unflatten(-1, (3, self.num_heads, -1))
        queries, keys = rotate(heads[:, :, :2], rotary).transpose(1, 3).unbind(2)
        values = heads[:, :, 2].transpose(1, 2)
        if cache is not None:
            keys, values = cache.append(keys, values)
        if not isinstance(allowed, Tensor | None):
            return self.output(allowed(queries, keys, values).transpose(1, 2).flatten(2))
        # At training's lengths the plain kernel is faster on a CPU than the fused one.
        plain = self.training and hidden.device.type == "cpu"
        with sdpa_kernel(SDPBackend.MATH) if plain else nullcontext():
            mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)
        return self.output(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden_width, bias=False)
        self.up = nn.Linear(config.width, config.hidden_width, bias=False)
        self.down = nn.Linear(config.hidden_width, config.width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(hidden)) * self.up(hidden))


class RMSNorm(nn.Module):
    """scale * x / rms(x), eps 1e-5, computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def reset_parameters(self) -> None:
        """As it is made: all ones."""
        nn.init.ones_(self.scale)

    def forward(self, hidden: Tensor) -> Tensor:
        same = hidden.dtype == self.scale.dtype  # under autocast it is not
        scaled = F.rms_norm(hidden if same else hidden.float(), self.scale.shape, self.scale, 1e-5)
        return scaled.to(hidden.dtype)


def positions_of(mask: Tensor) -> Tensor:
    """(B, S) mask of real states -> (B, S) their positions; padding gets 0."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def attention_mask(mask: Tensor, num_prefix: int) -> Tensor:
    """(B, S) mask of real states, the first `num_prefix` of them text -> (B, 1, S, S) True where i may see j.

    A padded state sees itself, so that no row is empty.
    """
    size = mask.shape[1]
    allowed = torch.ones(size, size, dtype=torch.bool, device=mask.device).tril()
    allowed[:num_prefix, :num_prefix] = True
    allowed = allowed & mask[:, None, :]
    return (allowed | torch.eye(size, dtype=torch.bool, device=mask.device)).unsqueeze(1)
