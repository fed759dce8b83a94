"""What the JSON of an exported program says of its weights: which operation each one feeds. Torch-free."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from ..types import Kind

ATEN = "torch.ops.aten."
CASTS = ("to.dtype", "_to_copy.default", "to.dtype_layout")
SAME = (*CASTS, "alias.default", "detach.default", "clone.default", "contiguous.default", "lift_fresh_copy.default")
TURNS = ("t.default", "numpy_T.default", "permute.default", "transpose.int")
SHAPING = (
    *SAME, "view.default", "reshape.default", "unsqueeze.default", "squeeze.dim", "select.int", "slice.Tensor", "_unsafe_view.default",
)  # fmt: skip
CONVS = (
    "conv1d.default", "conv2d.default", "conv3d.default", "convolution.default", "conv1d.padding", "conv2d.padding", "conv3d.padding",
    "conv_transpose1d.default", "conv_transpose2d.input", "conv_transpose3d.input",
)  # fmt: skip
NORMS = (
    "layer_norm.default", "native_layer_norm.default", "group_norm.default", "native_group_norm.default", "batch_norm.default",
    "_native_batch_norm_legit_no_training.default", "rms_norm.default", "instance_norm.default",
)  # fmt: skip
PRODUCTS = {"mm.default": "mat2", "addmm.default": "mat2", "matmul.default": "other"}  # the argument a transposed weight comes in by
SYMBOLS = {
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv",
    "ModularIndexing", "Where", "IntTrueDiv", "FloatTrueDiv", "PowByNatural", "FloatPow", "CeilToInt", "FloorToInt", "TruncToInt",
    "TruncToFloat", "RoundToInt", "ToFloat", "Identity", "LShift", "RShift", "Eq", "Ne", "Equality", "Unequality", "Not", "And", "Or",
    "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "Half", "One", "Zero", "NegativeOne",
}  # fmt: skip
PLAIN = ("parameter", "buffer", "tensor_constant")


def op(node: Mapping[str, Any]) -> str:
    """The ATen operation without its namespace ("linear.default"); "" for anything else."""
    target = str(node.get("target", ""))
    return target.removeprefix(ATEN) if target.startswith(ATEN) else ""


def given(node: Mapping[str, Any]) -> dict[str, Any]:
    """Argument name -> its JSON."""
    return {i["name"]: i["arg"] for i in node["inputs"]}


def tensor(arg: Any) -> str:
    """The name of the tensor an argument is; "" when it is none."""
    if not isinstance(arg, dict):
        return ""
    inner = arg.get("as_optional_tensor", arg)
    named = inner.get("as_tensor") if isinstance(inner, dict) else None
    return str(named.get("name", "")) if isinstance(named, dict) else ""


def made(node: Mapping[str, Any]) -> str:
    """The name of a node's first tensor."""
    return tensor(node["outputs"][0]) if node["outputs"] else ""


def lifted(program: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Graph input -> (kind, name) of the parameter, buffer or constant it stands for."""
    out = {}
    for spec in program["graph_module"]["signature"]["input_specs"]:
        kind, said = next(iter(spec.items()))
        if kind in PLAIN:
            out[str(said["arg"]["name"])] = (kind, str(said[f"{kind}_name"]))
    return out


def turns(node: Mapping[str, Any]) -> bool:
    """Whether the node swaps the two dimensions of a matrix."""
    args = given(node)
    if op(node) == "permute.default":
        return args["dims"].get("as_ints") in ([1, 0], [-1, 0], [-1, -2], [1, -2])
    if op(node) == "transpose.int":
        return {args[d].get("as_int", 9) % 2 for d in ("dim0", "dim1")} == {0, 1}
    return op(node) in TURNS


def kinds(program: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], tied: Mapping[str, str]) -> dict[str, Kind]:
    """Weight -> what it does in the graph, whatever its name is; weights that no known operation takes are not in it."""
    try:
        return _kinds(program, shapes, tied)
    except (KeyError, TypeError, AttributeError, IndexError, StopIteration):
        return {}  # a graph that can't be followed: names and shapes tell, as for a file of weights alone


def _kinds(program: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], tied: Mapping[str, str]) -> dict[str, Kind]:
    straight = {p: at for p, (_, name) in lifted(program).items() if (at := tied.get(name, name)) in shapes}
    turned: dict[str, str] = {}
    makers: dict[str, Any] = {}
    out: dict[str, Kind] = {}
    for node in program["graph_module"]["graph"]["nodes"]:
        what, args = op(node), given(node)
        first = next((t for a in args.values() if (t := tensor(a))), "")
        makers[made(node)] = node
        if what in SAME:
            straight |= {made(node): straight[first]} if first in straight else {}
            turned |= {made(node): turned[first]} if first in turned else {}
        elif what in TURNS and first in straight and turns(node):
            turned[made(node)] = straight[first]
        for name, kind in _fed(what, args, straight, turned):
            if kind not in ("linear", "embedding") or len(shapes[name]) == 2:
                out[name] = "embedding" if out.get(name) == "embedding" else kind
    for name in _last(program, makers, straight, turned):
        out[name] = "head" if out.get(name) == "linear" else out.get(name, "other")
    return out


def _fed(what: str, args: Mapping[str, Any], straight: Mapping[str, str], turned: Mapping[str, str]) -> Iterator[tuple[str, Kind]]:
    """(weight, kind) of the weights one node takes."""
    kind: Kind | None = None
    if what == "linear.default":
        kind = "linear"
    elif what in CONVS:
        kind = "conv"
    elif what == "embedding.default":
        kind = "embedding"
    elif what in NORMS:
        kind = "norm"
    if kind and (name := straight.get(tensor(args.get("weight")))):
        yield name, kind
    if kind and (name := straight.get(tensor(args.get("bias")))):
        yield name, "bias"
    if what in PRODUCTS and (name := turned.get(tensor(args.get(PRODUCTS[what])))):
        yield name, "linear"


def _last(program: Mapping[str, Any], makers: Mapping[str, Any], straight: Mapping[str, str], turned: Mapping[str, str]) -> Iterator[str]:
    """Weights of the linears whose product is an output, apart from its shape."""
    for output in program["graph_module"]["graph"]["outputs"]:
        at = tensor(output)
        while at in makers and op(makers[at]) in SHAPING:
            at = next((t for a in given(makers[at]).values() if (t := tensor(a))), "")
        if at in makers:
            args, what = given(makers[at]), op(makers[at])
            name = straight.get(tensor(args.get("weight"))) if what == "linear.default" else turned.get(
                tensor(args.get(PRODUCTS.get(what, ""))))  # fmt: skip
            if name:
                yield name


def unsafe(program: Mapping[str, Any]) -> str:
    """What torch.export.load would run as Python when it reads this graph; "" when there is nothing of that kind.

    Measured in torch 2.13: shape expressions go through sympy.sympify, which is eval; guards_code through exec; an operator's name is
    looked up from the module torch on (torch.os.system is one); so a graph is only handed to it when it holds ATen calls and arithmetic."""
    for guard in program.get("guards_code") or ():
        if not _arithmetic(guard):
            return "a guard that is no comparison of sizes"
    stack: list[Any] = [program]
    while stack:
        x = stack.pop()
        if isinstance(x, dict):
            if "target" in x and "inputs" in x and (why := _foreign(x["target"])):
                return why
            if "expr_str" in x and not _symbolic(x["expr_str"]):
                return f"a shape expression that is no arithmetic ({str(x['expr_str'])[:40]})"
            if "as_custom_obj" in x or "as_operator" in x:
                return "an object of its own"
            stack += x.values()
        elif isinstance(x, list):
            stack += x
    return ""


def _foreign(target: Any) -> str:
    parts = str(target).split(".")
    known = str(target) in (*HIGHER, *SIZES)
    if parts[:3] == ["torch", "ops", "aten"] and len(parts) == 5:
        known = parts[3] != "from_file" and not parts[4].startswith("_") and (not parts[3].startswith("__") or parts[3] in LOGIC)
    elif len(parts) == 2 and parts[0] in ("_operator", "math"):
        known = not parts[1].startswith("__")
    return "" if known else f"the operation {str(target)[:60]}"


LOGIC = ("__and__", "__or__", "__xor__", "__lshift__", "__rshift__")
HIGHER = (
    "torch.ops.higher_order.wrap_with_set_grad_enabled", "torch.ops.higher_order.wrap_with_autocast", "torch.ops.higher_order.cond",
)  # fmt: skip
SIZES = ("torch.sym_max", "torch.sym_min", "torch.sym_float", "torch.sym_not", "torch.sym_ite", "torch.sym_int")


def _symbolic(text: Any) -> bool:
    """Whether an expression is calls of sympy's arithmetic on constants and symbols, and nothing else."""
    return _made_of(text, lambda f: isinstance(f, ast.Name) and f.id in SYMBOLS, (ast.keyword,))


def _arithmetic(text: Any) -> bool:
    """Whether a guard only compares sizes of inputs: L['x'].size()[0] == 3."""
    return _made_of(
        text,
        lambda f: isinstance(f, ast.Attribute) and f.attr in ("size", "dim", "stride"),
        (ast.Compare, ast.Subscript, ast.Attribute, ast.BoolOp, ast.cmpop, ast.boolop),
    )


def _made_of(text: Any, calls: Any, more: tuple[type, ...]) -> bool:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
    plain = (ast.Expression, ast.Call, ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Load, *more)
    return all(
        isinstance(n, plain)
        and (not isinstance(n, ast.Call) or calls(n.func))
        and (not isinstance(n, ast.Attribute) or n.attr in ("size", "dim", "stride"))
        for n in ast.walk(tree)
    )
