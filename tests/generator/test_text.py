"""The T5 encoder, on a tiny one written to disk: every piece and the end, alone as beside others, cut at a length."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionmill.generator.text import T5


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    folder = tmp_path_factory.mktemp("t5")
    words = ["<pad>", "</s>", "<unk>", "a", "person", "walks", "forward", "quickly"]
    pieces = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>")
    )
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    pieces.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=8, d_model=24, d_kv=6, d_ff=32, num_layers=2, num_heads=4, pad_token_id=0
    )
    T5EncoderModel(config).save_pretrained(folder)
    return folder


def test_t5_states(tiny: Path) -> None:
    encoder = T5(tiny)
    assert encoder.width == 24
    texts = ["a person walks", "a person walks forward quickly", ""]
    together = encoder.encode(texts)
    assert [len(states) for states in together] == [4, 6, 1]
    for text, states in zip(texts, together, strict=True):
        assert torch.allclose(encoder.encode([text])[0], states, atol=1e-5)
    assert len(T5(tiny, max_states=3).encode(texts)[1]) == 3


def test_a_missing_t5_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="text encoder"):
        T5(tmp_path / "nothing")
