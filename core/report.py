"""What a run found, as JSON for machines and one self-contained HTML page for people."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from html import escape
from pathlib import Path
from typing import Any

from .types import METRICS, Energy, Outcome, Plan, Report, Score, Size, Variant

STYLE = """body{font:15px system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1d2321;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.2em .6em;text-align:right;border-bottom:1px solid #ccc6}
td:first-child,th:first-child{text-align:left}.b{fill:#d97b1f}.a{fill:#2f74b5}.n{color:#777}svg text{font:12px system-ui;fill:currentColor}
@media(prefers-color-scheme:dark){body{color:#e4e8e6;background:#1b1f1e}}"""


def variant(plan: Plan, size: Size, energy: Energy | None, score: Score | None, outcomes: Mapping[str, Outcome], name: str = "") -> Variant:
    """A measured plan with the time it was measured at."""
    return Variant(plan, size, energy, score, outcomes, name, datetime.datetime.now().astimezone().isoformat(timespec="seconds"))


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """report.json and report.html beside the export."""
    pages = folder / "report.json", folder / "report.html"
    pages[0].write_text(json.dumps(plain(report), indent=1) + "\n")
    pages[1].write_text(html(report))
    return pages


def plain(x: Any) -> Any:
    """Nouns as JSON."""
    if is_dataclass(x) and not isinstance(x, type):
        return plain(asdict(x))
    if isinstance(x, Mapping):
        return {str(k): plain(v) for k, v in x.items()}
    return [plain(v) for v in x] if isinstance(x, (list, tuple)) else str(x) if isinstance(x, Path) else x


def html(report: Report) -> str:
    """No scripts, no network; every text escaped."""
    before, after = report.original, report.variant
    parts = [
        f"<h1>{escape(Path(report.source).name)}, slimmed</h1>",
        _bars("Size, exact bytes", before.size.total, after.size.total, lambda b: f"{b / 1e6:.3g} MB"),
        _scores(before.score, after.score),
        _energy(before.energy, after.energy),
        _verdict(report),
        "".join(f"<p class=n>{escape(n)}</p>" for n in report.notes),
        _layers(after),
    ]
    return f"<!doctype html><meta charset=utf-8><title>Slim Studio report</title><style>{STYLE}</style>" + "\n".join(parts)


def _bars(title: str, before: float, after: float, text: Any) -> str:
    top = max(before, after, 1e-30)
    rows = "".join(
        f'<rect class={c} x=0 y={y} width={v / top * 480:.1f} height=20 /><text x={v / top * 480 + 6:.1f} y={y + 15}>{escape(text(v))}</text>'
        for c, y, v in (("b", 0, before), ("a", 26, after))
    )
    return f"<h2>{escape(title)}</h2><svg viewBox='0 0 640 50' width=640 height=50>{rows}</svg>"


def _scores(before: Score | None, after: Score | None) -> str:
    if before is None or after is None:
        return "<h2>Accuracy</h2><p>Not measured: the network can't be run.</p>"
    rows = "".join(
        f"<tr><td>{escape(METRICS[k][0])}</td><td>{before.metrics[k].value:.4g}</td><td>{m.value:.4g} ± {m.error:.2g}</td></tr>"
        for k, m in after.metrics.items()
        if k in before.metrics
    )
    how = f"measured on {after.n} {after.unit} of {escape(Path(after.data).name)}; ± is one standard error"
    return f"<h2>Accuracy</h2><table><tr><th></th><th>before</th><th>after</th></tr>{rows}</table><p class=n>{how}</p>"


def _energy(before: Energy | None, after: Energy | None) -> str:
    if before is None or after is None:
        return ""
    bars = _bars(f"Energy, modelled joules a {after.unit}", before.joules, after.joules, lambda j: f"{j:.3g} J (x/÷ {after.high / after.joules:.2g})")
    return bars + f"<p class=n>{escape(after.how)}</p>"


def _verdict(report: Report) -> str:
    if report.verdict is None:
        return ""
    rows = "".join(f"<tr><td>{escape(c.name)}</td><td>{'holds' if c.passed else 'FAILED'}</td><td>{escape(c.detail)}</td></tr>" for c in report.verdict.checks)
    return f"<h2>Reopened by {escape(report.verdict.tool)}</h2><table>{rows}</table>"


def _layers(after: Variant) -> str:
    rows = "".join(
        f"<tr><td>{escape(n)}</td><td>{o.setting.bits}</td><td>{o.sparsity:.1%}</td><td>{after.size.layers.get(n, 0):,}</td><td>{o.error:.3g}</td></tr>"
        for n, o in after.outcomes.items()
    )
    return f"<h2>Layers</h2><table><tr><th>layer</th><th>bits</th><th>zeros</th><th>bytes</th><th>‖W-Q‖²/‖W‖²</th></tr>{rows}</table>"
