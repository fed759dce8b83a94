"""A federation: the weighted mean is the centralised step, order and empty clients change nothing, masks and grids are the server's."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from core.errors import BadData, BadPlan, Cancelled
from core.evaluate import Reference
from core.job import Job, Progress
from core.lessons import Round
from core.recipe import Recipe
from core.recover import norms
from core.recover.clients import Client, clipped, dealt, epsilon, rows
from core.recover.federated import Federation, joined
from core.recover.fit import Learned, Lessons
from core.recover.local import Answer, Here
from core.recover.methods import Federated
from core.recover.student import Student, student
from core.recover.tune import cut
from core.recover.update import packed, unpacked
from core.run import run
from core.store import Store
from core.stored import Quantized
from core.types import Choice, Plan
from tests.core.test_train import SAMPLES, Pupil

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("digits-cnn", Choice("magnitude", 0.7, "rtn", 4, {"rtn.group_size": 16}), tmp_path_factory.mktemp("digits"), 400)


def rounds(seen: list[Round]) -> Job:
    """A job that notes each round."""
    return Job(point=lambda p: seen.append(p) if isinstance(p, Round) else None)


def begun(digits: Pupil, how: Federated) -> tuple[Student, Lessons]:
    pieces = replace(digits.seen, items=tuple(cut(digits.seen)), nbytes=())
    learner = student(digits.plain, digits.network, digits.running(digits.plain), how)  # type: ignore[arg-type]
    return learner, Lessons(digits.network, pieces, None)


def federation(digits: Pupil, folder: Path, how: Federated) -> Federation:
    return Federation(*begun(digits, how), how, 0, replace(digits.store, root=folder), "a" * 64)


def one_round(f: Federation, clients: list[Client], job: Job | None = None, crowd: type[Here] = Here) -> None:
    """The first round of these clients."""
    f.crowd, f.empty = crowd(clients), set()

    def work() -> Learned:
        f._round(1, job or Job())
        return Learned(0.0, 0.0)

    f.crowd.meet(work, f.local, Job())


def split(lessons: Lessons, *shares: int) -> list[Client]:
    """The trained pieces' first samples as clients of so many samples."""
    whole = {k: torch.cat([x[k] for x in lessons.of(lessons.trained).items]) for k in lessons.pieces.items[0]}
    out, at = [], 0
    for n, size in enumerate(shares):
        part = {k: v[at : at + size] for k, v in whole.items()}
        out.append(Client(f"client {n + 1}", replace(lessons.pieces, items=(part,) if size else (), n=size)))
        at += size
    return out


SGD = Federated(train="scales", local="sgd", rate=0.5, batch=100)


def test_one_full_batch_step_of_10_and_90_samples_is_the_centralised_step(digits: Pupil, tmp_path: Path) -> None:
    ten, whole = federation(digits, tmp_path, SGD), federation(digits, tmp_path, SGD)
    one_round(ten, split(ten.lessons, 10, 90))
    one_round(whole, split(whole.lessons, 100))
    even = federation(digits, tmp_path, replace(SGD, weighted=False))
    one_round(even, split(even.lessons, 10, 90))
    apart = [float((a - b).abs().max()) for a, b in zip(ten.server, whole.server, strict=True)]
    size = max(float(s.abs().max()) for s in whole.server)
    assert max(apart) < 1e-4 * size
    assert max(float((a - b).abs().max()) for a, b in zip(even.server, whole.server, strict=True)) > 0.01 * size


def test_a_falling_rate_shortens_the_step_of_later_rounds_on_the_cosine(digits: Pupil, tmp_path: Path) -> None:
    stays, falls = federation(digits, tmp_path, replace(SGD, rounds=4)), federation(digits, tmp_path, replace(SGD, rounds=4, falling=True))
    for n, share in ((1, 1.0), (3, 0.55), (4, 0.2318)):
        a, b = (f.local.answer(split(f.lessons, 10)[0], f.server, n, Job()).message for f in (stays, falls))
        step, short = (torch.cat([t.flatten() for t in unpacked(m, stays.server, "float32")]) for m in (a, b))
        assert float(short.norm() / step.norm()) == pytest.approx(share, abs=1e-3)


def test_the_order_of_the_clients_and_those_without_samples_change_nothing(digits: Pupil, tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    changes = [(n, [torch.randn(3, 4, generator=g), torch.randn(5, generator=g)]) for n in (7, 30, 2, 11)]
    for other in (changes[::-1], [changes[i] for i in (2, 0, 3, 1)]):
        assert all(torch.equal(a, b) for a, b in zip(joined(changes, 0.0), joined(other, 0.0), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(joined(changes, 0.25), joined(other, 0.25), strict=True))
    full, also = federation(digits, tmp_path, SGD), federation(digits, tmp_path, SGD)
    one_round(full, split(full.lessons, 10, 20))
    job = Job()
    one_round(also, split(also.lessons, 10, 20, 0)[::-1], job)
    assert job.notes == ["client 3 hold no samples and change nothing"]
    assert all(torch.equal(a, b) for a, b in zip(full.server, also.server, strict=True))
    own, turned = (federation(digits, tmp_path, replace(SGD, norms="local")) for _ in range(2))
    one_round(own, split(own.lessons, 10, 20))
    one_round(turned, split(turned.lessons, 10, 20)[::-1])
    assert all(torch.equal(a, b) for a, b in zip(own.server, turned.server, strict=True)), "nor do norms of one client reach the next"


def test_an_outlier_among_the_clients_is_trimmed_away() -> None:
    honest = [(1, [torch.full((4,), float(v))]) for v in (1, 2, 3)]
    assert float(joined([*honest, (1, [torch.full((4,), 1e6)])], 0.25)[0].max()) < 4
    assert float(joined([*honest, (1, [torch.full((4,), 1e6)])], 0.0)[0].max()) > 1e5


def test_every_sample_is_dealt_once_and_a_small_alpha_deals_unequally(digits: Pupil) -> None:
    pieces = replace(digits.seen, items=tuple(cut(digits.seen)))
    for alpha in (0.0, 0.3):
        found = dealt(pieces, 10, alpha, 3)
        assert sum(c.samples for c in found) == sum(map(rows, pieces.items))
        labels = torch.cat([x["labels"] for c in found for x in c.pieces.items]).sort().values
        assert torch.equal(labels, torch.cat([x["labels"] for x in pieces.items]).sort().values)
        sizes = [c.samples for c in found]
        assert (max(sizes) - min(sizes) <= 10) == (alpha == 0)
        wide = [c.samples for c in dealt(pieces, 10, alpha, 3, 2.0)]
        assert sum(wide) == sum(sizes)
        assert max(wide) > 2 * max(sizes), "a few hold most"
        assert sorted(wide)[5] < 0.6 * sorted(sizes)[5], "and most hold little"
    with pytest.raises(BadData, match="fewer clients"):
        dealt(pieces, 10_000, 0.3, 0)


def test_pooled_statistics_of_batch_norms_are_those_of_all_samples_in_one_batch(digits: Pupil) -> None:
    """To the bit's edge at the first norm; behind it each client's pass is normalised by its own, and what was counted before it was cut is
    half wrong."""
    small, large = split(begun(digits, SGD)[1], 40, 60)
    whole = {k: torch.cat([small.pieces.items[0][k], large.pieces.items[0][k]]) for k in small.pieces.items[0]}
    weights = {n: w.clone() for n, w in digits.running(digits.plain).items()}
    names, pairs = [t for pair in norms.pairs(digits.network) for t in pair], norms.pairs(digits.network)
    was = [weights[n] for n in names]
    found = [norms.restated(digits.network, weights, c.pieces.items, Job()) for c in (small, large)]
    told = [(c.samples, norms.moved(was, [f[n] for n in names])) for c, f in zip((small, large), found, strict=True)]
    pooled = dict(zip(names, norms.pooled(was, joined(told, 0.0)), strict=True))
    seen, tolerance = one_batch(digits, weights, whole), 1e-4
    for mean, var in pairs:
        rows = seen[mean].double()
        true, spread = rows.var(1, unbiased=False), rows.std(1)
        assert float(((pooled[mean] - rows.mean(1)) / spread).abs().mean()) < tolerance
        assert float((pooled[var] / true - 1).abs().mean()) < tolerance
        assert bool((pooled[var] > 0.4 * found[0][var] + 0.6 * found[1][var]).any()), "the variance between the clients counts, too"
        tolerance = 0.05
    assert min(float((weights[v] / seen[m].var(1) - 1).abs().mean()) for m, v in pairs[1:]) > 0.4


def test_pooled_statistics_help_a_cut_network_in_its_first_round(digits: Pupil, tmp_path: Path) -> None:
    held = {}
    for kind in ("kept", "weighted"):
        f = federation(digits, tmp_path, Federated(rate=0.01, batch=4, norms=kind))
        one_round(f, split(f.lessons, 40, 60))
        held[kind] = f.lessons.checked(f.student, f.how, Job())
    assert held["weighted"] < 0.2 * held["kept"]


def one_batch(digits: Pupil, weights: dict[str, torch.Tensor], item: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What each batch norm is given in one training pass, by its mean's name: (channels, samples and places)."""
    seen: dict[str, torch.Tensor] = {}
    norm = torch.nn.functional.batch_norm

    def watched(x: torch.Tensor, mean: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        (name,) = (m for m, _ in norms.pairs(digits.network) if torch.equal(weights[m], mean))
        seen[name] = x.transpose(0, 1).flatten(1)
        return norm(x, mean, *args, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as m, torch.no_grad(), norms.batchwise(digits.network):
        m.setattr(torch.nn.functional, "batch_norm", watched)
        digits.network.forward(dict(weights), item)
    return seen


def lit(c: Client, contrast: float, brightness: float) -> Client:
    """The client with pictures taken in another light."""
    items = tuple({**x, "pixel_values": x["pixel_values"] * contrast + brightness} for x in c.pieces.items)
    return replace(c, pieces=replace(c.pieces, items=items))


def test_with_norms_of_its_own_each_client_does_better_in_its_own_light_than_with_pooled_or_the_servers(
    digits: Pupil, tmp_path: Path
) -> None:
    losses: dict[str, list[float]] = {}
    for kind in ("weighted", "local"):
        f = federation(digits, tmp_path, Federated(rate=0.01, batch=4, norms=kind))
        bright, dark, *unseen = dealt(f.lessons.pieces, 4, 0.0, 0)
        clients, others = [bright, lit(dark, 0.4, 1.5)], [unseen[0], lit(unseen[1], 0.4, 1.5)]
        one_round(f, clients)
        for c, other in zip(clients, others, strict=True):
            found = f.local.fitted(c, f.server, Job())
            losses.setdefault(kind, []).append(f.local._mean(other, Job()))
            assert (found.own < 0.2 * found.shared) == (kind == "local")
            f.local.put(f.server)
            losses.setdefault(f"{kind}, the server's", []).append(f.local._mean(other, Job()))
    for own, *rest in zip(losses.pop("local"), *losses.values(), strict=True):
        assert own < 0.6 * min(rest), losses


def test_of_norms_that_stay_with_the_clients_nothing_is_sent_and_the_servers_stay_as_they_were(digits: Pupil, tmp_path: Path) -> None:
    f, all_sent = (federation(digits, tmp_path, replace(SGD, train="all", norms=n, noise=0.1, limit=1.0)) for n in ("local", "kept"))
    was = {n: w.clone() for n, w in f.student.weights().items()}
    (client,) = split(f.lessons, 40)
    one_round(f, [client])
    own = sum(2 * m.num_features for m in norms.counted(digits.network).values())  # type: ignore[operator,misc]
    goes_on, begins = (f.local.answer(c, f.server, 2, Job()).message for c in (replace(client), split(f.lessons, 40)[0]))
    assert goes_on != begins, "it takes them to the next round"
    sent = sum(t.numel() for t in unpacked(goes_on, f.server, "float32"))
    assert sent == sum(t.numel() for t in all_sent.server) - own > 0
    f.local.put(f.server)
    now, names = f.student.weights(), norms.tensors(digits.network, (*norms.STATISTICS, "weight", "bias"))
    assert len(names) == 4 * len(norms.counted(digits.network)) > 40
    assert all(torch.equal(now[n], was[n]) for n in names)
    assert not all(torch.equal(now[n], was[n]) for n in was.keys() - names)
    assert all(bool((a != b).any()) for a, b in zip(client.norms, f.local.home, strict=True)), "and the client's are its own"


@pytest.mark.parametrize("how", ["int8", "top"])
def test_what_packing_takes_off_is_sent_with_the_next_change(how: str) -> None:
    g, kept, whole, arrived = torch.Generator().manual_seed(0), list[torch.Tensor](), torch.zeros(500), torch.zeros(500)
    for _ in range(30):
        change = torch.randn(500, generator=g) + 0.3
        message, kept = packed([change], kept, how)
        whole, arrived = whole + change, arrived + unpacked(message, [change], how)[0]
        assert len(message) < 0.4 * 4 * 500
    assert torch.allclose(whole, arrived + kept[0], atol=1e-4)
    assert float((whole - arrived).norm() / whole.norm()) < 0.5


def test_a_clipped_change_keeps_its_direction_and_epsilon_is_the_published_figure() -> None:
    change = [torch.tensor([3.0, 0.0]), torch.tensor([4.0])]
    short = clipped(change, 1.0)
    assert math.sqrt(sum(float(t.square().sum()) for t in short)) == pytest.approx(1.0)
    assert float(short[0][0] / short[1][0]) == pytest.approx(0.75)
    assert epsilon(1.0, 1) == pytest.approx(0.5 + 2 * math.sqrt(0.5 * math.log(1e5)))
    assert epsilon(2.0, 10) < epsilon(1.0, 10) < epsilon(1.0, 20)


def test_noise_without_a_longest_change_is_refused() -> None:
    with pytest.raises(BadPlan, match="limit"):
        Federated(noise=1.0)
    for broken, why in (({"trim": 0.1}, "plain mean"), ({"update": "int8"}, "plain mean"), ({"norms": "weighted"}, "not hidden by noise")):
        with pytest.raises(BadPlan, match=why):
            Federated(noise=1.0, limit=1.0, **broken)
    assert Federated(noise=1.0, limit=1.0, norms="local").noise, "what is not sent needs none"


def test_a_client_that_sends_nonsense_is_named_and_the_round_goes_on(digits: Pupil, tmp_path: Path) -> None:
    job, f = Job(), federation(digits, tmp_path, SGD)
    good, bad = split(f.lessons, 10, 20)
    broken = {k: v * float("nan") if v.is_floating_point() else v for k, v in bad.pieces.items[0].items()}
    one_round(f, [good, replace_pieces(bad, broken)], job)
    assert job.notes == ["Round 1: client 2 sent numbers that are not finite and was left out"]
    alone = federation(digits, tmp_path, SGD)
    one_round(alone, [good])
    assert all(torch.equal(a, b) for a, b in zip(f.server, alone.server, strict=True))


def replace_pieces(c: Client, item: dict[str, torch.Tensor]) -> Client:
    return Client(c.name, replace(c.pieces, items=(item,)))


FEW = {"method": "federated", "clients": 3, "rounds": 2, "epochs": 1, "rate": 0.01}


@pytest.mark.parametrize(
    "knobs", [{"server": "fedavgm"}, {"server": "fedadam", "update": "int8"}, {"prox": 0.1, "update": "top", "norms": "weighted"}]
)  # fmt: skip
def test_clients_together_teach_what_none_could_alone_and_masks_and_grids_hold(digits: Pupil, knobs: dict[str, object]) -> None:
    seen: list[Round] = []
    done = digits.trained(rounds(seen), **FEW, **knobs)
    assert digits.score(done, "top1") > digits.score(digits.plain, "top1") + 0.1
    assert [r.round for r in seen] == [1, 2]
    assert len({tuple(r.sent.values()) for r in seen}) == 1
    for x in digits.layers:
        before, after = digits.plain.stored(x), done.stored(x)
        assert after.nbytes == before.nbytes
        if isinstance(before, Quantized):
            assert bool((after.dense()[before.dense() == 0] == 0).all())


def test_a_federation_goes_on_after_its_last_whole_round_to_the_same_bytes(digits: Pupil, tmp_path: Path) -> None:
    how = {**FEW, "update": "int8", "norms": "local"}
    whole = digits.trained(**how)
    assert whole is not digits.plain
    other = Pupil("digits-cnn", digits.plain.plan.model, tmp_path, 400)

    def stop(p: Progress) -> None:
        if p.phase == "Federated rounds" and p.done == 1:
            job.cancel()

    job = Job(tell=stop)
    with pytest.raises(Cancelled):
        other.trained(job, **how)
    seen: list[Round] = []
    done = other.trained(rounds(seen), **how)
    assert [r.round for r in seen] == [2]
    for x in other.layers:
        assert torch.equal(done.stored(x).dense(), whole.stored(x).dense())


def test_the_teacher_of_a_federation_answers_each_client(digits: Pupil) -> None:
    assert digits.score(digits.trained(**FEW, share=1.0)) < digits.score(digits.plain)
    assert Reference(digits.network, digits.weights, digits.seen).answer(0, Job()).shape[1] == 10


FORGED = {
    "other shapes": (lambda s: packed([t[:1] for t in s], [], "float32")[0], "sent numbers of other shapes than the model's"),
    "too few": (lambda s: packed(s[1:], [], "float32")[0], "sent numbers of other shapes than the model's"),
    "too many": (lambda s: packed([*s, s[0].clone()], [], "float32")[0], "sent numbers of other shapes than the model's"),
    "whole numbers": (lambda s: packed([t.int() for t in s], [], "float32")[0], "sent numbers of other shapes than the model's"),
    "infinite": (lambda s: packed([t * torch.inf for t in s], [], "float32")[0], "sent numbers that are not finite"),
    "a pickle": (lambda s: pickle.dumps(s), "sent something that is no list of arrays"),
    "nothing": (lambda s: b"", "sent something that is no list of arrays"),
}


@pytest.mark.parametrize("what", sorted(FORGED))
def test_a_forged_message_is_named_and_the_round_goes_on_without_it(digits: Pupil, tmp_path: Path, what: str) -> None:
    forged, why = FORGED[what]

    class Forging(Here):
        """Its second client sends something else."""

        def answers(self, names: list[str], values: list[torch.Tensor], n: int, job: Job) -> Iterator[tuple[str, Answer | str]]:
            for name, answer in super().answers(names, values, n, job):
                yield name, Answer(forged(values), 0.0, 10) if name == "client 2" else answer

    how = replace(SGD, rate=0.1)
    f, alone, job = federation(digits, tmp_path, how), federation(digits, tmp_path, how), Job()
    one_round(f, split(f.lessons, 4, 4), job, Forging)
    one_round(alone, split(alone.lessons, 4))
    assert job.notes == [f"Round 1: client 2 {why} and was left out"]
    assert all(torch.equal(a, b) for a, b in zip(f.server, alone.server, strict=True))


def test_places_outside_the_tensor_are_refused() -> None:
    message = save({"0.at": torch.tensor([7], dtype=torch.int32), "0.value": torch.ones(1)})
    with pytest.raises(BadData, match="other shapes"):
        unpacked(message, [torch.zeros(5)], "top")


def test_clients_with_a_folder_each_learn_from_their_own_and_the_servers_data_serve_the_check(tmp_path: Path) -> None:
    """A folder without pictures is a client that changes nothing."""
    holdings(tmp_path / "clients", {"a": 40, "b": 24})
    (tmp_path / "clients" / "c").mkdir()
    plan = Plan(Choice("magnitude", 0.5, "rtn", 4), tune=False, recover="federated", recovery={**ROUNDS, "partition": "folders"})
    recipe, seen, job = Recipe(DIGITS, plan, limit=100, train=tmp_path / "clients"), list[Round](), Job()
    run(recipe, job.into(seen.append), Store(tmp_path / "one"))
    told = [r for r in seen if isinstance(r, Round)]
    assert [sorted(r.losses) for r in told] == [["a", "b"]] * ROUNDS["rounds"]
    assert told[-1].losses["a"] < told[0].losses["a"]
    assert any("Clients in clients and their samples: a 40, b 24, c 0" in n for n in job.notes)
    assert any("c hold no samples" in n for n in job.notes)
    with pytest.raises(BadData, match="two at least"):
        run(replace(recipe, train=tmp_path / "clients" / "c"), Job(), Store(tmp_path / "one"))


DIGITS = SAMPLES / "digits-cnn"
ROUNDS = {"rounds": 2, "rate": 0.01}


def holdings(folder: Path, sizes: dict[str, int]) -> None:
    """Training digits dealt to folders of pictures, with the sample's card in each."""
    with np.load(DIGITS / "calibrate.npz") as found:
        images, labels = found["images"], found["labels"]
    at = 0
    for name, size in sizes.items():
        for i in range(at, at + size):
            (kind := folder / name / str(labels[i])).mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[i, 0]).save(kind / f"{i}.png")
        at += size
    (folder / "sample.json").write_bytes((DIGITS / "sample.json").read_bytes())
