"""`slim measure`: seconds of one pass on this machine by turns, and its joules where a meter exists."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .carbon import choose, chosen, regions
from .ceilings import ceilings
from .energy import Scene, catalogue, device, estimate
from .energy.devices import HERE, learn
from .energy.meters import MeterLost, meter, reasons
from .energy.model import ENGINE, INTEGERS
from .errors import BadData
from .formats import open_checkpoint
from .job import Job
from .layers import layers
from .plans import resolve
from .store import Store
from .types import LEVELS, Checkpoint, Choice, Energy, Layer, Plan, Size
from .use import moved

if TYPE_CHECKING:
    from .metered import Metered


def options(m: argparse.ArgumentParser) -> None:
    m.add_argument("path", type=Path)
    m.add_argument("--int8", action="store_true", help="beside it, with its linear layers in dynamic int8")
    m.add_argument("--data", type=Path)
    m.add_argument("--device", default=HERE, choices=(HERE, *catalogue()), help="where the model puts it; here: this machine")
    m.add_argument("--watts", type=float, help="what that machine draws under full load, for the model")


def place_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("region", nargs="?", help="a country's three letters, or WORLD; without it, what is chosen")
    p.add_argument("--intensity", type=float, metavar="G", help="your own grams of CO2e a kWh")
    p.add_argument("--pue", type=float, help="watts a data centre draws for each watt of its machines")
    p.add_argument("--device", choices=(HERE, *catalogue()))
    p.add_argument("--watts", type=float, help="what that device draws under full load")
    p.add_argument("--list", action="store_true", help="every region and device, with year and source")


def place(args: argparse.Namespace, job: Job) -> None:
    """Show or choose the place; it is kept, and every energy and gram from now on is of it."""
    if args.list:
        for r in regions().values():
            print(f"{r.code:6} {r.name:40} {r.grams:6.1f} g CO2e a kWh  {r.year}")
        for d in catalogue().values():
            print(f"{d.key:10} {d.title}: {d.source}")
        return
    said = {"region": args.region, "grams": args.intensity, "pue": args.pue, "device": args.device, "watts": args.watts}
    given = {k: v for k, v in said.items() if v is not None}
    found = moved(chosen(), given)
    if given:
        choose(found)
    print(f"{found.told}; on {found.scene.device.title}")


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
    ceilings(job)
    done = joules((network, weights), (after, weights), batches, job)
    if done and network.task == "causal-lm":
        taught_by(done[0], checkpoint, found, done[1])
    price(checkpoint, found, plan, network.task, Scene(device(args.device, args.watts)))


def _integers(found: tuple[Layer, ...]) -> Plan:
    from .int8 import KEY

    return Plan(layers={x.name: Choice(quantize=KEY, bits=8) for x in found if x.kind == "linear" and not x.protected})


def joules(before: tuple[Any, Any], after: tuple[Any, Any], batches: Any, job: Job) -> tuple[Metered, int] | None:
    """Both on this machine's meter, printed, with how many units a pass did; None, with every meter's reason, where there is none."""
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
    return m, n


def taught_by(m: Metered, checkpoint: Checkpoint, found: tuple[Layer, ...], n: int) -> None:
    """Keep what the meter said of the original against the model of the same pass, so that later models of this machine begin there."""
    from types import SimpleNamespace

    own = replace(device(HERE), factor=1.0)
    size_ = Size(0, {x.name: 4 * x.tensor.parameters for x in found}, 0)
    settings = resolve(Plan(), found)
    modelled = estimate(checkpoint, found, settings, size_, SimpleNamespace(key=ENGINE), "causal-lm", Scene(own, "prefill", 1, n))
    learn(m.before.value, modelled.joules)
    print(f"        the model says {modelled.joules:.3g} J of this pass; what the meter said is kept for later models of this machine")


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


def price(checkpoint: Checkpoint, found: tuple[Layer, ...], plan: Plan, task: Any, scene: Scene) -> Energy:
    """What the model says of the plan as this engine runs it, printed with its assumptions."""
    from types import SimpleNamespace

    settings, target = resolve(plan, found), SimpleNamespace(key=ENGINE)
    exact = Size(0, {x.name: (1 if settings[x.name].quantize == INTEGERS else 4) * x.tensor.parameters for x in found}, 0)
    e = estimate(checkpoint, found, settings, exact, target, task, scene)
    print(f"model   {e.joules:.3g} J a {e.unit} ({e.low:.3g} to {e.high:.3g}), {LEVELS[e.level]}; physics floor {e.floor:.2g} J. {e.how}")
    return e
