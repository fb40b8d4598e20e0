"""The text encoders, T5 on tiny ones written to disk: every piece and the end, alone as beside others, what is cut."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from motionmill.generator.engine import Engine
from motionmill.generator.model import Generator
from motionmill.generator.official import official_config
from motionmill.generator.text import T5, MiniLM, version_of


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


def write_t5(folder: Path, width: int) -> Path:
    """As the published T5 folders are: a model, and a tokenizer of sentence pieces in tokenizer.json."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    words = ["▁a", "▁person", "▁walk", "s", "▁for", "ward", "▁quickly", "▁", ",", "and"]
    scores = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), *((word, -2.0) for word in words)]
    pieces = Tokenizer(models.Unigram(scores, unk_id=2))
    pieces.normalizer = normalizers.Replace("  ", " ")
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces.decoder = decoders.Metaspace()
    pieces.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(scores), d_model=width, d_kv=6, d_ff=32, num_layers=2, num_heads=4
    )
    T5EncoderModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sentence_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_t5(tmp_path_factory.mktemp("t5-pieces"), 24)


def test_t5_keeps_150_states_and_says_what_is_lost(sentence_pieces: Path) -> None:
    encoder = T5(sentence_pieces)
    text = "a person walks forward"  # six pieces and the end
    assert len(encoder.encode([text])[0]) == 7
    assert encoder.cut(text) == ""
    long = " ".join([text] * 25)  # 150 pieces: only the end is lost, no word
    assert len(encoder.encode([long])[0]) == 150
    assert encoder.cut(long) == ""
    longer = long + " quickly, and a person walks"
    whole = T5(sentence_pieces, max_states=1000)
    states = encoder.encode([longer, text])
    assert [len(each) for each in states] == [150, 7]
    # What is cut off was read all the same, as by the official code, which cuts states and not words.
    assert torch.allclose(states[0], whole.encode([longer])[0][:150], atol=1e-5)
    assert encoder.cut(longer) == "quickly, and a person walks"
    assert encoder.cut("") == ""


def test_t5_is_the_model_of_its_folder(sentence_pieces: Path) -> None:
    from transformers import AutoTokenizer, T5EncoderModel

    text = "a person walks quickly"
    inputs = AutoTokenizer.from_pretrained(sentence_pieces)(text, return_tensors="pt")
    assert inputs["input_ids"][0, -1] == 1  # </s>
    with torch.no_grad():
        hidden = T5EncoderModel.from_pretrained(sentence_pieces)(**inputs).last_hidden_state[0]
    assert torch.allclose(T5(sentence_pieces).encode([text])[0], hidden, atol=1e-6)


def test_the_encoder_may_run_elsewhere_than_the_generator(sentence_pieces: Path) -> None:
    encoder = T5(sentence_pieces, device=torch.device("cpu"))
    with torch.device("meta"):  # stands for a GPU
        model = Generator(official_config(1, 2, 16, num_codes=20, text_width=24)).bfloat16()
    prefix = Engine(model)._prefix(encoder.encode(["a person walks", "a person"]))
    assert prefix.states.device.type == "meta"
    assert prefix.states.dtype == torch.bfloat16
    assert prefix.states.shape == (2, 5, 24)


def test_minilm_says_what_is_lost() -> None:
    encoder = MiniLM(max_pieces=10)
    text = "a person walks forward and then waves"
    assert encoder.cut(text) == ""
    assert encoder.cut(f"{text} goodbye") == ""
    assert encoder.cut(f"{text} goodbye to you, my friend") == "to you, my friend"
    cut, whole = encoder.encode([f"{text} goodbye to you, my friend", f"{text} goodbye"])
    assert torch.allclose(cut, whole, atol=1e-5)


def test_versions_of_encoders(sentence_pieces: Path, tmp_path: Path) -> None:
    assert version_of("google/flan-t5-xl") == "google/flan-t5-xl"
    folder = tmp_path / "copy"
    shutil.copytree(sentence_pieces, folder)
    before = version_of(folder)
    assert before == version_of(str(folder))
    (folder / "config.json").write_text("{}")
    assert version_of(folder) != before
