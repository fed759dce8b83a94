"""Collect every text the window shows, its own and the engine's, and compile the Chinese translation.

A new text needs three steps, and the test that fails without them (tests/studio/test_translation.py) lists what is missing:
write it in the window through `self.tr(...)`, `QCoreApplication.translate(...)` or QT_TRANSLATE_NOOP (the engine's own titles, docstrings,
knobs, phases and sentences are found by themselves), add "English": "中文" to zh_CN.json with the same {placeholders}, and run
`python resources/translations/update.py`, which rewrites the .ts, .qm and sentences.json beside it; commit all four files.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import product
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TS = HERE / "studio_zh_CN.ts"
WORDS = HERE / "zh_CN.json"  # English -> Chinese, kept by hand
SENTENCES = HERE / "sentences.json"  # the engine's composed sentences, for words.said
TELLING = (  # they answer with a sentence
    "how", "refuses", "runnable", "why", "widths", "_widths", "_head_widths", "_proposal", "calibrating", "_apart", "_images",
    "unfit", "detail", "_foreign", "_unknown", "unsafe", "_odd", "_random", "cannot", "offer", "_same",
    "told", "_worded", "_fixed", "unlike", "_words", "_classes", "_pictures", "staged",
)  # fmt: skip
SPEAKING = {"note": 0, "detail": 0, "Check": 2, "_batches": 0}  # calls of the engine whose argument is such a sentence


def main() -> int:
    """Rewrite the generated files; the exit status says whether a text has no translation."""
    tree = collect()
    words = chinese()
    missing = _fill(tree, words)
    said = sentences()
    SENTENCES.write_text(json.dumps(said, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    ET.indent(tree)
    ET.ElementTree(tree).write(TS, encoding="utf-8", xml_declaration=True)
    subprocess.run([_tool("lrelease"), str(TS), "-qm", str(TS.with_suffix(".qm"))], check=True, capture_output=True)
    for text in missing:
        print(json.dumps(text, ensure_ascii=False) + ': "",')
    return 1 if missing else 0


def chinese() -> dict[str, str]:
    """English -> Chinese, as kept by hand."""
    return json.loads(WORDS.read_text(encoding="utf-8")) if WORDS.exists() else {}


def collect() -> ET.Element:
    """The untranslated .ts: the window's texts by lupdate, its actions' docstrings, the engine's words and sentences."""
    files = sorted(str(p) for p in (ROOT / "studio").rglob("*.py"))
    with tempfile.TemporaryDirectory() as aside:
        found = Path(aside) / TS.name
        subprocess.run([_tool("lupdate"), *files, "-no-obsolete", "-locations", "none", "-ts", str(found)], check=True, capture_output=True)
        root = ET.parse(found).getroot()
    root.set("language", "zh_CN")
    _add(root, "actions", tips())
    _add(root, "core", sorted({*core_words(), *phases(), *sentences()}))
    return root


def texts() -> list[str]:
    """All of them, once each."""
    return sorted({message.findtext("source") or "" for message in collect().iter("message")})


def _tool(name: str) -> Path:
    return Path(sys.executable).parent / f"pyside6-{name}"


def _add(root: ET.Element, name: str, found: list[str]) -> None:
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name").text = name
    for text in found:
        ET.SubElement(ET.SubElement(context, "message"), "source").text = text


def tips() -> list[str]:
    """What the menus' entries say of themselves: the docstrings of the functions decorated with @action."""
    found = [f for p in (ROOT / "studio" / "actions").glob("*.py") for f in ast.walk(ast.parse(p.read_text(encoding="utf-8")))]
    functions = [f for f in found if isinstance(f, ast.FunctionDef) and any("action" in ast.unparse(d) for d in f.decorator_list)]
    return sorted({text for f in functions if (text := ast.get_docstring(f))})


def core_words() -> list[str]:
    """Every name of the engine that the window shows through `words.word`."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from core.cached import shelves
    from core.cut import Cut
    from core.formats import targets
    from core.layers import WHY
    from core.prune import pruners
    from core.quantize import quantizers
    from core.recover.free import GAINS, MEANS, NORMS, SCALES
    from core.recover.methods import recoveries
    from core.registry import knobs
    from core.types import METRICS
    from studio.words import tidy

    found = [t for label, _, why in METRICS.values() for t in (label, why)] + list(WHY.values())
    found += ["tokens", "images", "sentences", "token", "sample", "arithmetic", "weights", "activations", "True", "False", "Running"]
    found += [s.what.capitalize() for s in shelves()] + [NORMS, MEANS, SCALES, GAINS]
    found += [tidy(Cut.__doc__ or ""), *(k.label for k in knobs(Cut))]
    for registry in (pruners, quantizers, recoveries, targets):
        for name, method in registry.items():
            found += [getattr(method, "title", name), tidy(method.__doc__ or "")]
            found += [getattr(method, "runs_in", ""), getattr(method, "note", "")]
            for k in knobs(method):
                plain = k.name.replace("_", " ")
                found += [k.label or plain, k.label or plain.capitalize(), k.unit]
                found += [c for c in k.choices if isinstance(c, str)]
    return sorted({t for t in found if t})


def phases() -> list[str]:
    """The names of the steps that jobs report: `job.track(items, "Compressing")`."""
    calls = [c for c in _nodes(ROOT / "core", ROOT / "studio") if isinstance(c, ast.Call) and _name(c.func) == "track" and len(c.args) > 1]
    passed = [c for c in _nodes(ROOT / "core") if isinstance(c, ast.Call) and _name(c.func) == "_batches" and c.args]
    return sorted({text for c in calls for text in templates(c.args[1])} | {text for c in passed for text in templates(c.args[0])})


def sentences() -> list[str]:
    """What the engine says in whole sentences, with {0}, {1} where a file, a layer or a figure is put in."""
    found: set[str] = set()
    for node in _nodes(ROOT / "core"):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            found.update(templates(node.exc.args[0]))
        elif isinstance(node, ast.Call) and (at := SPEAKING.get(_name(node.func), -1)) >= 0 and len(node.args) > at:
            found.update(t for arg in node.args[: at + 1] for t in templates(arg))
        elif isinstance(node, ast.FunctionDef) and node.name in TELLING:
            inside = (n for s in node.body[bool(ast.get_docstring(node)) :] for n in ast.walk(s))
            found.update(t for n in inside if isinstance(n, (ast.Return, ast.Assign, ast.AugAssign, ast.Dict)) for t in _answers(n))
    return sorted(t for t in found if " " in t.strip() and any(c.isalpha() for c in t.replace("{", "")))


def _answers(node: ast.Return | ast.Assign | ast.AugAssign | ast.Dict) -> list[str]:
    values = node.values if isinstance(node, ast.Dict) else [node.value]
    inside = ((v, v.elts if isinstance(v, ast.Tuple) else v.args if isinstance(v, ast.Call) else []) for v in values)
    values = [within[-1] if within else v for v, within in inside]
    return [t for v in values if v is not None for t in templates(v)]


def templates(node: ast.expr) -> list[str]:
    """The texts an expression may give; what is only known when it runs becomes {0}, {1} in order; [] when nothing is written out."""
    found = []
    for parts in _parts(node):
        count = iter(range(99))
        text = "".join(p.replace("{", "{{").replace("}", "}}") if p is not None else f"{{{next(count)}}}" for p in parts)
        if any(p and p.strip() for p in parts):
            found.append(text)
    return found


def _parts(node: ast.expr) -> list[list[str | None]]:
    """The alternatives of an expression, each as written pieces and None for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [[node.value]]
    if isinstance(node, ast.JoinedStr):
        return [[p.value if isinstance(p, ast.Constant) else None for p in node.values]]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a, b in product(_parts(node.left), _parts(node.right))]
    if isinstance(node, ast.List):
        return [p for e in node.elts for p in _parts(e)]
    if isinstance(node, ast.BoolOp):
        return [p for e in node.values for p in _parts(e)]
    if isinstance(node, ast.IfExp):
        return _parts(node.body) + _parts(node.orelse)
    return [[None]]


def _nodes(*folders: Path) -> Iterator[ast.AST]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def _name(call: ast.expr) -> str:
    return call.attr if isinstance(call, ast.Attribute) else call.id if isinstance(call, ast.Name) else ""


def _fill(root: ET.Element, words: dict[str, str]) -> list[str]:
    """Put the Chinese beside each English text; what has none is returned and left unfinished."""
    missing: dict[str, None] = {}
    for message in root.iter("message"):
        source = message.findtext("source") or ""
        for old in message.findall("translation"):
            message.remove(old)
        done = ET.SubElement(message, "translation")
        if source in words:
            done.text = words[source]
        else:
            done.set("type", "unfinished")
            missing[source] = None
    return list(missing)


if __name__ == "__main__":
    sys.exit(main())
