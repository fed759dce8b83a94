"""Runs the graph of an exported program as a module: its JSON becomes calls of ATen operations, and nothing else can be called.

torch.export.load is not used for files that came from elsewhere: in torch 2.13 it unpickles what says it is pickled (and sample inputs that
weights_only refuses), gives shape expressions to sympy.sympify (eval) and guards to exec, and finds an operation by walking attributes from
the module torch on, so that a target such as torch.os.system is called when the graph runs. Here a target must be a registered operation of
ATen, arithmetic on sizes, or one of three wrappers; a node's values are numbers, names of other values, or constants."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .errors import CannotRun
from .formats.pt2 import TYPES
from .formats.pt2_graph import CASTS, CONVS, HIGHER, PRODUCTS, TURNS, given, lifted, made, op, tensor, turns
from .formats.safetensors_file import TORCH

Env = dict[str, Any]
Value = Callable[[Env], Any]
REFUSED = {"from_file"}  # the one operation of ATen that opens files
PYTHON = {
    "add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos", "pow", "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "not_",
    "getitem",
}  # fmt: skip
MATHS = {"ceil", "floor", "trunc", "sqrt"}
SIZES: Mapping[str, Any] = {
    "torch.sym_max": torch.sym_max, "torch.sym_min": torch.sym_min, "torch.sym_float": torch.sym_float, "torch.sym_not": torch.sym_not,
    "torch.sym_int": torch.sym_int, "torch.sym_ite": torch.sym_ite,
}  # fmt: skip
FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}
STRIDED = 7  # the number of the plain layout


def dtype_of(number: int) -> torch.dtype:
    """A type by the number it has in the JSON."""
    if number not in TYPES:
        raise CannotRun(f"This program computes in type number {number} of torch, which I don't know; it can be slimmed and exported")
    found: torch.dtype = getattr(torch, TORCH[TYPES[number]])
    return found


@dataclass(frozen=True)
class Step:
    """One call: where its arguments come from, what its results are called, and which values nobody needs afterwards."""

    call: Callable[..., Any]
    args: tuple[Value, ...]
    named: tuple[tuple[str, Value], ...]
    out: tuple[Any, ...]  # a name, None, or a tuple of names where one output is a list
    spent: tuple[str, ...] = ()

    def __call__(self, env: Env) -> None:
        found = self.call(*[a(env) for a in self.args], **{k: v(env) for k, v in self.named})
        if len(self.out) == 1:
            self._keep(env, self.out[0], found)
        else:
            for name, value in zip(self.out, found if self.out else ()):
                self._keep(env, name, value)
        for name in self.spent:
            env.pop(name, None)

    @staticmethod
    def _keep(env: Env, name: Any, value: Any) -> None:
        if isinstance(name, tuple):
            env.update(zip(name, value, strict=True))
        elif name is not None:
            env[name] = value


class Program(nn.Module):
    """The graph with places for its weights: those of linears and convolutions lie in modules of their own, which can be watched."""

    def __init__(self, program: Mapping[str, Any], constants: Mapping[str, Tensor]) -> None:
        """`constants` by name; CannotRun names what in the graph is not known here."""
        super().__init__()
        graph = program["graph_module"]["graph"]
        self.weights: dict[str, tuple[str, str]] = {}  # graph input -> (parameter of this module, weight's name in the program)
        self.also: dict[str, str] = {}  # further parameters of this module -> weight's name: a bias that several modules take
        self.types: dict[str, torch.dtype] = {}  # weight's name -> the type the graph wants it in
        self._inputs = {p: name for p, (kind, name) in lifted(program).items() if kind != "tensor_constant" and name not in constants}
        self._fixed = {p: constants[name] for p, (_, name) in lifted(program).items() if name in constants}
        self._casts = _upcast(graph, self._inputs)
        self._declare(graph)
        self.user = [_spec(s) for s in program["graph_module"]["signature"]["input_specs"] if "user_input" in s]
        self._written = {t for n in graph["nodes"] for t in _written(n)}
        self.steps = self._steps(graph)
        outputs = zip(graph["outputs"], program["graph_module"]["signature"]["output_specs"], strict=True)
        self.answers = [_value(o, self._renamed) for o, s in outputs if "user_output" in s]
        self.train(False)
        self.requires_grad_(False)

    @property
    def names(self) -> dict[str, str]:
        """Parameter of this module -> weight's name in the program."""
        return dict(self.weights.values()) | self.also

    def forward(self, given_: list[Tensor]) -> list[Any]:
        """All user outputs, for the user inputs in the program's order (constants among them are filled in)."""
        env: Env = {p: getattr(self.get_submodule(at.rpartition(".")[0]), at.rpartition(".")[2]) for p, (at, _) in self.weights.items()}
        env |= self._fixed
        env |= {p: env[p].clone() for p in self._written if p in env}
        feed = iter(given_)
        for name, _ in self.user:
            if name:
                env[name] = next(feed)
        for step in self.steps:
            step(env)
        return [a(env) for a in self.answers]

    def _declare(self, graph: Mapping[str, Any]) -> None:
        """The type each weight comes in: the graph's own, or float32 where the graph turns it into that first."""
        for p, name in self._inputs.items():
            own = dtype_of(int(graph["tensor_values"][p]["dtype"]))
            self.types[name] = torch.float32 if p in self._casts.values() else own

    def _steps(self, graph: Mapping[str, Any]) -> tuple[Step, ...]:
        nodes = [n for n in graph["nodes"] if made(n) not in self._casts]
        turned = {made(n): t for n in nodes if op(n) in TURNS and (t := self._weight(next(iter(given(n).values())))) and turns(n)}
        modules: dict[str, tuple[Any, ...]] = {}
        calls = [self._module(n, turned, modules, graph) for n in nodes]
        for p, name in self._inputs.items():
            if p not in self.weights:
                self.weights[p] = self._place(f"value{len(self.weights)}", name, graph["tensor_values"][p])
        steps = [c or _step(n, self._renamed) for n, c in zip(nodes, calls, strict=True)]
        return _freed(steps, nodes, graph, self._renamed)

    def _renamed(self, name: str) -> str:
        return self._casts.get(name, name)

    def _weight(self, arg: Any) -> str:
        """The graph input an argument is; "" when it is no weight."""
        name = self._renamed(tensor(arg))
        return name if name in self._inputs else ""

    def _place(self, at: str, name: str, meta: Mapping[str, Any]) -> tuple[str, str]:
        holder = nn.Module()
        shape = [int(n["as_int"]) for n in meta["sizes"]]
        holder.register_parameter("weight", nn.Parameter(torch.empty(shape, dtype=self.types[name]), requires_grad=False))
        self.add_module(at, holder)
        return f"{at}.weight", name

    def _module(self, node: Mapping[str, Any], turned: Mapping[str, str], made_: dict[str, Any], graph: Mapping[str, Any]) -> Step | None:
        """A step through a module that holds the weight, where the node is a linear or a convolution with weights of the file."""
        what, args = op(node), given(node)
        if what == "linear.default" or what in CONVS:
            p, x = self._weight(args.get("weight")), args["input"]
        elif what in PRODUCTS:
            p = turned.get(tensor(args.get(PRODUCTS[what])), "")
            x = args.get("mat1", args.get("self"))
        else:
            return None
        bias = args.get("self") if what == "addmm.default" else args.get("bias")
        b, has = self._weight(bias), bool(tensor(bias))
        how = _conv(what, args) if what in CONVS else ()
        plain = not {"beta", "alpha"} & args.keys() and len(node["outputs"]) == 1 and how is not None and (bool(b) or not has)
        shape = self._shape(p, graph) if p else []
        vector = not b or self._shape(b, graph) == shape[:1]
        if not p or not plain or not vector or (what not in CONVS and len(shape) != 2) or made_.get(p, (b, how)) != (b, how):
            return None
        if p not in made_:
            made_[p] = (b, how)
            self._hold(p, b, shape, how or ())
        return Step(self.get_submodule(self.weights[p][0].rpartition(".")[0]), (_value(x, self._renamed),), (), (made(node),))

    def _shape(self, p: str, graph: Mapping[str, Any]) -> list[int]:
        return [int(n["as_int"]) for n in graph["tensor_values"][p]["sizes"]]

    def _hold(self, p: str, b: str, shape: list[int], how: tuple[Any, ...]) -> None:
        """Make the module of weight p with bias b ("" = none); its memory is never touched."""
        at, name = f"layer{len(self.weights)}", self._inputs[p]
        module: nn.Module
        if not how:
            module = nn.Linear(shape[1], shape[0], bool(b), device="meta")
        else:
            kind, stride, padding, dilation, groups = how
            module = kind(shape[1] * groups, shape[0], shape[2:], stride, padding, dilation, groups, bool(b), device="meta")
        module.weight = nn.Parameter(torch.empty(shape, dtype=self.types[name]), requires_grad=False)
        self.weights[p] = (f"{at}.weight", name)
        if b:
            module.bias = nn.Parameter(torch.empty(shape[0], dtype=self.types[self._inputs[b]]), requires_grad=False)
            if b in self.weights:
                self.also[f"{at}.bias"] = self._inputs[b]
            else:
                self.weights[b] = (f"{at}.bias", self._inputs[b])
        self.add_module(at, module)


def _upcast(graph: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, str]:
    """Result of a cast to float32 -> the half-precision weight it is of, for weights that are used in no other way."""
    casts, other = dict[str, str](), set[str]()
    for node in graph["nodes"]:
        args = given(node)
        for i, arg in enumerate(args.values()):
            for name in _tensors(arg):
                wide = op(node) in CASTS and i == 0 and args.get("dtype", {}).get("as_scalar_type") == 7
                if name in inputs and wide and graph["tensor_values"][name]["dtype"] in (6, 13):
                    casts[made(node)] = name
                elif name in inputs:
                    other.add(name)
    other |= {n for o in graph["outputs"] for n in _tensors(o)}
    return {c: p for c, p in casts.items() if p not in other}


def _tensors(arg: Any) -> list[str]:
    """Every value an argument names."""
    if isinstance(arg, dict):
        own = [str(arg["name"])] if isinstance(arg.get("name"), str) else []
        own += [str(arg["as_name"])] if isinstance(arg.get("as_name"), str) else []
        return own + [n for v in arg.values() for n in _tensors(v)]
    return [n for v in arg for n in _tensors(v)] if isinstance(arg, list) else []


def _conv(what: str, args: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """(module's class, stride, padding, dilation, groups) of a convolution that a module can stand for; None for a transposed one."""

    def numbers(name: str, default: int) -> Any:
        said = args.get(name, {"as_ints": [default]})
        found = said.get("as_ints", said.get("as_string"))
        return found if not isinstance(found, list) or len(found) != 1 else found * dims

    kinds: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    if "transpose" in what or args.get("transposed", {}).get("as_bool"):
        return None
    lengths = [len(args[n]["as_ints"]) for n in ("stride", "padding", "dilation") if "as_ints" in args.get(n, {})]
    dims = int(what[4]) if what[4].isdecimal() else max(lengths, default=0)
    groups = args.get("groups", {"as_int": 1}).get("as_int")
    found = numbers("stride", 1), numbers("padding", 0), numbers("dilation", 1)
    if dims not in kinds or groups is None or None in found:
        return None
    return kinds[dims], *[tuple(f) if isinstance(f, list) else f for f in found], groups


def _spec(spec: Mapping[str, Any]) -> tuple[str, Any]:
    """(graph input, None) of a tensor the user gives; ("", constant) of anything else."""
    return tensor(spec["user_input"]["arg"]), None


def _step(node: Mapping[str, Any], renamed: Callable[[str], str]) -> Step:
    call = _call(str(node["target"]))
    if str(node["target"]).startswith("torch.ops.aten."):
        if why := _random(node):
            raise CannotRun(why)
        return Step(call, (), tuple((k, _value(v, renamed)) for k, v in given(node).items()), _outputs(node))
    out = _outputs(node)
    if str(node["target"]) in HIGHER:  # a graph within the graph gives a list
        out = (tuple(n for o in out for n in (o if isinstance(o, tuple) else (o,))),)
    return Step(call, tuple(_value(i["arg"], renamed) for i in node["inputs"]), (), out)


def _outputs(node: Mapping[str, Any]) -> tuple[Any, ...]:
    out: list[Any] = []
    for o in node["outputs"]:
        kind, said = next(iter(o.items()))
        out.append(tuple(str(t["name"]) for t in said) if kind == "as_tensors" else next(iter(_tensors(o)), None) or None)
    return tuple(out)


def _freed(steps: list[Step], nodes: list[Mapping[str, Any]], graph: Mapping[str, Any], renamed: Callable[[str], str]) -> tuple[Step, ...]:
    """Each value is let go after the last step that takes it."""
    kept = {renamed(n) for o in graph["outputs"] for n in _tensors(o)}
    out: list[Step] = []
    for step, node in zip(reversed(steps), reversed(nodes), strict=True):
        names = {renamed(n) for n in _tensors([i["arg"] for i in node["inputs"]])} | set(_tensors(list(node["outputs"])))
        out.append(Step(step.call, step.args, step.named, step.out, tuple(sorted(names - kept))))
        kept |= names
    return tuple(reversed(out))


def _written(node: Mapping[str, Any]) -> list[str]:
    """Names of the tensors an operation writes into: where one is a weight, the graph gets a copy of it."""
    if not op(node):
        return []
    schema = getattr(_call(str(node["target"])), "_schema", None)
    places = {a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write} if schema else set()
    return [t for name, arg in given(node).items() if name in places for t in _tensors(arg)]


def _random(node: Mapping[str, Any]) -> str:
    """Why a node makes every answer another one; "" when it doesn't."""
    args, what = given(node), op(node)
    training = args.get("train", args.get("training", {})).get("as_bool")
    if training and what.split(".")[0] in ("dropout", "dropout_", "feature_dropout", "native_dropout", "alpha_dropout", "batch_norm"):
        return "This program was exported in training mode, so its answers can't be scored; call model.eval() and export it again"
    return ""


def _call(target: str) -> Callable[..., Any]:
    """The one function a target may stand for; CannotRun for anything else."""
    parts = target.split(".")
    if parts[:3] == ["torch", "ops", "aten"] and len(parts) == 5 and parts[3] not in REFUSED:
        name, overload = parts[3:]
        registered = f"aten::{name}" + ("" if overload == "default" else f".{overload}")
        if torch._C._dispatch_has_kernel(registered) or registered in SCALARS:
            found: Callable[..., Any] = getattr(getattr(torch.ops.aten, name), overload)
            return found
    if parts[0] == "_operator" and len(parts) == 2 and parts[1] in PYTHON:
        return getattr(operator, parts[1])
    if parts[0] == "math" and len(parts) == 2 and parts[1] in MATHS:
        return getattr(math, parts[1])
    if target in SIZES:
        size: Callable[..., Any] = SIZES[target]
        return size
    if target in HIGHER:
        return (_wrapped, _autocast, _chosen)[HIGHER.index(target)]
    raise CannotRun(f"This program uses the operation {target[:80]}, which I don't run; it can be slimmed and exported, not evaluated")


SCALARS = {"aten::sym_size.int", "aten::sym_numel", "aten::sym_stride.int", "aten::sym_storage_offset"}


def _wrapped(enabled: Any, inner: Callable[..., Any], *args: Any) -> Any:
    """A part of the graph that ran under torch.no_grad or torch.enable_grad; gradients are the caller's affair here."""
    return inner(*args)


def _chosen(condition: Any, yes: Callable[..., Any], no: Callable[..., Any], operands: Any = ()) -> Any:
    """A part of the graph that hangs on a value (torch.cond)."""
    return (yes if bool(condition) else no)(*operands)


def _autocast(device: Any, dtype: Any, enabled: bool, cache: Any, inner: Callable[..., Any], *args: Any) -> Any:
    """A part of the graph that ran under torch.autocast, with its own types."""
    with torch.autocast("cpu", dtype=dtype, enabled=bool(enabled)):
        return inner(*args)


def _value(arg: Mapping[str, Any], renamed: Callable[[str], str] = str) -> Value:
    """What an argument is when the graph runs."""
    kind, said = next(iter(arg.items()))
    if kind in ("as_tensor", "as_optional_tensor", "as_sym_int", "as_sym_bool", "as_sym_float"):
        return _single(said, renamed)
    if kind in ("as_tensors", "as_optional_tensors", "as_sym_ints", "as_sym_bools", "as_sym_floats"):
        each = [_single(s, renamed) for s in said]
        return lambda env: [e(env) for e in each]
    if kind == "as_graph":
        return _inner(said["graph"])
    fixed = _constant(kind, said)
    return lambda env: fixed


def _single(said: Mapping[str, Any], renamed: Callable[[str], str]) -> Value:
    """A tensor, or a size: by name, or as a number."""
    inner = said.get("as_tensor", said)
    name = inner.get("name", inner.get("as_name"))
    if name is not None:
        at = renamed(str(name))
        return lambda env: env[at]
    fixed = next(iter(v for k, v in said.items() if k != "as_none"), None)
    return lambda env: fixed


def _constant(kind: str, said: Any) -> Any:
    if kind == "as_none":
        return None
    if kind == "as_scalar_type":
        return dtype_of(int(said))
    if kind == "as_device":
        return "cpu"  # whatever it was exported on
    if kind == "as_memory_format" and said in FORMATS:
        return FORMATS[said]
    if kind == "as_layout" and said == STRIDED:
        return torch.strided
    if kind == "as_complex":
        return complex(said["real"], said["imag"])
    if kind in ("as_float", "as_floats"):
        return [float(x) for x in said] if isinstance(said, list) else float(said)  # "Infinity" is a word in JSON
    if kind in ("as_int", "as_ints", "as_bool", "as_bools", "as_string", "as_strings", "as_int_lists"):
        return said
    raise CannotRun(f"This program hands a {kind[:40]} to an operation, which I don't run; it can be slimmed and exported, not evaluated")


def _inner(graph: Mapping[str, Any]) -> Value:
    """A graph within the graph, as a function of its inputs."""
    steps = [_step(n, str) for n in graph["nodes"]]
    inputs, outputs = [next(iter(_tensors(i)), "") for i in graph["inputs"]], [_value(o) for o in graph["outputs"]]

    def run(*args: Any) -> Any:
        env = dict(zip(inputs, args, strict=True))
        for step in steps:
            step(env)
        return [o(env) for o in outputs]

    return lambda _: run
