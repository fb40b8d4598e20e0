"""Our BERT encoder gives what the library's gives, whatever the texts' lengths; files that are not one are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import BertModel

from motionmill.generator.bert import Bert
from motionmill.generator.text import minilm_folder


@torch.inference_mode()
def test_the_states_of_the_library() -> None:
    folder = minilm_folder()
    theirs = BertModel.from_pretrained(str(folder), add_pooling_layer=False).eval()
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, 20_000, (3, 14), generator=draw)
    mask = torch.ones(3, 14, dtype=torch.long)
    mask[1, 9:] = 0
    mask[2, 2:] = 0
    expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
    made = Bert(folder)(ids, mask)
    assert (made - expected)[mask.bool()].abs().max() < 1e-5


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        Bert(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="not the config of a BERT"):
        Bert(tmp_path)
    shutil.copy(minilm_folder() / "config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        Bert(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="damaged"):
        Bert(tmp_path)
