"""The model card of an export: a README.md as model hubs show it, every figure with how it was come by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .energy import ratio
from .formats import targets
from .ledger import paid
from .types import LEVELS, METRICS, Outcome, Report

KEPT = re.compile(r"^(license|license_name|license_link|language|pipeline_tag): *([^\s\[{|>&*!%@`].*)$", re.MULTILINE)
FRONT = re.compile(r"\A---\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
LOADS = {
    "dense": "model = transformers.AutoModel.from_pretrained(folder)  # or the Auto class of its task",
    "packed": "model = transformers.AutoModel.from_pretrained(folder)  # or the Auto class of its task; pip install compressed-tensors",
    "gguf": "llama-cli -m {name}  # or Ollama, LM Studio",
    "onnx": 'session = onnxruntime.InferenceSession("model.onnx")',
    "pt2": 'program = torch.export.load("{name}")',
}
HEARS = 'torchcrepe.Crepe("tiny").load_state_dict(safetensors.torch.load_file("model.safetensors"))  # as wide as it was; cut ones: ONNX'


def card(report: Report) -> str:
    """Markdown with the front matter hubs read; what the original's own card says of licence and language is taken over."""
    name = Path(report.source).stem or "model"
    parts = [*_front(report), "", f"# {_plain(name)}, slimmed", "", _first(report), "", *_figures(report), "", "## What was done", ""]
    parts += [f"- {line}" for line in _done(report)]
    if report.verdict is not None:
        held = sum(c.passed for c in report.verdict.checks)
        told = f"Reopened in a fresh process by {_plain(report.verdict.tool)}: {held} of {len(report.verdict.checks)} checks hold"
        parts += ["", "## Verified", "", f"{told} (report.html lists them)."]
    if report.spent is not None:
        parts += ["", "## What the slimming itself took", "", f"{paid(report.spent)}."]
    hears = report.original.score is not None and report.original.score.task == "audio-classification"
    if load := HEARS if hears and report.target == "dense" else LOADS.get(report.target):
        parts += ["", "## Use", "", f"Runs in {getattr(targets[report.target], 'runs_in', '')}.", "", "```"]
        parts += [load.format(name=Path(report.path).name), "```"]
    return "\n".join(parts) + "\n"


def _front(report: Report) -> list[str]:
    """YAML: the original's licence, language and task, and what this is."""
    beside = Path(report.source) / "README.md"
    try:
        own = FRONT.match(beside.read_text(encoding="utf-8")) if beside.is_file() else None
    except (OSError, UnicodeDecodeError):
        own = None
    found = dict(KEPT.findall(own.group(1))) if own else {}
    settings = [o.setting for o in report.variant.outcomes.values()]
    tags = {
        "slim-studio": True, report.target: report.target in ("gguf", "onnx"), "quantized": any(s.quantize for s in settings),
        "pruned": any(s.prune for s in settings),
    }  # fmt: skip
    return ["---", *(f"{k}: {v.strip()}" for k, v in found.items()), "tags:", *(f"- {t}" for t, so in tags.items() if so), "---"]


def _first(report: Report) -> str:
    a, b = report.original.size.total, report.variant.size.total
    return f"Made with Slim Studio from `{_plain(Path(report.source).name)}`: {b:,} bytes, {a / max(b, 1):.2f} times smaller."


def _figures(report: Report) -> Iterator[str]:
    """Original beside variant, a row a figure."""
    a, b = report.original, report.variant
    yield from ("| | original | this | |", "|---|---|---|---|", f"| bytes | {a.size.total:,} | {b.size.total:,} | exact |")
    for key, m in b.score.metrics.items() if a.score and b.score else ():
        label, better, _ = METRICS.get(key, (key, "low", ""))
        before = a.score.metrics.get(key) if a.score else None
        old = f"{before.value:.4g} ± {before.error:.2g}" if before else "–"
        how = f"measured on {b.score.n} {b.score.unit} of {_plain(Path(b.score.data).name)}; {better} is better" if b.score else ""
        yield f"| {label} | {old} | {m.value:.4g} ± {m.error:.2g} | {how} |"
    if (t := report.latency) is not None:
        yield f"| ms, {t.what} | {1e3 * t.before.value:.4g} | {1e3 * t.after.value:.4g} | measured on the machine that made it |"
    if a.energy and b.energy:
        less, how = ratio(a.energy, b.energy), LEVELS.get(b.energy.level, b.energy.level)
        told = f"modelled ({how}) on {b.energy.device or 'laptop'}; {less.value:.3g} times less ({less.low:.3g} to {less.high:.3g}, 90 %)"
        yield f"| J a {b.energy.unit} | {a.energy.joules:.3g} | {b.energy.joules:.3g} | {told} |"
    if (c := report.carbon) is not None:
        yield f"| g CO2e a million {c.unit}s | {c.before.value:.3g} | {c.after.value:.3g} | {_plain(c.how)} |"


def _done(report: Report) -> Iterator[str]:
    """Layers of one treatment in a line."""
    treated = Counter(_treatment(o) for o in report.variant.outcomes.values())
    yield from (f"{n} layer{'s' * (n > 1)}: {told}" for told, n in treated.most_common())
    plan = report.variant.plan
    if cuts := {k: v for k, v in plan.cuts.items() if v and v is not True}:
        yield "cut out: " + ", ".join(f"{k} {v}" for k, v in cuts.items())
    if plan.recover:
        yield f"trained afterwards: {plan.recover}"


def _treatment(o: Outcome) -> str:
    s = o.setting
    size = s.quantize_knobs.get("group_size") if s.quantize else None
    said = [f"{s.bits} bits by {s.quantize}" + (f" in groups of {size}" if size else "")] if s.quantize else []
    said += [f"{s.amount:.0%} pruned by {s.prune}"] if s.prune and s.amount else []
    return ", ".join(said) or "left as they were"


def _plain(text: str) -> str:
    """Text out of a file's name or a tool's answer, without what Markdown or HTML would take for its own."""
    return re.sub(r"[`|<>*_\[\]\\\n\r]", lambda m: f"&#{ord(m.group())};" if m.group() not in "\n\r`" else " ", text)
