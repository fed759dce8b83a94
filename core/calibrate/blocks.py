"""A network's repeated blocks, run one at a time: their inputs are caught once, each block's weights are read, used and let go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import CannotRun
from ..job import Job
from ..networks import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

Source = Callable[[str], "Tensor"]  # tensor name -> its values as stored
LARGE = 64 << 20  # bytes; of a larger input embedding only the rows that are used are read


class Caught(Exception):
    """The last block was reached: nothing after it needs to run."""


@dataclass(frozen=True)
class Chain:
    """Blocks that hand one hidden state (batch, tokens, width) from each to the next."""

    prefix: str  # "model.layers"
    blocks: tuple[nn.Module, ...]
    wrapped: bool  # a block answers (hidden, ...) instead of hidden

    def head(self, k: int) -> str:
        return f"{self.prefix}.{k}."

    def of(self, module_name: str) -> int | None:
        """Which block a module belongs to."""
        rest = module_name.removeprefix(f"{self.prefix}.")
        number = rest.split(".", 1)[0]
        return int(number) if rest != module_name and number.isdigit() else None


@dataclass
class Call:
    """One batch on its way: the hidden state, and what every block gets beside it (masks, position embeddings)."""

    hidden: Tensor
    beside: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)


def chain(network: Network, source: Source, item: dict[str, Tensor], job: Job) -> Chain | None:
    """The blocks of a network, found by running `item` up to the last one; None when there is no such chain."""
    from torch import nn

    if network.module is None:
        return None
    lists = [(n, m) for n, m in network.module.named_modules() if isinstance(m, (nn.ModuleList, nn.Sequential)) and _alike(m)]
    for name, found in sorted(lists, key=lambda x: -_weight(x[1])):
        for wrapped in (False, True):
            tried = Chain(name, tuple(found.children()), wrapped)
            if entered(network, tried, outside(network, tried, source, [item]), item, job) is not None:
                return tried
    return None


def _alike(m: nn.Module) -> bool:
    """Two and more blocks of one class with more in them than one layer."""
    kinds = {type(c) for c in m.children()}
    return len(kinds) == 1 and len(m) > 1 and all(any(True for _ in c.children()) for c in m.children())  # type: ignore[arg-type]


def _weight(m: nn.Module) -> int:
    return sum(p.numel() for p in m.parameters())


def entered(network: Network, c: Chain, weights: dict[str, Tensor], item: dict[str, Tensor], job: Job) -> Call | None:
    """The batch as it enters the first block; None when these blocks are no chain."""
    call: list[Call] = []
    given: list[Tensor] = []

    def at(k: int) -> Callable[..., Any]:
        def block(*args: Any, **kwargs: Any) -> Any:
            job.check()
            hidden, args, kwargs = _first(args, kwargs)
            if hidden is None or hidden.ndim != 3 or len(given) != k or (k and hidden is not given[-1]):
                raise Caught("no chain")
            if not call:
                call.append(Call(hidden))
            call[0].beside.append((args, kwargs))
            given.append(hidden.view_as(hidden))  # an object of its own, to be known again by
            if k == len(c.blocks) - 1:
                raise Caught
            return (given[-1],) if c.wrapped else given[-1]

        return block

    try:
        with instead(c.blocks, [at(k) for k in range(len(c.blocks))]):
            network.forward(weights, item)
    except Caught as e:
        return None if e.args else call[0]
    except (AttributeError, CannotRun, IndexError, RuntimeError, TypeError, ValueError):
        return None  # the network does more between blocks than hand the hidden state on
    return None


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    if args:
        return args[0], args[1:], kwargs
    return kwargs.get("hidden_states"), (), {k: v for k, v in kwargs.items() if k != "hidden_states"}


def passed(c: Chain, k: int, weights: Mapping[str, Tensor], call: Call) -> Tensor:
    """The hidden state after block k."""
    import torch

    args, kwargs = call.beside[k]
    out = torch.func.functional_call(c.blocks[k], dict(weights), (call.hidden, *args), kwargs, tie_weights=False)
    return out[0] if isinstance(out, tuple) else out


def given(c: Chain, k: int, weights: Mapping[str, Tensor], call: Call, modules: Collection[nn.Module]) -> dict[nn.Module, Tensor]:
    """What each of these modules of block k is given; the block is left once all have run."""
    found: dict[nn.Module, Tensor] = {}

    def heard(module: nn.Module, args: tuple[Any, ...], _: Any) -> None:
        found[module] = args[0].clone()  # it may be written in place later
        if len(found) == len(modules):
            raise Caught

    handles = [m.register_forward_hook(heard) for m in modules]
    try:
        passed(c, k, weights, call)
    except Caught:
        pass
    finally:
        for h in handles:
            h.remove()
    return found


def turns(
    network: Network, c: Chain, source: Source, item: dict[str, Tensor], modules: Mapping[str, nn.Module], job: Job
) -> dict[str, int]:  # fmt: skip
    """The first block's `modules` by their path within it -> which of the block's inputs each is given, in the order they are made."""
    call = entered(network, c, outside(network, c, source, [item]), item, job)
    met: list[Tensor] = []
    out: dict[str, int] = {}

    def watch(path: str) -> Callable[..., None]:
        def heard(_m: nn.Module, args: tuple[Any, ...], _: Any) -> None:
            at = next((i for i, x in enumerate(met) if x is args[0]), len(met))
            met.extend([args[0]] if at == len(met) else [])
            out.setdefault(path, at)

        return heard

    handles = [m.register_forward_hook(watch(path)) for path, m in modules.items()]
    try:
        if call is not None:
            passed(c, 0, block_weights(network, c, 0, source), call)
    finally:
        for h in handles:
            h.remove()
    return out


def left(network: Network, c: Chain, weights: dict[str, Tensor], call: Call, item: dict[str, Tensor]) -> Tensor:
    """The network's answer with the last block's hidden state in the blocks' place: what comes before and after them is run."""
    out = (call.hidden,) if c.wrapped else call.hidden
    with instead(c.blocks, [lambda *_, **__: out] * len(c.blocks)):
        return network.forward(weights, item)


@contextmanager
def instead(blocks: tuple[nn.Module, ...], forwards: list[Callable[..., Any]]) -> Iterator[None]:
    """While it lasts, each block answers with a function of ours; the skeleton is as before afterwards."""
    try:
        for b, f in zip(blocks, forwards, strict=True):
            b.__dict__["forward"] = f
        yield
    finally:
        for b in blocks:
            b.__dict__.pop("forward", None)


def block_weights(network: Network, c: Chain, k: int, source: Source) -> dict[str, Tensor]:
    """Block k's parameters by their names within the block."""
    head = c.head(k)
    return {n.removeprefix(head): floated(source(t)) for n, t in network.names.items() if n.startswith(head)}


def floated(t: Tensor) -> Tensor:
    return t.float() if t.is_floating_point() else t


def outside(network: Network, c: Chain | None, source: Source, items: list[dict[str, Tensor]], whole: bool = False) -> dict[str, Tensor]:
    """Weights by tensor name for a forward in which no block runs: the blocks' own places stay empty (memory that is never touched).

    Without `whole` nothing after the blocks runs either: the output layer stays empty too, and of a large embedding only the rows that
    `items` look up are read."""
    inside = {t: n for n, t in network.names.items() if c is not None and c.of(n) is not None}
    looked_up = "" if whole else network.names.get(_embedding(network, "get_input_embeddings"), "")
    last = "" if whole else _embedding(network, "get_output_embeddings")
    if last in network.names and network.names[last] != looked_up:
        inside[network.names[last]] = last
    state = network.module.state_dict(keep_vars=True) if network.module is not None else {}
    out = {t: state[n].detach() for t, n in inside.items()}
    for t in sorted(set(network.names.values()) - set(inside)):
        raw = source(t)
        out[t] = _rows(raw, items) if t == looked_up and raw.numel() * 4 > LARGE else floated(raw)
    return out


def _embedding(network: Network, getter: str) -> str:
    """The parameter's name of the token embedding or the output layer, "" where there is none."""
    ask = getattr(network.module, getter, None)
    try:
        found = ask() if ask else None
    except (AttributeError, NotImplementedError):
        found = None
    names = {id(m): n for n, m in network.module.named_modules()} if network.module is not None else {}
    return f"{names[id(found)]}.weight" if found is not None and id(found) in names else ""


def _rows(raw: Tensor, items: list[dict[str, Tensor]]) -> Tensor:
    """An embedding of which only the rows of these tokens exist; the others are untouched memory."""
    import torch

    out = torch.empty(raw.shape, dtype=torch.float32)
    used = torch.cat([i["input_ids"].flatten() for i in items]).unique()
    out[used] = raw[used].float()
    return out
