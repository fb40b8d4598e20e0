"""Results, motions and ratings -> one self-contained HTML page: tables, intervals, plots, contact sheets, players.

It opens without a network: pictures and motions are inside. Texts (prompts, names of systems) are escaped wherever they
stand. Motions are drawn by the page itself from joint positions in half centimetres.
"""

from __future__ import annotations

import base64
import html
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from motionmill.evaluation.model_judge import JUDGE, agreement
from motionmill.evaluation.ratings import (
    CRITERIA,
    Estimate,
    Score,
    Vote,
    bradley_terry,
    krippendorff_alpha,
    mean_scores,
    outcomes,
    score_table,
    vote_table,
)
from motionmill.evaluation.results import COLUMNS, Interval, Results, check_comparable
from motionmill.formats.render import contact_sheet
from motionmill.motion.motion import Motion
from motionmill.training.weights import write_text

MAX_BYTES = 10 << 20
_PLAYER_FPS = 15.0
_UNITS_A_METRE = 200
_CHECKS_PASSED = 0.75  # whoever passes fewer of the planted checks is named


@dataclass(frozen=True)
class Shown:
    """Motions of one prompt, a system each."""

    prompt: str
    motions: Mapping[str, Motion]


@dataclass(frozen=True)
class Ratings:
    """What people and the model judge said; `checks` are planted ones passed and seen, by rater."""

    votes: Sequence[Vote] = ()
    scores: Sequence[Score] = ()
    judged: Sequence[Score] = ()
    categories: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def write_report(
    path: Path,
    results: Sequence[Results],
    *,
    shown: Sequence[Shown] = (),
    ratings: Ratings | None = None,
    sheets: int = 6,
) -> None:
    """Write the page.

    Args:
        results: of `motionmill evaluate`, comparable.
        shown: prompts with motions side by side; as many as fit into 10 MB, and contact sheets of the first `sheets`.

    Raises:
        ValueError: results that do not compare, or nothing to report.
    """
    if not results and not shown and ratings is None:
        raise ValueError("nothing to report; give folders of `motionmill evaluate` or of motions")
    check_comparable(results)
    parts = []
    if results:
        parts += [_facts(results), _metrics(results), _plots(results)]
    if ratings is not None:
        parts.append(_ratings(ratings))
    if shown:
        parts.append(_sheets(shown[:sheets]))
    page = _page(parts, [])
    players: list[str] = []
    room = MAX_BYTES - len(page.encode())
    for each in shown:
        player = _player(each)
        room -= len(player.encode()) + 1
        if room < 0:
            break
        players.append(player)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, _page(parts, players))


def _page(parts: Sequence[str], players: Sequence[str]) -> str:
    template = (resources.files("motionmill.evaluation") / "report.html").read_text("utf-8")
    figures = ""
    if players:
        data = f'<script type="application/json" id="motions">[{",".join(players)}]</script>'
        figures = f'<h2>Side by side</h2><div id="players"></div>{data}'
    return Template(template).substitute(body="\n".join(parts) + figures)


def _facts(results: Sequence[Results]) -> str:
    facts = results[0].facts
    protocol = facts.get("protocol", {})
    rows = {
        "protocol": f"{protocol.get('name')}, split {protocol.get('split')}",
        "samples": facts.get("samples"),
        "seeds": ", ".join(f"{result.system}: {result.facts.get('seeds')}" for result in results),
        "evaluator": facts.get("evaluator"),
        "sample set": facts.get("sample_set"),
        "coverage": ", ".join(
            f"{result.system}: {result.facts.get('coverage', 1):.1%}" for result in results
        ),
    }
    cells = "".join(f"<tr><th>{_text(k)}</th><td>{_text(v)}</td></tr>" for k, v in rows.items())
    return f"<h2>What was measured</h2><table>{cells}</table>"


def _rows(results: Sequence[Results]) -> list[tuple[str, Results, str]]:
    """Label, results and row of every line of the table, shared rows once."""
    from motionmill.evaluation.results import SHARED_ROWS

    lines: list[tuple[str, Results, str]] = []
    seen: set[str] = set()
    for result in results:
        for row in result.rows:
            if row not in SHARED_ROWS:
                lines.append((f"{result.system}: {row}", result, row))
            elif row not in seen:
                lines.append((row, result, row))
                seen.add(row)
    return lines


def _metrics(results: Sequence[Results]) -> str:
    lines = _rows(results)
    columns = [c for c in COLUMNS if any(c[0] in result.rows[row] for _, result, row in lines)]
    head = "".join(f"<th>{_text(heading)}</th>" for _, heading, _ in columns)
    body = ""
    for label, result, row in lines:
        cells = "".join(
            f"<td>{_interval(result.interval(row, metric), digits)}</td>"
            for metric, _, digits in columns
        )
        body += f"<tr><th>{_text(label)}</th>{cells}</tr>"
    return (
        "<h2>Metrics</h2><p>Mean over seeds, and half of its 95 % interval.</p>"
        f'<div class="wide"><table><tr><th></th>{head}</tr>{body}</table></div>'
    )


def _plots(results: Sequence[Results]) -> str:
    lines = _rows(results)
    figures = ""
    for metric, heading, digits in COLUMNS:
        found = [(label, result.interval(row, metric)) for label, result, row in lines]
        known = [(label, interval) for label, interval in found if interval is not None]
        if len(known) > 1:
            bars = [(label, Estimate(*interval)) for label, interval in known]
            figures += _bars(heading, bars, digits)
    return f'<h2>Plots</h2><div class="plots">{figures}</div>'


def _bars(title: str, values: Sequence[tuple[str, Estimate]], digits: int) -> str:
    """An SVG of dots with their intervals, a line each; nothing of no values."""
    if not values:
        return ""
    low = min(0.0, *(value.low for _, value in values))
    high = max(0.0, *(value.high for _, value in values))
    scale = 200 / ((high - low) or 1.0)
    marks = ""
    for line, (label, value) in enumerate(values):
        y = 18 * line + 14
        at, start, end = (250 + (x - low) * scale for x in (value.value, value.low, value.high))
        marks += (
            f'<text x="240" y="{y + 4}" text-anchor="end">{_text(label[:38])}</text>'
            f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}"/><circle cx="{at:.1f}" cy="{y}" r="4"/>'
            f'<text x="462" y="{y + 4}">{value.value:.{digits}f}</text>'
        )
    height = 18 * len(values) + 10
    return (
        f'<figure><figcaption>{_text(title)}</figcaption><svg viewBox="0 0 520 {height}" role="img" '
        f'aria-label="{_text(title)}">{marks}</svg></figure>'
    )


def _ratings(ratings: Ratings) -> str:
    parts = ["<h2>People</h2>"]
    raters = {vote.rater for vote in ratings.votes} | {score.rater for score in ratings.scores}
    parts.append(
        f"<p>{len(raters)} raters, {len(ratings.scores)} scores, {len(ratings.votes)} votes.</p>"
    )
    for rater, (passed, seen) in ratings.checks.items():
        if seen and passed < _CHECKS_PASSED * seen:
            parts.append(
                f'<p class="flag">{_text(rater)} passed {passed} of {seen} planted checks; '
                "the ratings count all the same.</p>"
            )
    means = mean_scores(ratings.scores)
    for criterion in CRITERIA:
        bars = [(system, value) for (system, name), value in means.items() if name == criterion]
        alpha = krippendorff_alpha(score_table(ratings.scores, criterion))
        parts.append(_bars(f"{criterion}, mean score (1 to 4)", bars, 2))
        if bars:
            parts.append(f"<p>{_text(criterion)}: agreement of raters {_alpha(alpha)}.</p>")
        votes = [vote for vote in ratings.votes if vote.criterion == criterion]
        if votes:
            parts.append(_votes(votes, criterion, ratings.categories))
    if ratings.judged:
        parts.append(f"<h2>Model judge</h2><p>Not a person: scores of a {JUDGE}, apart.</p>")
        judged = mean_scores(ratings.judged)
        close = agreement(ratings.judged, ratings.scores)
        for criterion in CRITERIA:
            bars = [
                (system, value) for (system, name), value in judged.items() if name == criterion
            ]
            parts.append(_bars(f"{criterion}, mean score (1 to 4)", bars, 2))
            parts.append(
                f"<p>{_text(criterion)}: agreement with people {_alpha(close[criterion])}.</p>"
            )
    return "".join(parts)


def _votes(votes: Sequence[Vote], criterion: str, categories: Mapping[str, str]) -> str:
    try:
        abilities = bradley_terry(votes)
        bars = [(name, abilities.estimate(name)) for name in abilities.systems]
        figure = _bars(f"{criterion}, Bradley-Terry ability", bars, 2)
    except ValueError as error:
        figure = f"<p>{_text(error)}</p>"
    rows = "".join(
        f"<tr><th>{_text(system)}</th><td>{_text(category)}</td><td>{wins}</td><td>{ties}</td><td>{losses}</td></tr>"
        for (system, _, category), (wins, ties, losses) in outcomes(votes, categories).items()
    )
    alpha = krippendorff_alpha(vote_table(votes, criterion), "interval")
    return (
        f"{figure}<p>{_text(criterion)}: agreement of votes {_alpha(alpha)}.</p>"
        f"<table><tr><th></th><th>category</th><th>won</th><th>tied</th><th>lost</th></tr>{rows}</table>"
    )


def _sheets(shown: Sequence[Shown]) -> str:
    figures = ""
    for each in shown:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sheet.png"
            contact_sheet(list(each.motions.values()), list(each.motions), path, panel=(110, 132))
            picture = base64.b64encode(path.read_bytes()).decode()
        figures += (
            f'<figure><figcaption>{_text(each.prompt)}</figcaption><img alt="{_text(each.prompt)}" '
            f'src="data:image/png;base64,{picture}"></figure>'
        )
    return f"<h2>Contact sheets</h2>{figures}"


def _player(shown: Shown) -> str:
    """JSON of a prompt's motions: 16-bit joint positions, frames x 22 x 3, base64."""
    motions = []
    for system, motion in shown.motions.items():
        joints = motion.resample(_PLAYER_FPS).joints().double().numpy() * _UNITS_A_METRE
        numbers = np.clip(np.round(joints), -32768, 32767).astype("<i2")
        data = base64.b64encode(numbers.tobytes()).decode()
        motions.append({"system": system, "frames": len(numbers), "joints": data})
    content = json.dumps({"prompt": shown.prompt, "motions": motions})
    return content.replace("<", "\\u003c")  # no text of it may end the script element


def _interval(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return ""
    half = interval.high - interval.mean
    certain = half <= 1e-9 * abs(interval.mean)
    spread = "" if certain else f" <small>± {half:.{digits}f}</small>"
    return f"{interval.mean:.{digits}f}{spread}"


def _alpha(alpha: float | None) -> str:
    return "not to be told" if alpha is None else f"α = {alpha:.2f}"


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
