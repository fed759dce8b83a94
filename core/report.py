"""What a run found, as JSON for machines and one self-contained HTML page for people."""

from __future__ import annotations

import contextlib
import datetime
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from html import escape
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from .card import card
from .energy import ratio
from .errors import BadFile
from .ledger import paid
from .types import LEVELS, METRICS, Carbon, Energy, Latency, Measured, Outcome, Plan, Report, Score, Size, Spent, Variant

STYLE = """body{font:15px system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1d2321;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.2em .6em;text-align:right;border-bottom:1px solid #ccc6}
td:first-child,th:first-child{text-align:left}.b{fill:#d97b1f}.a{fill:#2f74b5}.n{color:#777}
.hb{fill:url(#hb)}.ha{fill:url(#ha)}.w{stroke:currentColor;fill:none}
svg text{font:12px system-ui;fill:currentColor}
@media(prefers-color-scheme:dark){body{color:#e4e8e6;background:#1b1f1e}}"""

WIDE = 420  # of the 720 units of a chart; the rest is for words
HATCH = "<defs>" + "".join(
    f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect class="{name[1]}" width="3" height="6"/></pattern>'
    for name in ("hb", "ha")
) + "</defs>"  # fmt: skip


def variant(plan: Plan, size: Size, energy: Energy | None, score: Score | None, outcomes: Mapping[str, Outcome], name: str = "") -> Variant:
    """A measured plan with the time it was measured at."""
    return Variant(plan, size, energy, score, outcomes, name, datetime.datetime.now().astimezone().isoformat(timespec="seconds"))


def write(report: Report, out: Path) -> tuple[Path, ...]:
    """report.json, report.html and the model card in an exported folder, or beside a single exported file under its name."""
    names = ("report.json", "report.html", "README.md")
    pages = tuple(out.with_name(f"{out.with_suffix('').name}.{n}") if out.is_file() else out / n for n in names)
    for page, text in zip(pages, (to_json(report), html(report), card(report))):
        page.write_text(text, encoding="utf-8")
    return pages


def to_json(report: Report) -> str:
    """The report as JSON; `from_json` gives it back."""
    return json.dumps({"version": 1, **plain(report)}, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Report:
    """A report out of its JSON; BadFile when it is none."""
    try:
        said = json.loads(text)
        if said.pop("version") != 1:
            raise BadFile("This report was written by a newer studio; open it there")
        found: Report = build(Report, said)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise BadFile(f"This is no report of Slim Studio ({type(e).__name__}: {e}); choose a report.json") from None
    return found


def build(kind: Any, value: Any) -> Any:
    """JSON back into the dataclasses, mappings and tuples its annotations name."""
    inside = get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{k: build(hints[k], v) for k, v in value.items()})
    if isinstance(value, dict) and inside and get_origin(kind) is Mapping:
        return {k: build(inside[1], v) for k, v in value.items()}
    if isinstance(value, list):
        return tuple(build(inside[0], v) for v in value)
    noun = next((t for t in inside if is_dataclass(t)), None)
    return build(noun, value) if noun and value is not None else value


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    from importlib import metadata  # 0.05 s of a window's start, with the mail parser it brings

    names = ("slim-studio", "torch", "transformers", "compressed-tensors", "safetensors", "gguf", "ik-llama-cpp-python", "numpy")
    out = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            out[name] = metadata.version(name)
    return out


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
        _stages(report.stages),
        _latency(report.latency),
        _energy(before.energy, after.energy),
        _carbon(report.carbon),
        _spent(report.spent),
        _verdict(report),
        "".join(f"<p class='n'>{escape(n)}</p>" for n in report.notes),
        _layers(after),
    ]
    head = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    return f"{head}<title>Slim Studio report</title><style>{STYLE}</style>" + "\n".join(parts) + "</html>\n"


def _bars(title: str, before: float, after: float, text: Any) -> str:
    top = max(before, after, 1e-30)
    rows = "".join(_bar(c, y, v / top, 0.0, text(v)) for c, y, v in (("b", 0, before), ("a", 26, after)))
    return f"<h2>{escape(title)}</h2>{_svg(rows)}"


def _bar(colour: str, y: int, share: float, low: float, text: str, high: float = 0.0) -> str:
    """One bar with its words; `low` to `high`, where given, is a whisker. Shares are of the widest thing drawn."""
    x = max(share, high) * WIDE + 6
    whisker = f'<path class="w" d="M{low * WIDE:.1f} {y + 10}H{high * WIDE:.1f}m0 -5v10M{low * WIDE:.1f} {y + 5}v10"/>' if high else ""
    bar = f'<rect class="{colour}" x="0" y="{y}" width="{share * WIDE:.1f}" height="20"/>'
    return f'{bar}{whisker}<text x="{x:.1f}" y="{y + 15}">{escape(text)}</text>'


def _svg(inner: str) -> str:
    return f'<svg viewBox="0 0 720 50" width="720" height="50" role="img">{HATCH}{inner}</svg>'


def _measured(label: str, before: Measured, after: Measured) -> str:
    """Two bars with an error bar of one standard error each."""
    top = max(before.value + before.error, after.value + after.error, 1e-30)
    rows = "".join(
        _bar(c, y, max(m.value, 0) / top, max(m.value - m.error, 0) / top, f"{m.value:.4g} ± {m.error:.2g}", (m.value + m.error) / top)
        for c, y, m in (("b", 0, before), ("a", 26, after))
    )
    return f"<h3>{escape(label)}</h3>{_svg(rows)}"


def _scores(before: Score | None, after: Score | None) -> str:
    if before is None or after is None:
        return "<h2>Accuracy</h2><p>Not measured: the network can't be run.</p>"
    known = [(METRICS[k], before.metrics[k], m) for k, m in after.metrics.items() if k in before.metrics and k in METRICS]
    how = f"measured on {after.n} {after.unit} of {escape(Path(after.data).name)}; ± is one standard error"
    rows = "".join(_measured(f"{label} ({better} is better)", b, a) for (label, better, _), b, a in known)
    return f'<h2>Accuracy, measured</h2>{rows}<p class="n">{how}</p>'


def _energy(before: Energy | None, after: Energy | None) -> str:
    if before is None or after is None:
        return "<h2>Energy</h2><p>Not modelled: the network can't be run.</p>"
    top = max(before.high, after.high, 1e-30)
    rows = "".join(
        _bar(c, y, e.joules / top, e.low / top, f"{e.joules:.3g} J ({e.low:.3g} to {e.high:.3g})", e.high / top)
        for c, y, e in (("hb", 0, before), ("ha", 26, after))
    )
    times = ratio(before, after)
    less = f"{times.value:.3g} times less ({times.low:.3g} to {times.high:.3g}, 90 %); physics floor {after.floor:.2g} J"
    kind = "measured" if after.level == "A" else f"modelled ({LEVELS.get(after.level, after.level)})"
    return f'<h2>Energy, {kind}, a {escape(after.unit)}</h2>{_svg(rows)}<p class="n">{less}. {escape(after.how)}</p>'


def _carbon(c: Carbon | None) -> str:
    if c is None:
        return ""
    top = max(c.before.high, c.after.high, 1e-30)
    rows = "".join(
        _bar(x, y, m.value / top, m.low / top, f"{m.value:.3g} g CO2e ({m.low:.3g} to {m.high:.3g})", m.high / top)
        for x, y, m in (("hb", 0, c.before), ("ha", 26, c.after))
    )
    return f'<h2>Carbon, modelled, a million {escape(c.unit)}s</h2>{_svg(rows)}<p class="n">{escape(c.how)}</p>'


def _spent(s: Spent | None) -> str:
    return f"<h2>What the slimming took</h2><p>{escape(paid(s))}</p>" if s else ""


def _stages(stages: tuple[Variant, ...]) -> str:
    """A row for every stage of a pipeline."""
    if not stages:
        return ""
    names = [k for k in METRICS if any(v.score and k in v.score.metrics for v in stages)]
    head = "".join(f"<th>{escape(METRICS[k][0])}</th>" for k in names)
    rows = ""
    for v in stages:
        m, setting = v.score.metrics if v.score else {}, v.plan.model
        what = f"{setting.prune} {setting.amount or 0:.0%}, {setting.quantize} {setting.bits} bits, {v.plan.recover or 'not trained'}"
        what = f"{v.plan.name}: {what}" if v.plan.name else what
        figures = "".join(f"<td>{m[k].value:.4g} ± {m[k].error:.2g}</td>" if k in m else "<td></td>" for k in names)
        rows += f"<tr><td>{escape(what)}</td><td>{v.size.total:,}</td>{figures}</tr>"
    return f"<h2>Stages, each measured</h2><table><tr><th>stage</th><th>bytes</th>{head}</tr>{rows}</table>"


def _latency(t: Latency | None) -> str:
    if t is None:
        return ""
    top = max(t.before.high, t.after.high)
    rows = "".join(
        _bar(c, y, m.value / top, m.low / top, f"{1e3 * m.value:.3g} ms ({1e3 * m.low:.3g} to {1e3 * m.high:.3g})", m.high / top)
        for c, y, m in (("b", 0, t.before), ("a", 26, t.after))
    )
    faster = f"{t.ratio.value:.3g} times as fast (95 %: {t.ratio.low:.3g} to {t.ratio.high:.3g}), {t.rounds} rounds by turns"
    return f'<h2>Time, measured on this machine, {escape(t.what)}</h2>{_svg(rows)}<p class="n">{faster}</p>'


def _verdict(report: Report) -> str:
    if report.verdict is None:
        return ""
    told = ((escape(c.name), "holds" if c.passed else "FAILED", escape(c.detail)) for c in report.verdict.checks)
    rows = "".join(f"<tr><td>{name}</td><td>{held}</td><td>{detail}</td></tr>" for name, held, detail in told)
    return f"<h2>Reopened by {escape(report.verdict.tool)}</h2><table>{rows}</table>"


def _layers(after: Variant) -> str:
    rows = "".join(
        f"<tr><td>{escape(n)}</td><td>{o.setting.bits}</td><td>{o.sparsity:.1%}</td>"
        f"<td>{after.size.layers.get(n, 0):,}</td><td>{o.error:.3g}</td></tr>"
        for n, o in after.outcomes.items()
    )
    return f"<h2>Layers</h2><table><tr><th>layer</th><th>bits</th><th>zeros</th><th>bytes</th><th>‖W-Q‖²/‖W‖²</th></tr>{rows}</table>"
