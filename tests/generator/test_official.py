"""Official checkpoints become a release that gives the official logits, tokens and motions; bad files are named."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from motionmill.generator import official
from motionmill.generator.config import (
    PRESETS,
    GeneratorConfig,
    SamplingConfig,
    official_config,
    preset,
)
from motionmill.generator.engine import Engine, Request
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.official import OFFICIAL_TOKENIZER, generator_name, import_official
from motionmill.generator.release import load_release
from motionmill.motion.features import to_joints, to_rotations
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.pipeline import TextToMotion
from motionmill.tokenizer.model import Tokenizer
from motionmill.training.weights import load_into, save_model
from tests.generator.test_text import write_t5

SMALL = OFFICIAL_TOKENIZER.model_copy(update={"width": 64, "code_width": 32})
OFFICIAL_TINY = official_config(2, 4, 128, num_codes=512, text_width=96)


def load(shared: Path, name: str) -> Any:
    return torch.load(shared / "fixtures" / name, weights_only=True)


@pytest.fixture(scope="module")
def tiny(shared: Path) -> Generator:
    state = load(shared, "ar_tiny_ckpt.pt")["trans"]
    model = Generator(OFFICIAL_TINY).eval()
    model.load_state_dict({generator_name(key): value for key, value in state.items()})
    return model


@pytest.fixture(scope="module")
def recorded(shared: Path) -> Any:
    return load(shared, "ar_tiny_io.pt")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_official_shapes(shared: Path, name: str) -> None:
    theirs = json.loads((shared / "fixtures" / "ar_preset_shapes.json").read_text())[name]
    with torch.device("meta"):
        model = Generator(preset(name))
    assert sum(parameter.numel() for parameter in model.parameters()) == theirs["n_params"]
    ours = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert ours == {generator_name(key): shape for key, shape in theirs["state_dict"].items()}


def test_the_official_tokenizer_has_the_official_size() -> None:
    with torch.device("meta"):
        model = Tokenizer(OFFICIAL_TOKENIZER)
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_349_782


def text_of(recorded: Any, row: int) -> Prefix:
    length = (9, 17, 4)[row]
    states = recorded["clip_feature"][row : row + 1, :length]
    return Prefix(states, torch.ones(1, length, dtype=torch.bool), torch.tensor([0]))


def test_logits_and_loss(tiny: Generator, recorded: Any) -> None:
    targets, all_logits = [], []
    for row, length in enumerate((9, 17, 4)):
        tokens = recorded["idx"][row : row + 1, length:]
        with torch.no_grad():
            logits = tiny(text_of(recorded, row), tokens)[0]
        theirs = recorded["logits"][row, length - 1 :]
        assert (logits - theirs).abs().max() < 2e-4
        all_logits.append(logits[:-1])
        targets.append(tokens[0])
    target = torch.cat(targets)
    loss = torch.nn.functional.cross_entropy(
        torch.cat(all_logits), target, ignore_index=OFFICIAL_TINY.pad
    )
    assert float(loss) == pytest.approx(float(recorded["ce_loss"]), abs=1e-4)


def greedy(model: Generator, prefix: Prefix) -> list[int]:
    sampling = SamplingConfig(temperature=0.0, guidance=1.0)
    request = Request(prefix.states[0], sampling, min_tokens=0, max_tokens=50)
    return [int(token) for token in Engine(model).submit(request)]


def test_greedy_sequences(tiny: Generator, recorded: Any) -> None:
    for row in range(3):
        assert (
            greedy(tiny, text_of(recorded, row))
            == recorded["greedy"][f"text{row}"].flatten().tolist()
        )


def test_early_ends(shared: Path, recorded: Any) -> None:
    state = load(shared, "ar_tiny_ckpt.pt")["trans"]
    for case in recorded["early_end_text1"]:
        model = Generator(OFFICIAL_TINY).eval()
        model.load_state_dict({generator_name(key): value for key, value in state.items()})
        with torch.no_grad():
            model.head.weight[OFFICIAL_TINY.end] = case["end_row"]
        expected = case["sequence"].flatten().tolist()
        # At an immediate end the official code gives the one code 1; we give no token.
        assert greedy(model, text_of(recorded, 1)) == ([] if expected == [1] else expected)


def test_the_sizes_of_the_released_models(shared: Path) -> None:
    """Head size 100 as in 3B, 64,000 codes, 2,048 numbers a text state, with recipe weights."""
    case = load(shared, "ar_hd100_officialvocab_io.pt")
    model = Generator(official_config(2, 2, 200)).eval()
    weights = recipe(shared).state_dict(case["shapes"], case["recipe_seed"])
    model.load_state_dict(
        {generator_name(key): torch.from_numpy(value) for key, value in weights.items()}
    )
    for row, length in enumerate((9, 17, 4)):
        tokens = case["idx"][row : row + 1, length:]
        with torch.no_grad():
            logits = model(text_of(case, row), tokens)[0]
        theirs = case["logits_cols"][row, length - 1 :]
        assert (logits[:, case["logit_cols"]] - theirs).abs().max() < 2e-4
        assert torch.equal(logits.argmax(-1), case["logits_argmax"][row, length - 1 :])
        expected = case["greedy"][f"text{row}"].flatten().tolist()
        assert greedy(model, text_of(case, row)) == expected


@pytest.fixture(scope="module")
def imported(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The end-to-end fixture, written as its authors store checkpoints, one of them inside an archive."""
    folder = tmp_path_factory.mktemp("official")
    case = load(shared, "e2e.pt")
    weights = recipe(shared).state_dict(case["ar_shapes"], case["ar_recipe_seed"])
    state = {f"module.{key}": torch.from_numpy(value).bfloat16() for key, value in weights.items()}
    state["module.llama_proj.bias"] = state["module.llama_proj.bias"].float()
    torch.save({"trans": state, "nb_iter": 7}, folder / "generator.pth")
    with zipfile.ZipFile(folder / "generator.zip", "w") as archive:
        archive.write(folder / "generator.pth", "some/folder/generator.pth")
    statistics(shared, folder)
    return import_official(
        shared / "fixtures" / "tokenizer_small_official_like_ckpt.pt",
        folder / "generator.zip",
        folder,
        folder / "release",
        heads=4,
        text_encoder=str(write_t5(folder / "t5", 48)),
        tokenizer_config=SMALL,
    )


def statistics(shared: Path, folder: Path) -> None:
    values = load(shared, "rep272.pt")
    np.save(folder / "mean.npy", values["mean"].numpy())
    np.save(folder / "std.npy", values["std"].numpy())


def recipe(shared: Path) -> Any:
    spec = importlib.util.spec_from_file_location("recipe", shared / "fixtures" / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_imported_release_is_a_release(imported: Path) -> None:
    release = load_release(imported)
    assert not release.codec.own_skeleton  # their data has bodies of many sizes
    assert release.config.name == "official-custom"
    assert release.config.text_encoder == "t5"
    assert release.codec.frames_per_token == 2
    pipeline = TextToMotion.from_pretrained(imported, device="cpu", text_device="cpu")
    motion = pipeline("a person walks forward", seconds=0.5, cleanup=0)
    assert len(motion) == 16  # 8 tokens of 2 frames
    assert motion.joints().isfinite().all()
    stored = json.loads((imported / "generator" / "config.json").read_text())
    assert GeneratorConfig.model_validate(stored).num_heads == 4


def test_text_features_to_motion(shared: Path, tmp_path: Path) -> None:
    case = load(shared, "e2e.pt")
    weights = recipe(shared).state_dict(case["ar_shapes"], case["ar_recipe_seed"])
    state = {key: torch.from_numpy(value) for key, value in weights.items()}
    torch.save({"trans": state}, tmp_path / "generator.pth")
    statistics(shared, tmp_path)
    tokenizer = shared / "fixtures" / "tokenizer_small_official_like_ckpt.pt"
    release = load_release(
        import_official(
            tokenizer,
            tmp_path / "generator.pth",
            tmp_path,
            tmp_path / "release",
            heads=4,
            tokenizer_config=SMALL,
        )
    )
    mask = torch.ones(1, case["text_feature"].shape[1], dtype=torch.bool)
    codes = greedy(release.generator, Prefix(case["text_feature"], mask, torch.tensor([0])))
    assert codes == case["codes"].flatten().tolist()
    features = release.codec.decode(torch.tensor(codes))
    assert (features - case["pose_denorm"][0].double()).abs().max() < 1e-4
    assert (to_joints(features) - case["joints_from_position"]).abs().max() < 2e-4
    normalized = release.codec.normalizer.normalize(features)
    assert (normalized - case["pose_norm"][0]).abs().max() < 1e-4
    # From the recorded features on in double precision, by both routes.
    assert (to_joints(case["pose_denorm"][0]) - case["joints_from_position"]).abs().max() < 1e-6
    rotations, root = to_rotations(case["pose_denorm"][0])
    smpl = case["smpl85_from_rotation"]
    theirs = matrix_from_axis_angle(smpl[:, :66].reshape(-1, 22, 3))
    assert (rotations - theirs).abs().max() < 1e-6
    assert (root - smpl[:, 72:75]).abs().max() < 1e-6


def test_large_models_are_stored_in_shards(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Generator(OFFICIAL_TINY)
    save_model(model.state_dict().items(), OFFICIAL_TINY, tmp_path, shard_bytes=200_000)
    shards = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(shards) > 2
    assert shards[0] == f"model-00001-of-{len(shards):05d}.safetensors"
    with torch.device("meta"):
        again = Generator(OFFICIAL_TINY)
    load_into(again, tmp_path, dtype=torch.bfloat16)
    for name, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[name].bfloat16()), name
    (tmp_path / shards[1]).unlink()
    with pytest.raises(FileNotFoundError, match="model-00002"):
        load_into(again, tmp_path)
    save_model(model.state_dict().items(), OFFICIAL_TINY, tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    load_into(again, tmp_path)


@pytest.mark.parametrize("damage", ["missing", "unknown", "shape", "twice", "cut"])
def test_bad_tokenizers_are_named(shared: Path, tmp_path: Path, damage: str) -> None:
    state = dict(load(shared, "tokenizer_small_official_like_ckpt.pt")["net"])
    path, name = tmp_path / "fsq.pth", "module.vqvae.encoder.model.4.weight"
    changes: dict[str, Any] = {
        "unknown": {"module.vqvae.attention.weight": torch.zeros(1)},
        "shape": {name: torch.zeros(2, 2)},
        "twice": {"module.vqvae.encoder.model.7.weight": state[name]},
    }
    state.update(changes.get(damage, {}))
    if damage == "missing":
        del state[name]
    torch.save({"net": state}, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5000])
    statistics(shared, tmp_path)
    expected = {
        "missing": "missing encoder.output.weight",
        "unknown": "unknown module.vqvae.attention.weight",
        "shape": r"encoder.model.4.weight has shape \(2, 2\), expected",
        "twice": "is what module.vqvae.encoder.model.7.weight is",
        "cut": "cut short",
    }
    with pytest.raises(ValueError, match=expected[damage]):
        import_official(
            path,
            shared / "fixtures" / "ar_tiny_ckpt.pt",
            tmp_path,
            tmp_path / "release",
            heads=4,
            tokenizer_config=SMALL,
        )


class Harmful:
    def __reduce__(self) -> Any:
        return print, ("this must never run",)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("none", "made for 512 codes, but .* has 64000"),
        ("missing", "missing head.weight"),
        ("unknown", "unknown module.transformer.extra"),
        ("shape", r"has shape \(3, 3\), expected \(128, 128\)"),
        ("twice", "module.transformer.ln_f.scale is what transformer.ln_f.scale is"),
        ("full", "0 are free in .*make room"),
        ("layers", "no preset; say --heads"),
        ("code", "not a checkpoint of tensors alone"),
        ("key", "holds net; expected 'trans'"),
        ("cut", "cut short"),
        ("foreign", "not a checkpoint"),
        ("archive", "expected one .pth file in it"),
        ("absent", "no such file"),
    ],
)
def test_bad_checkpoints_are_named(
    shared: Path,
    tmp_path: Path,
    damage: str,
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = dict(load(shared, "ar_tiny_ckpt.pt")["trans"])
    path = tmp_path / "generator.pth"
    values: Any = {"trans": state}
    if damage == "missing":
        del state["module.lm_head.weight"]
    elif damage == "unknown":
        state["module.transformer.extra"] = torch.zeros(1)
    elif damage == "twice":
        state["transformer.ln_f.scale"] = state["module.transformer.ln_f.scale"]
    elif damage == "shape":
        state["module.transformer.h.0.attn.c_proj.weight"] = torch.zeros(3, 3)
    elif damage == "code":
        values["nb_iter"] = Harmful()
    elif damage == "key":
        values = {"net": state}
    torch.save(values, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "foreign":
        path.write_text("an HTML page that says: not found")
    elif damage == "archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "nothing")
    elif damage == "full":
        path.rename(tmp_path / "inside.pth")
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "inside.pth", "inside.pth")
        nothing = SimpleNamespace(free=0)
        monkeypatch.setattr(official.shutil, "disk_usage", lambda folder: nothing)
    elif damage == "absent":
        path.unlink()
    statistics(shared, tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=expected) as raised:
        import_official(
            shared / "fixtures" / "tokenizer_small_official_like_ckpt.pt",
            path,
            tmp_path,
            tmp_path / "release",
            heads=None if damage == "layers" else 4,
            tokenizer_config=SMALL,
        )
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "release").exists()
    assert not list(tmp_path.glob(".motionmill-*"))
    assert "never run" not in capsys.readouterr().out
