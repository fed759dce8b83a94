"""Second moments of what layers meet, token-normalised: for the solver, and over other tokens for every score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..job import Job
from ..spans import MOST, diagonal, each, span
from ..types import Seen

if TYPE_CHECKING:
    from torch import Tensor, nn

STEP = 1_000_000_000  # multiply-adds between two looks at the job: some 30 ms on one core
STRIP = 128  # rows of the second moments added to at once: 0.6 of the time of the whole square, of which 0.5 is needed
MANY = 512  # tokens of a held-out batch from which every second one is scored: one matrix a layer, and neighbours say much the same
FLOOR = 1e-2  # of the mean |Wx|^2: a token below it (padding, a dead input) counts as one at it
UNFOLDED = 16 << 20  # numbers of an unfolded convolution input held at once


@dataclass
class Sums:
    """Running sums over the inputs of the layers that share them."""

    second: Tensor
    first: Tensor
    n: int = 0
    mass: float = 0.0  # the tokens' weights in `second`, summed
    drift: Tensor | None = None  # of rows x0 - x with x, where the original's inputs x0 are told

    def add(self, x: Tensor, job: Job, weight: Tensor | None = None, gap: Tensor | None = None) -> None:
        """Rows x and gap (tokens, in); `weight` (tokens,) counts for the second moments alone."""
        add_outer(self.second, x if weight is None else x * weight.sqrt().unsqueeze(1), job)
        if gap is not None and self.second.ndim == 2:
            self.drift = x.new_zeros(self.second.shape) if self.drift is None else self.drift
            add_product(self.drift, gap if weight is None else gap * weight.unsqueeze(1), x, job)
        self.first += x.sum(0)
        self.n += len(x)
        self.mass += len(x) if weight is None else float(weight.sum(dtype=_double()))


@dataclass
class Moments:
    """Collects over one set of layers; feed the solver's batches first, then the held-out ones."""

    modules: Mapping[str, nn.Module]  # Layer.name -> the linear or convolution it runs in
    shared: dict[tuple[str, ...], Sums] = field(default_factory=dict)  # layers that met the very same tensors -> their sums
    energy: dict[str, float] = field(default_factory=dict)  # sum of |Wx|^2 over the solver's tokens
    held: dict[str, Sums] = field(default_factory=dict)
    unit: dict[str, float] = field(default_factory=dict)  # mean |Wx|^2 over the first tokens a layer met
    most: int = MOST  # inputs that share one matrix

    @contextmanager
    def watching(
        self, mask: Tensor | None, solver: bool, job: Job, original: Mapping[nn.Module, Tensor] | None = None
    ) -> Iterator[None]:
        """While a forward runs inside, note what each layer meets; add it up afterwards. `mask` (batch, tokens) drops padding;
        `original` is what each linear is given in the network as it was."""
        met: dict[tuple[Any, ...], tuple[Tensor, Tensor, nn.Module, dict[str, Tensor]]] = {}

        def hook(name: str) -> Any:
            def heard(module: nn.Module, args: tuple[Any, ...], out: Tensor) -> None:
                job.check()
                x = args[0]
                at = (id(x), x._version, *_window(module))
                if at not in met:  # x itself is kept so that its id stays its own; the copy, because x may be written in place later
                    met[at] = (x, x.clone(), module, {})
                met[at][3][name] = _energy(module, out)

            return heard

        handles = [m.register_forward_hook(hook(n)) for n, m in self.modules.items()]
        try:
            yield
        finally:
            for h in handles:
                h.remove()
        for _, x, module, energies in met.values():
            gap = None if original is None or module not in original else (original[module] - x).reshape(-1, x.shape[-1]).float()
            for rows, part in _pieces(module, x):
                self._add(rows, {n: e.flatten()[part] for n, e in energies.items()}, _kept(mask, x), solver, job, gap)

    def _add(
        self, x: Tensor, energies: dict[str, Tensor], keep: Tensor | None, solver: bool, job: Job, gap: Tensor | None = None
    ) -> None:
        if keep is not None:
            x, energies, gap = x[keep], {n: e[keep] for n, e in energies.items()}, None if gap is None else gap[keep]
        if solver:
            self._sums(self.shared, tuple(energies), x).add(x, job, self._weight(energies), gap)
            for n, e in energies.items():
                self.energy[n] = self.energy.get(n, 0.0) + float(e.sum(dtype=_double()))
            return
        if len(x) >= MANY and self._tokens(energies):
            x, energies, gap = x[::2], {n: e[::2] for n, e in energies.items()}, None if gap is None else gap[::2]
        for n, e in energies.items():
            mean = self._mean(n)
            if mean > 0:
                root = (mean / e.clamp(min=FLOOR * mean)).sqrt().unsqueeze(1)
                self._sums(self.held, n, x).add(x * root, job, None, None if gap is None else gap * root)

    def _weight(self, energies: dict[str, Tensor]) -> Tensor | None:
        """(tokens,) what each token counts for the solver: 1 / |Wx|^2, averaged over the layers that meet it; None for convolutions.

        A few tokens with massive activations would otherwise be all that is solved for: on SmolLM2 (3 bits, five blocks) this takes the KL
        from 0.0493 to 0.0421. Positions of an image are no tokens: a blank patch must not count as much as the digit.
        """
        import torch

        if not self._tokens(energies):
            return None
        for n, e in energies.items():
            if n not in self.unit and len(e):
                self.unit[n] = float(e.mean(dtype=_double()))
        units = [(self.unit[n], e) for n, e in energies.items() if self.unit.get(n, 0.0) > 0]
        return torch.stack([u / e.clamp(min=FLOOR * u) for u, e in units]).mean(0) if units else None

    def _tokens(self, names: Iterable[str]) -> bool:
        """Whether rows are tokens, not positions of an image."""
        from torch import nn

        return all(isinstance(self.modules[n], nn.Linear) for n in names)

    def _mean(self, name: str) -> float:
        n = sum(s.n for names, s in self.shared.items() if name in names)
        return self.energy.get(name, 0.0) / n if n else 0.0

    def _sums(self, where: dict[Any, Sums], key: Any, x: Tensor) -> Sums:
        if key not in where:
            d = x.shape[1]
            b = span(d, self.most)
            where[key] = Sums(x.new_zeros((d, d) if b == d else (d // b, b, b)), x.new_zeros(d))
        return where[key]

    def copy(self) -> Moments:
        """What has been added so far, to be finished while this one goes on."""
        shared = {k: replace(s, second=s.second.clone(), first=s.first.clone()) for k, s in self.shared.items()}
        return replace(self, shared=shared, held={})

    def seen(self) -> dict[str, Seen]:
        """What each layer met; an empty Seen for one that met nothing (or NaN). Layers with the same inputs share the tensor objects."""
        for s in {id(s): s for s in (*self.shared.values(), *self.held.values())}.values():
            _finish(s)
        return {n: self._one(n) for n in self.modules}

    def _one(self, name: str) -> Seen:
        found = [s for names, s in self.shared.items() if name in names and s.n]
        if not found:
            return Seen()
        n = sum(s.n for s in found)
        one = found[0] if len(found) == 1 else _joined(found, n)
        held = self.held.get(name)
        if not bool(one.first.isfinite().all()) or not bool(diagonal(one.second).isfinite().all()):
            return Seen()
        scored, apart = (held.second, held.drift) if held else (None, None)
        return Seen(hessian=one.second, held=scored, mean=one.first, samples=n, drift=one.drift, held_drift=apart)


def add_outer(into: Tensor, x: Tensor, job: Job) -> None:
    """into += xT x in its upper blocks only (half the work), in steps short enough to hear a cancel."""
    for at, part in each(into):
        y = x[:, at]
        n, d = y.shape
        step = max(16, min(STRIP, STEP // max(1, n * d)))
        for a in range(0, d, step):
            job.check()
            part[a : a + step, a:].addmm_(y[:, a : a + step].T, y[:, a:])


def add_product(into: Tensor, a: Tensor, b: Tensor, job: Job) -> None:
    """into += aT b, in steps short enough to hear a cancel."""
    step = max(16, min(STRIP, STEP // max(1, b.numel())))
    for i in range(0, len(into), step):
        job.check()
        into[i : i + step].addmm_(a[:, i : i + step].T, b)


def _finish(s: Sums) -> None:
    """Sums become means; the lower triangle is the upper's mirror, tile by tile, so that no second matrix is held."""
    if not s.n:
        return
    s.second.div_(s.mass)
    s.first.div_(s.n)
    if s.drift is not None:
        s.drift.div_(s.mass)
    for _, h in each(s.second):
        for a in range(0, len(h), 512):
            tile = h[a : a + 512, a : a + 512]
            tile.copy_(tile.triu() + tile.triu(1).T)
            h[a + 512 :, a : a + 512] = h[a : a + 512, a + 512 :].T


def _joined(parts: list[Sums], n: int) -> Sums:
    """A layer that met its neighbours' input in one batch and another in the next: the mean of both by their tokens."""
    import torch

    share = [s.n / n for s in parts]
    second, first = ([getattr(s, of) * f for s, f in zip(parts, share)] for of in ("second", "first"))
    drift = [s.drift * f for s, f in zip(parts, share) if s.drift is not None]
    whole = torch.stack(drift).sum(0) if len(drift) == len(parts) else None
    return Sums(torch.stack(second).sum(0), torch.stack(first).sum(0), n, drift=whole)


def _double() -> Any:
    import torch

    return torch.float64


def _energy(module: nn.Module, out: Tensor) -> Tensor:
    """|Wx|^2 of every token or position (batch, ...)."""
    import torch
    from torch import nn

    axis = -1 if isinstance(module, nn.Linear) else 1
    bias: Any = module.bias
    if bias is not None:
        out = out - (bias if axis == -1 else bias.view(-1, *[1] * (out.ndim - 2)))
    return torch.linalg.vector_norm(out, dim=axis, dtype=torch.float32).square_()


def _kept(mask: Tensor | None, x: Tensor) -> Tensor | None:
    return mask.flatten().bool() if mask is not None and x.ndim == 3 and x.shape[:2] == mask.shape else None


def watched(module: nn.Module | None) -> bool:
    """Whether the inputs of this module have second moments of use: a linear, or a plain convolution of one group."""
    from torch import nn

    if isinstance(module, nn.Linear):
        return True
    return isinstance(module, (nn.Conv1d, nn.Conv2d)) and module.groups == 1 and module.padding_mode == "zeros"


def _pieces(module: nn.Module, x: Tensor) -> Iterator[tuple[Tensor, slice]]:
    """The inputs as rows (tokens or positions, in), float32, with which of the flattened outputs they belong to."""
    from torch import nn

    if isinstance(module, nn.Linear):
        flat = x.reshape(-1, x.shape[-1]).float()
        yield flat, slice(0, len(flat))
        return
    at = 0
    for image in x.split(_images(module, x)):
        flat = unfolded(module, image)
        yield flat, slice(at, at + len(flat))
        at += len(flat)


def _window(module: nn.Module) -> tuple[Any, ...]:
    """What must be alike for two layers to unfold one input alike."""
    return tuple(getattr(module, a, None) for a in ("kernel_size", "stride", "padding", "dilation"))


def _images(module: nn.Module, x: Tensor) -> int:
    """How many images unfold at once without holding much memory."""
    kernel = getattr(module, "kernel_size", (1,))
    each = x[0].numel()
    for k in kernel:
        each *= k
    return max(1, UNFOLDED // max(1, each))


def unfolded(module: nn.Module, x: Tensor) -> Tensor:
    """A convolution's input (batch, in, ...) as (positions, in * kernel): its weight flattened to (out, in * kernel) times this."""
    import torch.nn.functional as F

    m: Any = module
    x = F.pad(x, m._reversed_padding_repeated_twice).float()
    two = x.ndim == 4
    x = x if two else x.unsqueeze(2)
    size, dilation, stride = ((a if two else (1, *a)) for a in (m.kernel_size, m.dilation, m.stride))
    return F.unfold(x, size, dilation, 0, stride).transpose(1, 2).flatten(0, 1)
