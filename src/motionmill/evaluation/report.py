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
from motionmill.evaluation.results import COLUMNS, TABLES, Interval, Results, columns_of, lines_of
from motionmill.formats.render import contact_sheet
from motionmill.motion.motion import Motion
from motionmill.training.weights import write_text

MAX_BYTES = 10_000_000
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
    legacy: Sequence[Results] = (),
    shown: Sequence[Shown] = (),
    about: Mapping[str, str] | None = None,
    ratings: Ratings | None = None,
    sheets: int = 6,
) -> None:
    """Write the page.

    Args:
        results: of `motionmill evaluate`, comparable.
        legacy: more of them under the legacy protocol, comparable with each other; they get tables of their own.
        shown: prompts with motions side by side; as many as fit into 10 MB, and contact sheets of the first `sheets`.
        about: what is to be said of each system whose motions are shown.

    Raises:
        ValueError: results that do not compare, or nothing to report.
    """
    if not results and not legacy and not shown and ratings is None:
        raise ValueError("nothing to report; give folders of `motionmill evaluate` or of motions")
    for result in legacy:
        if (name := result.facts.get("protocol", {}).get("name")) != "legacy":
            raise ValueError(f"{result.system}: protocol {name!r} among the legacy results")
    parts = []
    for title, group in (("What was measured", results), ("Beside published numbers", legacy)):
        if group:
            parts += [_facts(title, group), _metrics(group), _plots(group)]
    if ratings is not None:
        parts.append(_ratings(ratings))
    if shown:
        parts += [_about(about or {}), _sheets(shown[:sheets])]
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


def _facts(title: str, results: Sequence[Results]) -> str:
    facts = results[0].facts
    protocol = facts.get("protocol", {})
    rows = {
        "protocol": f"{protocol.get('name')}, split {protocol.get('split')}",
        "samples": facts.get("samples"),
        "data": facts.get("data", ""),
        "evaluator": facts.get("evaluator"),
        "sample set": facts.get("sample_set"),
    } | {
        result.system: f"{result.facts.get('seeds')} seeds, coverage {result.facts.get('coverage', 1):.1%}, "
        f"version {result.facts.get('system_version') or 'unknown'}"
        for result in results
    }
    cells = "".join(f"<tr><th>{_text(k)}</th><td>{_text(v)}</td></tr>" for k, v in rows.items())
    return f'<h2>{_text(title)}</h2><table class="facts">{cells}</table>'


def _metrics(results: Sequence[Results]) -> str:
    tables = ""
    for title in TABLES:
        lines = lines_of(results)
        columns = columns_of(title, lines)
        body = ""
        for label, result, row in lines:
            cells = [_interval(result.interval(row, name), digits) for name, _, digits in columns]
            if any(cells):
                filled = "".join(f"<td>{cell}</td>" for cell in cells)
                body += f"<tr><th>{_text(label)}</th>{filled}</tr>"
        head = "".join(f"<th>{_text(heading)}</th>" for _, heading, _ in columns)
        if columns:
            tables += (
                f"<h3>{_text(title)}</h3>"
                f'<div class="wide"><table><tr><th></th>{head}</tr>{body}</table></div>'
            )
    return f"<p>Mean over seeds, and half of its 95 % interval.</p>{tables}"


def _plots(results: Sequence[Results]) -> str:
    lines = lines_of(results)
    figures = ""
    for metric, heading, digits in COLUMNS:
        found = [(label, result.interval(row, metric)) for label, result, row in lines]
        known = [(label, interval) for label, interval in found if interval is not None]
        if len(known) > 1:
            bars = [(label, Estimate(*interval)) for label, interval in known]
            figures += _bars(heading, bars, digits)
    return f'<details open><summary>Plots</summary><div class="plots">{figures}</div></details>'


def _bars(title: str, values: Sequence[tuple[str, Estimate]], digits: int) -> str:
    """An SVG of dots with their intervals, a line each: labels, 200 wide for the values, numbers."""
    if not values:
        return ""
    low = min(0.0, *(value.low for _, value in values))
    high = max(0.0, *(value.high for _, value in values))
    scale = 200 / ((high - low) or 1.0)
    marks = ""
    for line, (label, value) in enumerate(values):
        y = 18 * line + 14
        at, start, end = (330 + (x - low) * scale for x in (value.value, value.low, value.high))
        marks += (
            f'<text x="320" y="{y + 4}" text-anchor="end">{_text(label[:56])}</text>'
            f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}"/><circle cx="{at:.1f}" cy="{y}" r="4"/>'
            f'<text x="540" y="{y + 4}">{value.value:.{digits}f}</text>'
        )
    height = 18 * len(values) + 10
    return (
        f'<figure><figcaption>{_text(title)}</figcaption><svg viewBox="0 0 600 {height}" role="img" '
        f'aria-label="{_text(title)}">{marks}</svg></figure>'
    )


def _ratings(ratings: Ratings) -> str:
    raters = {vote.rater for vote in ratings.votes} | {score.rater for score in ratings.scores}
    parts = []
    if raters:
        parts.append(
            f"<h2>People</h2><p>{len(raters)} raters, {len(ratings.scores)} scores, "
            f"{len(ratings.votes)} votes. Intervals are 95 %.</p>"
        )
    for rater, (passed, seen) in ratings.checks.items():
        if seen and passed < _CHECKS_PASSED * seen:
            parts.append(
                f'<p class="flag">{_text(rater)} passed {passed} of {seen} planted checks; '
                "the ratings count all the same.</p>"
            )
    for criterion in CRITERIA:
        scores = [score for score in ratings.scores if score.criterion == criterion]
        votes = [vote for vote in ratings.votes if vote.criterion == criterion]
        if scores or votes:
            parts.append(f"<h3>{_text(criterion)}</h3>")
        if scores:
            alpha = krippendorff_alpha(score_table(scores, criterion))
            parts.append(f"<p>Scores of 1 to 4; agreement of raters {_alpha(alpha)}.</p>")
            parts.append(_scores(scores, ratings.categories))
        if votes:
            parts.append(_votes(votes, criterion, ratings.categories))
    if ratings.judged:
        parts.append(f"<h2>Model judge</h2><p>Not a person: scores of a {JUDGE}, apart.</p>")
        close = agreement(ratings.judged, ratings.scores)
        for criterion in CRITERIA:
            scores = [score for score in ratings.judged if score.criterion == criterion]
            alpha, count = close[criterion]
            parts.append(
                f"<h3>{_text(criterion)}</h3><p>Agreement with people {_alpha(alpha)}, "
                f"{count} motions in common.</p>{_scores(scores, ratings.categories)}"
            )
    return "".join(parts)


def _scores(scores: Sequence[Score], categories: Mapping[str, str]) -> str:
    """Mean scores of one criterion, by system and category."""
    criterion = scores[0].criterion if scores else ""
    groups = {"all": scores}
    for category in sorted({categories.get(score.prompt, "unknown") for score in scores}):
        groups[category] = [
            score for score in scores if categories.get(score.prompt, "unknown") == category
        ]
    means = {category: mean_scores(group) for category, group in groups.items()}
    systems = sorted({score.system for score in scores})
    bars = [(system, means["all"][system, criterion]) for system in systems]
    head = "".join(f"<th>{_text(category)}</th>" for category in groups)
    body = ""
    for system in systems:
        cells = "".join(
            f"<td>{_estimate(means[name].get((system, criterion)))}</td>" for name in groups
        )
        body += f"<tr><th>{_text(system)}</th>{cells}</tr>"
    table = f'<div class="wide"><table><tr><th>mean score</th>{head}</tr>{body}</table></div>'
    return _bars("mean score (1 to 4)", bars, 2) + (table if scores else "")


def _votes(votes: Sequence[Vote], criterion: str, categories: Mapping[str, str]) -> str:
    try:
        abilities = bradley_terry(votes)
        bars = [(name, abilities.estimate(name)) for name in abilities.systems]
        figure = _bars("Bradley-Terry ability (0 is the mean)", bars, 2)
    except ValueError as error:
        figure = f"<p>{_text(error)}</p>"
    found = outcomes(votes, categories)
    names = ["all", *sorted({category for *_, category in found} - {"all"})]
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    body = ""
    for system in sorted({system for system, *_ in found}):
        counts = [found.get((system, criterion, name)) for name in names]
        cells = "".join(
            f"<td>{f'{c.wins} / {c.ties} / {c.losses}' if c else ''}</td>" for c in counts
        )
        body += f"<tr><th>{_text(system)}</th>{cells}</tr>"
    alpha = krippendorff_alpha(vote_table(votes, criterion), "interval")
    return (
        f"<p>Blind votes between two; agreement of raters {_alpha(alpha)}.</p>{figure}"
        f'<div class="wide"><table><tr><th>won / tied / lost</th>{head}</tr>{body}</table></div>'
    )


def _about(about: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><th>{_text(system)}</th><td>{_text(words)}</td></tr>"
        for system, words in about.items()
        if words
    )
    return f'<h2>Motions</h2><table class="facts">{rows}</table>' if rows else ""


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


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate.value:.2f} <small>{estimate.low:.2f} to {estimate.high:.2f}</small>"


def _alpha(alpha: float | None) -> str:
    return "not to be told" if alpha is None else f"α = {alpha:.2f}"


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
