"""Static integers in an ONNX graph: QuantizeLinear and DequantizeLinear about every product, so that runtimes compute it in integers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

ENDS = ("Relu", "Clip")  # activations that the limits of an 8-bit range do by themselves


@dataclass(frozen=True, slots=True)
class Site:
    """One product in integers: end = op(x, W) + bias."""

    conv: bool
    x: str
    before: str  # the value before the activation, in the graph as it was traced
    end: str
    bias: str = ""  # the tensor that is added, of a linear layer by a node that stays
    norm: tuple[str, ...] = ()  # scale, shift, mean and variance of the batch normalisation that goes into scales and bias
    epsilon: float = 0.0


@dataclass
class Static:
    """A graph with its static layers, and what it needs values for."""

    nodes: list[NodeProto]
    sites: dict[str, Site]
    values: tuple[str, ...] = ()  # that are rounded to 8 bits, each with a scale and a zero point
    gone: frozenset[str] = frozenset()  # tensors that went into others


@dataclass
class _Work:
    nodes: list[NodeProto]
    weights: frozenset[str]
    outputs: frozenset[str]
    readers: dict[str, list[int]] = field(default_factory=dict)
    drop: set[int] = field(default_factory=set)
    sites: dict[int, tuple[str, Site]] = field(default_factory=dict)
    whole: dict[str, int] = field(default_factory=dict)  # values that everybody reads rounded -> the node that makes them

    def sole(self, value: str) -> int | None:
        """The only node that reads a value."""
        found = self.readers.get(value, [])
        return found[0] if len(found) == 1 and value not in self.outputs else None


def static(nodes: Iterable[NodeProto], names: Iterable[str], weights: frozenset[str], outputs: Iterable[str]) -> Static:
    """The layers `names` in integers. Batch normalisation goes into a convolution's scales and bias, a ReLU into its output's range."""
    w = _Work(list(nodes), weights, frozenset(outputs))
    for i, n in enumerate(w.nodes):
        for v in n.input:
            w.readers.setdefault(v, []).append(i)
    for name in names:
        _find(w, name)
    values = dict.fromkeys([s.x for _, s in w.sites.values()] + list(w.whole))
    for i, n in enumerate(w.nodes):
        if n.op_type == "Add" and i not in w.drop and all(v in w.whole for v in n.input):
            end, ended = _ended(w, n.output[0])
            if end in values and end not in w.outputs:
                w.whole[end] = i
                w.drop |= ended
    gone = {t for _, s in w.sites.values() for t in (*s.norm, s.bias if s.conv else "") if t}
    return Static(_emitted(w, tuple(values)), dict(w.sites.values()), tuple(values), frozenset(gone))


def _find(w: _Work, name: str) -> None:
    """The one product of a weight."""
    at = w.readers.get(name, [])
    if len(at) != 1:
        return
    n = w.nodes[at[0]]
    if n.op_type == "Conv":
        _convolution(w, name, at[0])
    elif n.op_type == "Transpose" and (k := w.sole(n.output[0])) is not None:
        w.drop.add(at[0])
        product = w.nodes[k]
        w.sites[k] = name, Site(False, product.input[0], product.output[0], product.output[0], _added(w, product.output[0]))
    elif n.op_type == "Gemm":
        w.sites[at[0]] = name, Site(False, n.input[0], n.output[0], n.output[0], n.input[2] if len(n.input) > 2 else "")


def _added(w: _Work, value: str) -> str:
    """The weight that is added to a product by the only node that reads it."""
    k = w.sole(value)
    if k is None or w.nodes[k].op_type != "Add":
        return ""
    return next((v for v in w.nodes[k].input if v in w.weights and len(w.readers[v]) == 1), "")


def _convolution(w: _Work, name: str, i: int) -> None:
    n = w.nodes[i]
    value, norm, epsilon = n.output[0], (), 0.0
    k = w.sole(value)
    if k is not None and (b := w.nodes[k]).op_type == "BatchNormalization" and all(v in w.weights for v in b.input[1:]):
        value, norm, epsilon = b.output[0], tuple(b.input[1:]), next((a.f for a in b.attribute if a.name == "epsilon"), 1e-5)
        w.drop.add(k)
    end, ended = _ended(w, value)
    w.drop |= ended
    w.sites[i] = name, Site(True, n.input[0], value, end, n.input[2] if len(n.input) > 2 else "", norm, epsilon)
    if end not in w.outputs:
        w.whole[end] = i


def _ended(w: _Work, value: str) -> tuple[str, set[int]]:
    """The value after an activation that rounding does by itself, and that activation's node."""
    k = w.sole(value)
    if k is None or w.nodes[k].op_type not in ENDS or w.nodes[k].output[0] in w.outputs:
        return value, set()
    return w.nodes[k].output[0], {k}


def _emitted(w: _Work, values: tuple[str, ...]) -> list[NodeProto]:
    """All nodes in order, each rounded value behind the node that makes it."""
    from onnx import NodeProto
    from onnx.helper import make_node

    out: list[NodeProto] = []
    wanted, made = set(values), {i: v for v, i in w.whole.items()}

    def rounded(v: str) -> list[NodeProto]:
        scale = [f"{v}_qs", f"{v}_qz"]
        return [make_node("QuantizeLinear", [v, *scale], [f"{v}_q"]), make_node("DequantizeLinear", [f"{v}_q", *scale], [f"{v}_dq"])]

    produced = {v for n in w.nodes for v in n.output}
    for v in values:
        out += rounded(v) if v not in produced else []
    for i, n in enumerate(w.nodes):
        if i in w.drop and i not in made:
            continue
        new = NodeProto()
        new.CopyFrom(n)
        for k, v in enumerate(n.input):
            new.input[k] = f"{v}_dq" if v in w.whole else v
        if i in made or i in w.sites:
            new.output[0] = made[i] if i in made else w.sites[i][1].end
        out += _product(new, *w.sites[i]) if i in w.sites else [new]
        out += [x for v in new.output if v in wanted for x in rounded(v)]
    return out


def _product(n: NodeProto, name: str, s: Site) -> list[NodeProto]:
    """A product with its weight, and a convolution's bias, out of integers."""
    from onnx.helper import make_node

    axis = 0 if s.conv else 1
    parts = [make_node("DequantizeLinear", [f"{name}_codes", f"{name}_scale", f"{name}_zero"], [f"{name}_d"], axis=axis)]
    if s.conv:
        parts.append(make_node("DequantizeLinear", [f"{name}_bias", f"{name}_bias_scale"], [f"{name}_b"], axis=0))
        del n.input[:]
        n.input.extend([f"{s.x}_dq", f"{name}_d", f"{name}_b"])
        return [*parts, n]
    if n.op_type == "MatMul" or not s.bias:
        return [*parts, make_node("MatMul", [f"{s.x}_dq", f"{name}_d"], [s.end])]
    return [*parts, make_node("MatMul", [f"{s.x}_dq", f"{name}_d"], [f"{s.end}_p"]), make_node("Add", [f"{s.end}_p", s.bias], [s.end])]

