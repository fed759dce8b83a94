"""Collect every text of the window, and every text of the engine that the window shows, and compile the Chinese translation."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TS = HERE / "studio_zh_CN.ts"
WORDS = HERE / "zh_CN.json"  # English -> Chinese, kept by hand


def main() -> int:
    """Rewrite the .ts and .qm files; the exit status says how many texts have no translation."""
    tool = Path(sys.executable).parent
    files = sorted(str(p) for p in (ROOT / "studio").rglob("*.py"))
    TS.unlink(missing_ok=True)
    subprocess.run(
        [tool / "pyside6-lupdate", *files, "-no-obsolete", "-locations", "none", "-ts", str(TS)], check=True, capture_output=True
    )
    tree = ET.parse(TS)
    _add_core(tree.getroot())
    missing = _fill(tree.getroot(), json.loads(WORDS.read_text()) if WORDS.exists() else {})
    tree.getroot().set("language", "zh_CN")
    ET.indent(tree)
    tree.write(TS, encoding="utf-8", xml_declaration=True)
    subprocess.run([tool / "pyside6-lrelease", str(TS), "-qm", str(TS.with_suffix(".qm"))], check=True, capture_output=True)
    print("\n".join(missing))
    return len(missing)


def _add_core(root: ET.Element) -> None:
    """The engine's own words: what methods, knobs, formats, metrics and protections are called."""
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name").text = "core"
    for text in core_words():
        ET.SubElement(ET.SubElement(context, "message"), "source").text = text


def core_words() -> list[str]:
    """Every text of the engine that the window shows through `words.word`."""
    sys.path.insert(0, str(ROOT))
    from core.formats import targets
    from core.layers import WHY
    from core.prune import pruners
    from core.quantize import quantizers
    from core.registry import knobs
    from core.types import METRICS

    found = [t for label, _, why in METRICS.values() for t in (label, why)] + list(WHY.values())
    for registry in (pruners, quantizers, targets):
        for name, method in registry.items():
            found += [
                getattr(method, "title", name),
                (method.__doc__ or "").strip(),
                getattr(method, "runs_in", ""),
                getattr(method, "note", ""),
            ]
            found += [
                t for k in knobs(method) for t in (k.label or k.name.replace("_", " "), *(c for c in k.choices if isinstance(c, str)))
            ]
    return sorted({t for t in found if t})


def _fill(root: ET.Element, words: dict[str, str]) -> list[str]:
    """Put the Chinese beside each English text; what has none is returned and left unfinished."""
    missing = []
    for message in root.iter("message"):
        source = message.findtext("source") or ""
        for old in message.findall("translation"):
            message.remove(old)
        done = ET.SubElement(message, "translation")
        if source in words:
            done.text = words[source]
        else:
            done.set("type", "unfinished")
            missing.append(source)
    return missing


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
