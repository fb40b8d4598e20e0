"""A captioning endpoint that dies, answers garbage or hangs: clips wait, and nothing is lost or paid for twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionmill.data.config import CaptionConfig, DataConfig
from motionmill.data.engine.build import Summary, build
from motionmill.data.engine.captioning import read_words
from motionmill.data.loader import load_clips
from tests import fake_endpoint
from tests.data.drive import LOOSE, contents, make_inputs
from tests.fake_endpoint import Behaviour, FakeEndpoint, fails, hangs, resets, says

ANSWER = json.dumps(
    {
        "action": "a person moves about with bent knees",
        "body_parts": ["legs"],
        "style": "",
        "emotion": "calm",
        "age": "",
        "environment": "",
    }
)


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with fake_endpoint.running() as running:
        yield running


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs") / "people", motions=4, videos=0)


def caption(endpoint: FakeEndpoint, inputs: Path, dataset: Path) -> Summary:
    chat = CaptionConfig(
        url=endpoint.url, model="eyes", pictures="none", timeout_seconds=3.0, attempts=1
    )
    return build([inputs], dataset, DataConfig(motion=LOOSE, caption=chat))


TROUBLE = {
    "dies": resets(),
    "garbage": says("I would rather not."),
    "hangs": hangs(),
    "wrong shape": says('{"action": 3}'),
    "refuses": fails(401),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_clips_wait_until_it_answers(
    trouble: str, endpoint: FakeEndpoint, inputs: Path, tmp_path: Path
) -> None:
    behaviour: Behaviour = TROUBLE[trouble]
    endpoint.script = [says(ANSWER), behaviour]
    dataset = tmp_path / "broken" / "dataset"
    summary = caption(endpoint, inputs, dataset)
    assert summary.pending >= 3
    assert summary.kept + summary.pending == 4
    (words,) = (dataset / "captions").glob("*.parquet")
    pending = [row for row in read_words(words) if row.pending]
    assert len(pending) == summary.pending
    assert not any(row.captions for row in pending)

    endpoint.script = [says(ANSWER)]
    asked = len(endpoint.asked)
    assert caption(endpoint, inputs, dataset) == Summary(4, summary.rejected, 0)
    assert len(endpoint.asked) - asked == summary.pending  # what was answered is not asked again

    smooth = tmp_path / "smooth" / "dataset"
    caption(endpoint, inputs, smooth)
    assert contents(dataset) == contents(smooth)
    clips = [clip for part in load_clips(dataset).values() for clip in part]
    assert {clip.captions[0] for clip in clips} == {"a person moves about with bent knees"}
    assert {clip.provenance["captions"]["origin"] for clip in clips} == {"eyes"}


def test_an_endpoint_that_is_down_is_not_asked_for_ever(
    endpoint: FakeEndpoint, inputs: Path, tmp_path: Path
) -> None:
    endpoint.script = [fails(401)]
    summary = caption(endpoint, inputs, tmp_path / "dataset")
    assert summary.pending == 4
    assert len(endpoint.asked) <= 4
