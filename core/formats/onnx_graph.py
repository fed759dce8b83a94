"""The graph of a model as torch traced it, without its weights: where each is read, and how many bytes a plan makes of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..resources import cache_root
from ..types import Checkpoint
from .onnx_file import BESIDE, MODEL, PRODUCER, TYPES, framed, length, parted, whole
from .onnx_forms import AXES, MIDDLE, ONE, STEP, TINY, Call, Form, Use, fragment
from .onnx_static import Static, static

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

CODE = "1"  # raise it when traces change
FILE = "graph.onnx"


def home(checkpoint: Checkpoint) -> Path:
    """Where the trace of this network is kept; it hangs on the network and on the packages that trace, never on the values of weights."""
    found: Path | None = checkpoint.kept.get("onnx home")
    if found is None:
        from importlib.metadata import version

        said = [CODE, *(f"{p} {version(p)}" for p in ("torch", "transformers", "onnx", "onnxscript"))]
        rows = sorted([t.name, list(t.shape), t.dtype[0] in "IU"] for t in checkpoint.tensors.values())
        files = () if checkpoint.config.get("model_type") else (checkpoint.path, Path(checkpoint.factory.rpartition(":")[0]))
        beside = [_stamp(f) for f in files]
        text = json.dumps([said, checkpoint.config, dict(checkpoint.tied), rows, checkpoint.factory, beside], sort_keys=True, default=str)
        found = checkpoint.kept["onnx home"] = cache_root() / "derived" / hashlib.sha256(text.encode()).hexdigest()
    return found


def _stamp(path: Path) -> list[Any]:
    """A file whose contents describe the network."""
    return [str(path), path.stat().st_mtime_ns, path.stat().st_size] if path.is_file() else []


def traced(checkpoint: Checkpoint) -> Graph | None:
    """The trace, if there is one already; core/onnx_trace.py makes it."""
    found: Graph | None = checkpoint.kept.get("onnx")
    if found is None and (home(checkpoint) / FILE).is_file():
        import onnx

        found = checkpoint.kept["onnx"] = Graph(onnx.load(home(checkpoint) / FILE), frozenset(checkpoint.tensors))
    return found


@dataclass(frozen=True)
class Graph:
    """A traced model whose weights are inputs under the names of their tensors."""

    model: ModelProto
    tensors: frozenset[str]
    known: dict[tuple[str, Form], int] = field(default_factory=dict, compare=False)  # bytes of a layer with its values
    statics: dict[tuple[str, ...], Static] = field(default_factory=dict, compare=False)  # the last one

    @cached_property
    def weights(self) -> frozenset[str]:
        """Tensors the graph reads; others have no place in it."""
        return frozenset(v.name for v in self.model.graph.input) & self.tensors

    @cached_property
    def uses(self) -> Mapping[str, Use]:
        nodes = self.model.graph.node
        readers: dict[str, list[int]] = {}
        for i, n in enumerate(nodes):
            for v in n.input:
                readers.setdefault(v, []).append(i)
        return {w: _use(w, nodes, readers) for w in self.weights}

    @cached_property
    def own(self) -> frozenset[int]:
        """Nodes that belong to a weight, which a plan may replace."""
        return frozenset(i for u in self.uses.values() for i in (*u.drop, *(c.at for c in u.calls)))

    @cached_property
    def base(self) -> int:
        """Bytes of the graph apart from its weights and their nodes."""
        g = self.model.graph
        items: list[Any] = [*g.initializer, *(v for v in g.input if v.name not in self.weights), *g.output]
        items += [n for i, n in enumerate(g.node) if i not in self.own]
        return sum(framed(x.ByteSize()) for x in items) + framed(len(g.name.encode()))

    def static(self, forms: Mapping[str, Form]) -> Static | None:
        """The graph with its layers in static integers; None without any."""
        names = tuple(sorted(n for n, f in forms.items() if f.kind.startswith("static")))
        if not names:
            return None
        found = self.statics.get(names)
        if found is None:
            self.statics.clear()
            found = self.statics[names] = static(self._replaced(forms), names, self.weights, (v.name for v in self.model.graph.output))
        return found

    def nbytes(self, forms: Mapping[str, Form], limit: int) -> int:
        """Bytes of the file; of both, where it would be larger than `limit` and its weights lie beside it."""
        one = self._one(forms)
        if one <= limit:
            return one
        model, _, beside = parted(self.assembled(forms), MODEL + BESIDE)
        return whole(model) + beside

    def _one(self, forms: Mapping[str, Form]) -> int:
        """Bytes of all in one file, by protobuf's rules: every item of the graph with a byte of tag and its length before it."""
        if any(f.kind.startswith("static") for f in forms.values()):
            return whole(self.assembled(forms))
        found = sum(self._layer(n, f) for n, f in forms.items()) + self.base
        if any(f.kind == "integer" for f in forms.values()):
            found += sum(framed(length(t)) for t in shared())
        rest = sum(framed(x.ByteSize()) for x in self.imports(forms)) + framed(len(PRODUCER)) + 2  # ir_version: tag and number
        return rest + framed(found)

    def imports(self, forms: Mapping[str, Form]) -> list[Any]:
        """Operator sets; onnxruntime's own only where it is needed."""
        from onnx.helper import make_opsetid

        own = [make_opsetid("com.microsoft", 1)] if any(f.kind == "nbits" for f in forms.values()) else []
        return [*(make_opsetid(o.domain, o.version) for o in self.model.opset_import), *own]

    def _layer(self, name: str, form: Form) -> int:
        """Bytes of a layer's initializers and nodes."""
        found = self.known.get((name, form))
        if found is None:
            tensors = sum(framed(length(t)) for t in initializers(name, form))
            found = self.known[name, form] = tensors + sum(framed(n.ByteSize()) for n in self._nodes(name, form))
        return found

    def _nodes(self, name: str, form: Form) -> list[NodeProto]:
        made, use, nodes = fragment(name, self.uses[name], form), self.uses[name], self.model.graph.node
        if made is None or not made.at:
            kept = [nodes[i] for i in (*use.drop, *(c.at for c in use.calls))]
            return [*(made.before if made else []), *kept]
        return [*made.before, *(n for c in use.calls for n in made.at[c.at])]

    def assembled(self, forms: Mapping[str, Form]) -> ModelProto:
        """The model of a plan: its initializers have type, shape and name, and wait for their values."""
        from onnx import ModelProto

        out = ModelProto(ir_version=self.model.ir_version, producer_name=PRODUCER)
        out.opset_import.extend(self.imports(forms))
        g, old = out.graph, self.model.graph
        g.name = old.name
        still = self.static(forms)
        g.node.extend(still.nodes if still else self._replaced(forms))
        g.initializer.extend(old.initializer)
        g.initializer.extend(t for v in (still.values if still else ()) for t in rounding(v))
        g.initializer.extend(shared() if any(f.kind == "integer" for f in forms.values()) else ())
        g.initializer.extend(t for n, f in forms.items() for t in initializers(n, f))
        g.input.extend(v for v in old.input if v.name not in self.weights)
        g.output.extend(old.output)
        return out

    def _replaced(self, forms: Mapping[str, Form]) -> list[NodeProto]:
        """The traced nodes with those of the layers that are stored in another way."""
        made = {n: fragment(n, self.uses[n], f) for n, f in forms.items()}
        places = {i: nodes for m in made.values() if m for i, nodes in m.at.items()}
        gone = {i for n, m in made.items() if m and m.at for i in self.uses[n].drop}
        out = [n for m in made.values() if m for n in m.before]
        for i, n in enumerate(self.model.graph.node):
            out += () if i in gone else places.get(i, [n])
        return out


def rounding(value: str, scale: float = 1.0, zero: int = 0) -> list[TensorProto]:
    """Scale and zero point of a value that is rounded to 8 bits; the numbers change no byte's place."""
    import numpy as np
    from onnx.numpy_helper import from_array

    return [from_array(np.array(scale, np.float32), f"{value}_qs"), from_array(np.array(zero, np.uint8), f"{value}_qz")]


def initializers(name: str, form: Form) -> list[TensorProto]:
    """Headers of a layer's tensors."""
    from onnx import TensorProto

    return [TensorProto(name=name + end, data_type=TYPES[d], dims=shape) for end, (d, shape) in form.tensors().items()]


def shared() -> list[TensorProto]:
    """Constants of the layers whose activations become integers: the last axis, what a token of zeros is divided by, and 7 bits' steps."""
    import numpy as np
    from onnx.numpy_helper import from_array

    floats = {TINY: 1e-30, STEP: 1 / 63.5, ONE: 1.0}
    found = [from_array(np.array([-1], np.int64), AXES), *(from_array(np.array(v, np.float32), n) for n, v in floats.items())]
    return [*found, from_array(np.array(64, np.uint8), MIDDLE)]


def _use(name: str, nodes: Any, readers: Mapping[str, list[int]]) -> Use:
    """What the graph does with a weight."""
    drop: list[int] = []
    calls: list[Call] = []
    for i in readers.get(name, []):
        n = nodes[i]
        if n.op_type == "Transpose" and [list(a.ints) for a in n.attribute] == [[1, 0]]:
            products = [nodes[j] for j in readers.get(n.output[0], [])]
            if not all(p.op_type == "MatMul" and p.input[1] == n.output[0] != p.input[0] for p in products):
                return Use("other")
            drop.append(i)
            calls += [Call(j, nodes[j].input[0], nodes[j].output[0]) for j in readers[n.output[0]]]
        elif n.op_type == "Conv" and n.input[1] == name and len(readers[name]) == 1:
            return Use("conv", (), (Call(i, n.input[0], n.output[0]),))
        elif n.op_type == "Gemm" and n.input[1] == name and _plain(n):
            calls.append(Call(i, n.input[0], n.output[0], n.input[2] if len(n.input) > 2 else ""))
        else:
            return Use("other")
    return Use("linear", tuple(drop), tuple(calls)) if calls else Use("other")


def _plain(gemm: NodeProto) -> bool:
    """x Wᵀ + bias and nothing else."""
    found = {a.name: a.f if a.name in ("alpha", "beta") else a.i for a in gemm.attribute}
    return found.get("transB") == 1 and not found.get("transA") and found.get("alpha", 1) == found.get("beta", 1) == 1


def stripped(graph: GraphProto, weights: set[str]) -> None:
    """Drop what only the tracer wants to know: source lines of every node, the types of what lies between, and weights nobody reads."""
    read = {v for n in graph.node for v in n.input}
    kept = [v for v in graph.input if v.name in read or v.name not in weights]
    del graph.value_info[:], graph.input[:]
    graph.input.extend(kept)
    for x in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        x.ClearField("doc_string")
        x.ClearField("metadata_props")
    for n in graph.node:
        n.ClearField("name")
