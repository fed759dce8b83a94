"""How a layer stands in an ONNX file: which initializers it takes and which operators read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import NodeProto

OWN = "com.microsoft"  # onnxruntime's own operators
AXES, TINY, STEP, ONE, MIDDLE = "slim.axes", "slim.tiny", "slim.step", "slim.one", "slim.middle"  # of all layers with dynamic activations


@dataclass(frozen=True, slots=True)
class Form:
    """One layer's way of being stored, from headers alone."""

    kind: str  # "dense", "folded" (codes that become floats when loaded), "nbits", "integer", "static", "static conv"
    shape: tuple[int, ...]
    dtype: str  # of a dense tensor, or of the scales
    bits: int = 0  # of a field in the file: 4 or 8
    given: int = 0  # bits of the codes the quantizer made
    groups: int = 1  # scales in a row
    zeros: bool = False  # whether every group has a zero point of its own
    fast: bool = False  # MatMulNBits may round the activations to 8 bits

    @property
    def width(self) -> int:
        return prod(self.shape) // max(1, self.shape[0])

    @property
    def block(self) -> int:
        return self.width // self.groups

    def tensors(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """What follows the tensor's name -> (type, shape), in the file's order."""
        out = self.shape[0] if self.shape else 1
        if self.kind == "dense":
            return {"" if self.plain else "_stored": (self.dtype, self.shape)}
        if self.kind == "nbits":
            zero = {"_zero": ("U8", (out, -(-self.groups * self.bits // 8)))} if self.zeros else {}
            return {"_codes": ("U8", (out, self.groups, self.block * self.bits // 8)), "_scale": (self.dtype, (out, self.groups)), **zero}
        if self.kind == "integer":
            found: dict[str, tuple[str, tuple[int, ...]]] = {"_codes": ("I8", (self.width, out)), "_scale": (self.dtype, (out,))}
            return {**found, "_zero": ("I8", (out,))} if self.zeros else found
        if self.kind.startswith("static"):
            conv = self.kind != "static"
            still = {"_codes": ("U8", self.shape if conv else (self.width, out)), "_scale": ("F32", (out,)), "_zero": ("U8", (out,))}
            return {**still, "_bias": ("I32", (out,)), "_bias_scale": ("F32", (out,))} if conv else still
        cut = self.groups > 1
        one = (out, self.groups, 1) if cut else (out, *[1] * (len(self.shape) - 1))
        codes = (out, self.groups, self.block) if cut else self.shape
        whole = {"_codes": ("U8", codes), "_scale": (self.dtype, one), "_zero": ("U8", one if self.zeros else ())}
        return {**whole, "_shape": ("I64", (len(self.shape),))} if cut else whole

    @property
    def plain(self) -> bool:
        """Whether the graph reads the tensor as it is stored."""
        return self.dtype == "F32" or self.dtype[0] in "IU" or self.dtype == "BOOL"


@dataclass(frozen=True, slots=True)
class Call:
    """One product of a weight in the graph: y = x Wᵀ (+ bias)."""

    at: int
    x: str
    y: str
    bias: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """Where the graph reads a weight; `op` "linear": only in products with its transpose."""

    op: str
    drop: tuple[int, ...] = ()  # nodes that fall away with the weight itself: its transpose
    calls: tuple[Call, ...] = ()


@dataclass
class Fragment:
    """The nodes one layer adds: before all others, and in the place of its products."""

    before: list[NodeProto] = field(default_factory=list)
    at: dict[int, list[NodeProto]] = field(default_factory=dict)


def fragment(name: str, use: Use, form: Form) -> Fragment | None:
    """None: the graph's own nodes read the tensor as it is."""
    if form.kind.startswith("static"):
        return None  # written into the whole graph at once (onnx_static.py)
    if form.kind == "dense":
        return None if form.plain else Fragment([_node("Cast", [f"{name}_stored"], name, to=1)])
    if form.kind == "folded":
        return Fragment(_folded(name, form))
    scale, before = _scale(name, form)
    product = _nbits if form.kind == "nbits" else _integer
    return Fragment(before, {c.at: product(name, scale, form, c) for c in use.calls})


def _node(op: str, inputs: list[str], out: str, domain: str = "", **attributes: Any) -> NodeProto:
    from onnx.helper import make_node

    node = make_node(op, inputs, [out], domain=domain or None, **attributes)
    return node


def _scale(name: str, form: Form) -> tuple[str, list[NodeProto]]:
    """The scales in float32."""
    if form.dtype == "F32":
        return f"{name}_scale", []
    return f"{name}_wide", [_node("Cast", [f"{name}_scale"], f"{name}_wide", to=1)]


def _folded(name: str, form: Form) -> list[NodeProto]:
    """(codes - zero) * scale out of constants, which every runtime works out once while it loads: the weights as floats."""
    scale, nodes = _scale(name, form)
    nodes += [_node("Cast", [f"{name}_codes"], f"{name}_c", to=1), _node("Cast", [f"{name}_zero"], f"{name}_z", to=1)]
    nodes.append(_node("Sub", [f"{name}_c", f"{name}_z"], f"{name}_d"))
    if form.groups == 1:
        return [*nodes, _node("Mul", [f"{name}_d", scale], name)]
    return [*nodes, _node("Mul", [f"{name}_d", scale], f"{name}_g"), _node("Reshape", [f"{name}_g", f"{name}_shape"], name)]


def _nbits(name: str, scale: str, form: Form, c: Call) -> list[NodeProto]:
    inputs = [c.x, f"{name}_codes", scale] + ([f"{name}_zero"] if form.zeros else [])
    how = {"K": form.width, "N": form.shape[0], "bits": form.bits, "block_size": form.block, "accuracy_level": 4 if form.fast else 1}
    out = f"{c.y}_p" if c.bias else c.y
    return [_node("MatMulNBits", inputs, out, OWN, **how), *_biased(out, c)]


def _integer(name: str, scale: str, form: Form, c: Call) -> list[NodeProto]:
    """Each token in steps of a 63.5th of its largest magnitude: 0 to 128 about 64, as core/int8.py runs it. 7 bits, because two products of
    8-bit activations and signed weights overflow the 16 bits in which CPUs without VNNI add them (errors of 0.7 standard deviations were
    measured); 128 · 127 · 2 does not, and the kernel for signed weights is the fast one."""
    y = c.y
    out = f"{y}_p" if c.bias else y
    zero = [f"{name}_zero"] if form.zeros else []
    return [
        _node("Abs", [c.x], f"{y}_a"), _node("ReduceMax", [f"{y}_a", AXES], f"{y}_r", keepdims=1),
        _node("Max", [f"{y}_r", TINY], f"{y}_t"), _node("Mul", [f"{y}_t", STEP], f"{y}_m"), _node("Div", [c.x, f"{y}_m"], f"{y}_x"),
        _node("QuantizeLinear", [f"{y}_x", ONE, MIDDLE], f"{y}_q"),
        _node("MatMulInteger", [f"{y}_q", f"{name}_codes", MIDDLE, *zero], f"{y}_i"),
        _node("Cast", [f"{y}_i"], f"{y}_f", to=1), _node("Mul", [f"{y}_f", scale], f"{y}_u"),
        _node("Mul", [f"{y}_u", f"{y}_m"], out), *_biased(out, c),
    ]  # fmt: skip


def _biased(out: str, c: Call) -> list[NodeProto]:
    return [_node("Add", [out, c.bias], c.y)] if c.bias else []
