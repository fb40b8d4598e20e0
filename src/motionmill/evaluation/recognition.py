"""Judge of content and style: features -> what is done and how, by a classifier trained on real motion only.

Shapes: B batch, T frames, F features (272), C classes. It never sees generated motion in training. Of held-out
(content, style) pairs it sees most real clips: a judge that does not know a combination cannot judge it; the rest of
those clips test it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.config import Config
from motionmill.data.clip import Clip
from motionmill.data.loader import load_clips
from motionmill.data.wording.captions import judge_classes
from motionmill.generator.ranker import MotionPooler, pad_right
from motionmill.motion import features as feature
from motionmill.motion.features import Normalizer
from motionmill.tokenizer.train import fit_normalizer
from motionmill.training.config import TrainingConfig
from motionmill.training.loop import train
from motionmill.training.task import Facts, Loss
from motionmill.training.weights import (
    load_config,
    load_into,
    load_tensors,
    save_tensors,
    save_weights,
)

_LABELLED_SOURCE = "bandai"
_UNSEEN_SHARE = 0.25  # of the held-out pairs' real clips: kept from the judge, to test it


class JudgeConfig(Config):
    """Size and classes of the judge."""

    contents: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    width: int = 128
    dropout: float = 0.3


class Verdict(NamedTuple):
    """Class names of one motion."""

    content: str
    style: str


class Judge(nn.Module):
    """(B, T, F) normalised features and their (B, T) mask -> (B, C) logits of contents and of styles."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        self.motion = MotionPooler(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.content = nn.Linear(3 * config.width, len(config.contents))
        self.style = nn.Linear(3 * config.width, len(config.styles))

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.dropout(self.motion(features, mask))
        return self.content(pooled), self.style(pooled)


@dataclass(frozen=True, eq=False)
class TrainedJudge:
    """A judge with its normaliser."""

    model: Judge
    normalizer: Normalizer

    @torch.no_grad()
    def __call__(self, motions: Sequence[Tensor]) -> list[Verdict]:
        """(T, 272) features each -> verdicts."""
        config = self.model.config
        verdicts = []
        for start in range(0, len(motions), 64):
            features, mask = pad_right(motions[start : start + 64])
            contents, styles = self.model(self.normalizer.normalize(features), mask)
            for content, style in zip(
                contents.argmax(-1).tolist(), styles.argmax(-1).tolist(), strict=True
            ):
                verdicts.append(Verdict(config.contents[content], config.styles[style]))
        return verdicts

    def save(self, folder: Path) -> None:
        save_weights(self.model, self.model.config, folder)
        statistics = {"mean": self.normalizer.mean, "std": self.normalizer.std}
        save_tensors(statistics, folder / "statistics.safetensors")

    @classmethod
    def load(cls, folder: Path) -> TrainedJudge:
        model = Judge(load_config(JudgeConfig, folder))
        load_into(model, folder)
        tensors = load_tensors(folder / "statistics.safetensors")
        return cls(model.eval(), Normalizer(tensors["mean"], tensors["std"]))


def accuracy(verdicts: Sequence[Verdict], truth: Sequence[Verdict]) -> dict[str, float]:
    """Share of verdicts with the right content, the right style, and both."""
    pairs = list(zip(verdicts, truth, strict=True))
    count = max(1, len(pairs))
    return {
        "content": sum(made.content == real.content for made, real in pairs) / count,
        "style": sum(made.style == real.style for made, real in pairs) / count,
        "both": sum(made == real for made, real in pairs) / count,
        "count": float(len(pairs)),
    }


class JudgedClips(NamedTuple):
    """Real clips by their use: to train the judge, and to test it on new takes and on new pairs."""

    train: list[Clip]
    takes: list[Clip]
    pairs: list[Clip]


def judged_clips(data: Path) -> JudgedClips:
    """The labelled clips of a data set. Held-out takes are never trained on; of held-out pairs three quarters are."""
    splits = load_clips(data)
    labelled = {
        name: [clip for clip in clips if clip.source == _LABELLED_SOURCE and clip.style is not None]
        for name, clips in splits.items()
    }
    pairs = [*labelled["val_pairs"], *labelled["test_pairs"]]
    unseen = [clip for clip in pairs if _fraction(clip.group) < _UNSEEN_SHARE]
    seen = [clip for clip in pairs if _fraction(clip.group) >= _UNSEEN_SHARE]
    return JudgedClips([*labelled["train"], *seen], [*labelled["val"], *labelled["test"]], unseen)


def truth(clip: Clip) -> Verdict:
    """The classes of a labelled clip."""
    content, style = judge_classes(clip.content, clip.style)
    assert content is not None
    assert style is not None
    return Verdict(content, style)


def train_judge(data: Path, output: Path, training: TrainingConfig) -> TrainedJudge:
    """Train the judge on the real clips of a data set and write it to `output`/judge."""
    clips = judged_clips(data)
    classes = [truth(clip) for clip in clips.train]
    config = JudgeConfig(
        contents=tuple(sorted({verdict.content for verdict in classes})),
        styles=tuple(sorted({verdict.style for verdict in classes})),
    )
    normalizer = fit_normalizer(clips.train)
    task = _JudgeTask(config, clips, normalizer, training.seed)
    output.mkdir(parents=True, exist_ok=True)
    model = train(task, training, output)
    assert isinstance(model, Judge)
    judge = TrainedJudge(model, normalizer)
    judge.save(output / "judge")
    return judge


class _JudgeTask:
    """Cross entropy of both heads, with mirrors, trims and noise, classes drawn evenly by the root of their size."""

    def __init__(
        self, config: JudgeConfig, clips: JudgedClips, normalizer: Normalizer, seed: int
    ) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model: nn.Module = Judge(config)
        self.config, self.clips, self.normalizer, self.seed = config, clips, normalizer, seed
        self._truth = [truth(clip) for clip in clips.train]
        sizes: dict[Verdict, int] = {}
        for verdict in self._truth:
            sizes[verdict] = sizes.get(verdict, 0) + 1
        self._weights = torch.tensor([sizes[verdict] ** -0.5 for verdict in self._truth])
        self._mirror = _mirrored_contents(config.contents)

    def batches(
        self, cursor: int, stride: int = 1
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        return map(self._batch, itertools.count(cursor, stride))

    def facts(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Facts:
        return Facts({"rows": float(len(batch[0]))})

    def loss(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Loss:
        features, mask, contents, styles = batch
        made_content, made_style = self.model(features, mask)
        loss = F.cross_entropy(made_content.float(), contents, label_smoothing=0.05)
        loss = loss + F.cross_entropy(made_style.float(), styles, label_smoothing=0.05)
        right = (made_content.argmax(-1) == contents).float().mean()
        return Loss({"rows": loss}, {"content": right})

    def render(self, model: nn.Module, count: int, path: Path) -> None:
        """A judge makes no motion."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Judge)
        judge = TrainedJudge(model, self.normalizer)
        result = {}
        for name, clips in (("takes", self.clips.takes), ("pairs", self.clips.pairs)):
            found = accuracy(
                judge([clip.features for clip in clips]), [truth(clip) for clip in clips]
            )
            result.update({f"{name}_{key}": value for key, value in found.items()})
        return result

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        draw = torch.Generator().manual_seed((self.seed << 40) + step)
        chosen = torch.multinomial(self._weights, 48, replacement=True, generator=draw).tolist()
        coins = torch.rand(48, 3, generator=draw).tolist()
        motions, contents, styles = [], [], []
        for index, (flip, front, back) in zip(chosen, coins, strict=True):
            clip, verdict = self.clips.train[index].features, self._truth[index]
            cut = len(clip) // 8
            part = clip[int(front * cut) : len(clip) - int(back * cut)]
            mirrored = flip < 0.5 and verdict.content in self._mirror
            motions.append(feature.mirror(part) if mirrored else part)
            content = self._mirror[verdict.content] if mirrored else verdict.content
            contents.append(self.config.contents.index(content))
            styles.append(self.config.styles.index(verdict.style))
        features, mask = pad_right(motions)
        features = self.normalizer.normalize(features)
        features = features + 0.1 * torch.randn(features.shape, generator=draw)
        return features, mask, torch.tensor(contents), torch.tensor(styles)


def _mirrored_contents(contents: Sequence[str]) -> Mapping[str, str]:
    """Each content whose mirror image is a content too."""
    swapped = {
        content: content.replace("left", "*").replace("right", "left").replace("*", "right")
        for content in contents
    }
    return {content: other for content, other in swapped.items() if other in contents}


def _fraction(text: str) -> float:
    """A fixed number in [0, 1) for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
