"""`slim measure`: seconds of one pass on this machine by turns, and its joules where a meter exists."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .energy import estimate
from .energy.meters import MeterLost, meter, reasons
from .errors import BadData
from .formats import open_checkpoint
from .job import Job
from .layers import layers
from .plans import resolve
from .size import size
from .store import Store
from .types import Checkpoint, Choice, Energy, Layer, Plan

if TYPE_CHECKING:
    from .metered import Metered


def options(m: argparse.ArgumentParser) -> None:
    m.add_argument("path", type=Path)
    m.add_argument("--int8", action="store_true", help="beside it, with its linear layers in dynamic int8")
    m.add_argument("--data", type=Path)


def measure(args: argparse.Namespace, job: Job) -> None:
    """The original in float32 beside its dynamic int8, or beside itself, which shows the noise of this machine."""
    from . import data, latency, networks
    from .compress import compress, original
    from .int8 import running

    checkpoint = open_checkpoint(args.path, job)
    found, store = tuple(layers(checkpoint)), Store.default()
    network = networks.attach(checkpoint, job)
    path = args.data or data.default(checkpoint)
    if path is None:
        raise BadData("There are no samples to run the network on; give --data")
    weights = original(checkpoint, found, store).weights(job)
    plan = _integers(found) if args.int8 else Plan()
    after = running(compress(checkpoint, found, plan, None, store, job), network) if args.int8 else network
    batches = data.load(path, network, 256, job)
    t = latency.latency((network, weights), (after, weights), batches, job)
    what = "dynamic int8" if args.int8 else "the same again"
    print(f"{t.what}: {1e3 * t.before.value:.4g} ms in float32, {1e3 * t.after.value:.4g} ms as {what}")
    print(f"{t.ratio.value:.3g}x as fast ({t.ratio.low:.3g} to {t.ratio.high:.3g}, 95 %), median of {t.rounds} rounds, measured here")
    joules((network, weights), (after, weights), batches, job)
    price(checkpoint, found, plan, network.task)


def _integers(found: tuple[Layer, ...]) -> Plan:
    from .int8 import KEY

    return Plan(layers={x.name: Choice(quantize=KEY, bits=8) for x in found if x.kind == "linear" and not x.protected})


def joules(before: tuple[Any, Any], after: tuple[Any, Any], batches: Any, job: Job) -> Metered | None:
    """Both on this machine's meter, printed; None, with every meter's reason, where there is none."""
    import torch

    from .latency import fed
    from .metered import metered

    with_ = meter()
    if with_ is None:
        print("energy was not measured: no meter can be read here")
        for why in reasons().values():
            print(f"  {why}")
        return None
    item, what, n = fed(batches)
    try:
        with torch.inference_mode():
            m = metered(lambda: before[0].forward(before[1], item), lambda: after[0].forward(after[1], item), n, with_, job)
    except MeterLost as e:
        print(f"energy was not measured: {e}")
        return None
    print(told(m, what, n))
    return m


def told(m: Metered, what: str, n: int) -> str:
    """The measurement in three lines; ± is one standard error over the rounds."""
    unit = "" if n == 1 else f", 1 of {n}"
    return "\n".join((
        f"energy  {m.before.value:.4g} ± {m.before.error:.2g} -> {m.after.value:.4g} ± {m.after.error:.2g} J ({what}{unit}), measured:"
        f" {m.meter}, {m.covers}",
        f"        {m.before_net.value:.4g} ± {m.before_net.error:.2g} -> {m.after_net.value:.4g} ± {m.after_net.error:.2g} J above the"
        f" {m.idle:.3g} W it draws at rest",
        f"        {m.ratio.value:.3g} ± {m.ratio.error:.2g} times less, {m.rounds} rounds by turns",
    ))  # fmt: skip


def price(checkpoint: Checkpoint, found: tuple[Layer, ...], plan: Plan, task: Any) -> Energy:
    """What the model says of the plan, printed with its assumptions."""
    from .formats import targets

    target, settings = targets["dense"](), resolve(plan, found)
    e = estimate(checkpoint, found, settings, size(checkpoint, found, settings, target), target, task)
    print(f"model   {e.joules:.3g} J a {e.unit} ({e.low:.3g} to {e.high:.3g}). {e.how}")
    return e
