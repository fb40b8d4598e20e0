"""The report is one page that needs nothing else, and shows texts as texts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import motionmill
from motionmill.cli import main
from motionmill.evaluation.config import ProtocolConfig
from motionmill.evaluation.evaluate import evaluate
from motionmill.evaluation.ratings import CRITERIA, Score, Vote
from motionmill.evaluation.report import MAX_BYTES, Ratings, Shown, write_report
from motionmill.evaluation.results import Results
from tests.evaluation.parts import KnownSystem, instruments, sample_set
from tests.motions import wandering

SAMPLES = sample_set(40)
NASTY = '</script><script>alert("x")</script>'


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    protocol = ProtocolConfig(seeds=2)
    return [
        evaluate(
            KnownSystem(noise),
            SAMPLES,
            instruments(SAMPLES),
            protocol,
            tmp_path_factory.mktemp("r"),
        )
        for noise in (0.05, 0.2)
    ]


def test_everything_is_inside(tmp_path: Path, results: list[Results]) -> None:
    shown = [Shown(NASTY, {"ours": wandering(0, 40), "theirs": wandering(1, 60)})]
    votes = [Vote("x", f"p{k}", CRITERIA[0], "ours", NASTY, "ours") for k in range(8)]
    scores = [Score("x", f"p{k}", CRITERIA[1], "ours", 3) for k in range(8)]
    page_file = tmp_path / "report.html"
    ratings = Ratings(votes, scores, scores, {"p1": "work"})
    about = {"ours": f"licence {NASTY}", "theirs": ""}
    write_report(page_file, results, shown=shown, about=about, ratings=ratings)
    page = page_file.read_text(encoding="utf-8")
    assert "<th>ours</th><td>licence &lt;/script&gt;" in page
    assert "<th>theirs</th><td>" not in page
    assert "noise-0.05: length matched" in page
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert "http" not in page.replace("http-equiv", "")
    assert NASTY not in page
    data = re.search(r'id="motions">(.*?)</script>', page, re.S)
    assert data is not None
    motions = json.loads(data[1])[0]
    assert motions["prompt"] == NASTY
    assert [motion["frames"] for motion in motions["motions"]] == [20, 30]


def test_the_page_stays_under_its_size(tmp_path: Path) -> None:
    motion = wandering(0, 3000)
    shown = [Shown(f"prompt {k}", {"ours": motion}) for k in range(80)]
    write_report(tmp_path / "report.html", [], shown=shown, sheets=1)
    assert (tmp_path / "report.html").stat().st_size < MAX_BYTES


def test_results_that_do_not_compare_are_refused(tmp_path: Path, results: list[Results]) -> None:
    protocol = {**results[1].facts["protocol"], "name": "legacy"}
    other = Results("other", {**results[1].facts, "protocol": protocol}, results[1].rows)
    with pytest.raises(ValueError, match='do not compare: protocol "v2" and "legacy"; measure'):
        write_report(tmp_path / "report.html", [results[0], other])
    assert not (tmp_path / "report.html").exists()
    with pytest.raises(ValueError, match="nothing to report"):
        write_report(tmp_path / "report.html", [])
    with pytest.raises(ValueError, match="protocol 'v2' among the legacy results"):
        write_report(tmp_path / "report.html", [results[0]], legacy=[results[1]])
    write_report(tmp_path / "report.html", [results[0]], legacy=[other])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index("What was measured") < page.index("Beside published numbers")


def test_command(
    tmp_path: Path, results: list[Results], capsys: pytest.CaptureFixture[str]
) -> None:
    results[0].save(tmp_path / "results")
    suite = tmp_path / "mine.jsonl"
    suite.write_text('{"id": "wave", "prompt": "a person waves"}\n')
    (tmp_path / "motions").mkdir()
    motionmill.save(wandering(0, 40), tmp_path / "motions" / "wave.npz")
    page = tmp_path / "report.html"
    words = ["report", str(tmp_path / "results"), str(tmp_path / "motions")]
    assert main([*words, "--suite", str(suite), "-o", str(page)]) == 0
    assert "MB" in capsys.readouterr().out
    assert "a person waves" in page.read_text(encoding="utf-8")
    assert "<th>motions</th><td>1 of 1 prompts</td>" in page.read_text(encoding="utf-8")
    assert main([*words, "-o", str(tmp_path / "report.pdf")]) == 2
    assert "ends with .html" in capsys.readouterr().err
