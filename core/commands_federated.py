"""`slim federated server`, `client` and `certificates`: a federation whose clients are other processes, here or on other machines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .errors import BadPlan, CannotRun, SlimError
from .federation import keys
from .federation.certificates import LOOPBACK, MISSING, ROOT, loaded, made
from .federation.holding import Holding
from .federation.reach import place, reach
from .federation.rounds import Writer, beside
from .job import Job
from .lessons import Round, carried
from .recipe import Recipe, check, load
from .types import Plan, Report

KNOBS = "federated."
PATIENCE = "seconds a client may take for a round; without it 3600 for the first, then four times the slowest so far, 600 at least"
ABOUT = "fine-tuning with clients that keep their data (Flower, TLS)"


def options(p: argparse.ArgumentParser, tell: Callable[[Report], None]) -> None:
    """What `slim federated` understands; `tell` prints the report."""
    sub = p.add_subparsers(required=True, metavar="server|client|certificates")
    s = sub.add_parser("server", help="waits for clients, sends them the model, averages what they send, exports the result")
    s.set_defaults(do=server, tell=tell)
    s.add_argument("--model", type=Path, help="the model; without it, the recipe's")
    s.add_argument("--recipe", type=Path, help="what is done to it first, its data, its export; without one it is trained as it is")
    s.add_argument("--out", type=Path, help="where the result goes; without it, where the recipe says")
    s.add_argument("--rounds", type=int)
    s.add_argument("--clients", type=int, default=2, help="how many are waited for before the first round (2)")
    s.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE", help="of the federation, as in rate=0.01; see slim methods")
    s.add_argument("--listen", default="127.0.0.1:8443", metavar="HOST:PORT", help="0.0.0.0:8443 for other machines (127.0.0.1:8443)")
    s.add_argument("--certificates", type=Path, required=True, metavar="DIR", help="made by slim federated certificates DIR")
    s.add_argument("--patience", type=float, metavar="S", help=PATIENCE)
    c = sub.add_parser("client", help="trains on your samples, which never leave this machine, and sends what changed")
    c.set_defaults(do=client)
    c.add_argument("--data", type=Path, required=True, help="your samples: a text, .jsonl, .csv, .npz, or a folder of texts or pictures")
    c.add_argument("--server", required=True, metavar="HOST:PORT")
    c.add_argument("--root", type=Path, required=True, metavar="ca.pem", help="the server's root certificate")
    c.add_argument("--name", help="what the server calls you; without it, your key's name or that of your data")
    c.add_argument("--limit", type=int, help="tokens, sentences or images to learn from")
    c.add_argument("--part", default="1/1", metavar="K/N", help="train on the K-th of N shares of the data only")
    c.add_argument("--alpha", type=float, default=0.0, help="shares drawn from Dirichlet(alpha) by class; 0: even")
    c.add_argument("--spread", type=float, default=0.0, help="of the shares' sizes, log-normal; 0: none")
    c.add_argument("--key", type=Path, metavar="NAME.key.json", help="yours, where the server takes in only clients with one")
    c.add_argument("--teacher", type=Path, help="your own copy of the original model, where the training follows its answers")
    c.add_argument("--keep", type=Path, metavar="DIR", help="where your own model goes, if batch norms stay with clients (norms = local)")
    c.add_argument("--seed", type=int, default=0, help="of the shares; the same for all clients")
    c.add_argument("--patience", type=float, default=60.0, metavar="S", help="seconds to look for the server (60)")
    k = sub.add_parser("certificates", help="a root for the clients (ca.pem), a certificate and key for the server")
    k.set_defaults(do=certificates)
    k.add_argument("folder", type=Path)
    k.add_argument("--name", action="append", default=[], help="a host name or address the server is reached by, beside this machine's own")
    k.add_argument("--client", action="append", default=[], help="makes a key for a client of this name; nobody without one is let in then")


def certificates(args: argparse.Namespace, job: Job) -> None:
    if not args.client or not (args.folder / ROOT).exists():
        made(args.folder, (*LOOPBACK, *args.name))
        print(f"{args.folder}: give ca.pem to the clients, keep server.key to yourself; good for a year")
    for path in keys.made(args.folder, args.client) if args.client else ():
        print(f"{path}: give it to this client alone, on a way you trust")


def server(args: argparse.Namespace, job: Job) -> None:
    """Rounds on the terminal and in the ledger beside the result, which is exported and verified as any."""
    recipe = _asked(args)
    place(args.listen)
    if args.patience is not None and args.patience <= 0:
        raise BadPlan(f"--patience {args.patience:g} leaves no client time to answer; give seconds above zero")
    listening = _imported("server").Listening
    remote = _imported("server").Remote
    tls, secret = loaded(args.certificates), keys.secret_of(args.certificates)
    ledger = beside(recipe.out)  # type: ignore[arg-type]
    ledger.parent.mkdir(parents=True, exist_ok=True)
    writer = Writer(ledger, {"model": str(recipe.source), "clients": args.clients, "how": dict(recipe.plan.recovery)})
    at = listening(args.listen, args.clients, tls, writer.id, secret, args.patience)
    if not secret:
        print(f"whoever reaches {args.listen} can take part: no client was given a key (slim federated certificates DIR --client NAME)")
    print(f"rounds are written to {ledger}", flush=True)
    try:
        args.tell(_run(recipe, job.into(lambda p: _heard(p, writer)), lambda slim: remote(at, slim)))
    except SlimError as e:
        writer.failed(str(e))
        raise


def _run(recipe: Recipe, job: Job, crowd: Any) -> Report:
    from .run import run

    return run(recipe, job, crowd=crowd).report


def _asked(args: argparse.Namespace) -> Recipe:
    """The recipe with what the command line says of the federation."""
    recipe = load(args.recipe) if args.recipe else None
    if recipe is None and args.model is None:
        raise BadPlan("Which model? Give --model, or --recipe with one in it")
    recipe = recipe or Recipe(args.model, Plan(tune=False))
    if recipe.factory:
        raise BadPlan("This recipe's network is Python code of its own, which is never sent to clients; use a model with a config.json")
    out = args.out or recipe.out
    if out is None:
        raise BadPlan("Where should the result go? Give --out, or [export] path in the recipe")
    knobs = dict(_knob(k) for k in args.knob) | ({"rounds": args.rounds} if args.rounds is not None else {})
    had = recipe.plan.recovery if recipe.plan.recover == "federated" else {}
    plan = replace(recipe.plan, recover="federated", recovery={**had, "clients": max(2, args.clients), **knobs})
    check(plan)
    return replace(recipe, source=args.model or recipe.source, plan=plan, out=out)


def _knob(text: str) -> tuple[str, Any]:
    name, _, value = text.removeprefix(KNOBS).partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _heard(point: Any, writer: Writer) -> None:
    writer.heard(point)
    if isinstance(point, Round):
        print(line(point), flush=True)


def line(r: Round) -> str:
    """A round in a line: losses and bytes client by client."""
    each = ", ".join(f"{name} {loss:.4g} ({r.sent[name]:,} bytes)" for name, loss in r.losses.items())
    gone = "".join(f"; {name} {why}" for name, why in r.absent.items())
    joules, low, high = carried(sum(r.sent.values()))
    energy = f"{joules:.2g} J to carry over the Internet ({low:.2g} to {high:.2g}, modelled)"
    return f"round {r.round} of {r.rounds}: loss {r.before:.4g} -> {r.held:.4g} on the server's data; {each}{gone}; {energy}"


def client(args: argparse.Namespace, job: Job) -> None:
    """Join, train, leave; the samples stay here."""
    key = keys.read(args.key) if args.key else None
    holding = _holding(args, key)
    root = reach(args.server, args.root, args.patience, job)
    _imported("client").take_part(args.server, root, holding, job, key)
    print(f"{holding.name}: done; the server has the result")


def _holding(args: argparse.Namespace, key: keys.Key | None) -> Holding:
    place(args.server)
    if not args.data.exists():
        raise BadPlan(f"{args.data}: there is nothing there; give --data your own samples")
    at, _, of = args.part.partition("/")
    if not (at.isdecimal() and of.isdecimal() and 1 <= int(at) <= int(of)):
        raise BadPlan(f"--part {args.part} is no share; write K/N, as in 2/5")
    if args.data.is_dir() and not any(args.data.iterdir()):
        raise BadPlan(f"{args.data} is empty; put samples into it")
    if args.keep and args.keep.exists():
        raise BadPlan(f"{args.keep} is there already; give --keep another place")
    if key and args.name not in (None, key.name):
        raise BadPlan(f"--name {args.name} is not the name this key was made for; leave --name out")
    name = key.name if key else args.name or (args.data.resolve().name if args.data.is_dir() else args.data.stem)
    return Holding(name, args.data, args.limit, (int(at), int(of)), args.alpha, args.seed, args.spread, args.teacher, args.keep)


def _imported(name: str) -> Any:
    """What needs Flower; a sentence where it is not installed."""
    import importlib

    try:
        return importlib.import_module(f"core.federation.{name}")
    except ImportError as e:
        raise CannotRun(f"{MISSING} ({e})") from None


