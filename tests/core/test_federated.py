"""A federation: the weighted mean is the centralised step, order and empty clients change nothing, masks and grids are the server's."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import BadData, BadPlan, Cancelled
from core.evaluate import Reference
from core.job import Job, Progress
from core.lessons import Round
from core.recover.clients import Client, clipped, dealt, epsilon, packed, rows
from core.recover.federated import Federation, joined
from core.recover.fit import Lessons
from core.recover.methods import Federated
from core.recover.student import Student, student
from core.recover.tune import cut
from core.stored import Quantized
from core.types import Choice
from tests.core.test_train import Pupil

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
    ten._round(1, split(ten.lessons, 10, 90), Job())
    whole._round(1, split(whole.lessons, 100), Job())
    even = federation(digits, tmp_path, replace(SGD, weighted=False))
    even._round(1, split(even.lessons, 10, 90), Job())
    apart = [float((a - b).abs().max()) for a, b in zip(ten.server, whole.server, strict=True)]
    size = max(float(s.abs().max()) for s in whole.server)
    assert max(apart) < 1e-4 * size
    assert max(float((a - b).abs().max()) for a, b in zip(even.server, whole.server, strict=True)) > 0.01 * size


def test_the_order_of_the_clients_and_those_without_samples_change_nothing(digits: Pupil, tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    changes = [(n, [torch.randn(3, 4, generator=g), torch.randn(5, generator=g)]) for n in (7, 30, 2, 11)]
    for other in (changes[::-1], [changes[i] for i in (2, 0, 3, 1)]):
        assert all(torch.equal(a, b) for a, b in zip(joined(changes, 0.0), joined(other, 0.0), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(joined(changes, 0.25), joined(other, 0.25), strict=True))
    full, also = federation(digits, tmp_path, SGD), federation(digits, tmp_path, SGD)
    full._round(1, split(full.lessons, 10, 20), Job())
    also._round(1, [c for c in split(also.lessons, 10, 20, 0) if c.samples], Job())
    assert all(torch.equal(a, b) for a, b in zip(full.server, also.server, strict=True))


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
    with pytest.raises(BadData, match="fewer clients"):
        dealt(pieces, 10_000, 0.3, 0)


@pytest.mark.parametrize("how", ["int8", "top"])
def test_what_packing_takes_off_is_sent_with_the_next_change(how: str) -> None:
    g, client, whole, arrived = torch.Generator().manual_seed(0), Client("c", None), torch.zeros(50), torch.zeros(50)  # type: ignore[arg-type]
    for _ in range(30):
        change = torch.randn(50, generator=g) + 0.3
        sent, nbytes = packed([change], client, how)
        whole, arrived = whole + change, arrived + sent[0]
        assert nbytes < 4 * 50
    assert torch.allclose(whole, arrived + client.kept[0], atol=1e-4)
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
    for broken in ({"trim": 0.1}, {"update": "int8"}):
        with pytest.raises(BadPlan, match="plain mean"):
            Federated(noise=1.0, limit=1.0, **broken)


def test_a_client_that_sends_nonsense_is_named_and_the_round_goes_on(digits: Pupil, tmp_path: Path) -> None:
    job, f = Job(), federation(digits, tmp_path, SGD)
    good, bad = split(f.lessons, 10, 20)
    broken = {k: v * float("nan") if v.is_floating_point() else v for k, v in bad.pieces.items[0].items()}
    f._round(1, [good, replace_pieces(bad, broken)], job)
    assert job.notes == ["Round 1: client 2 sent numbers that are not finite and was left out"]
    alone = federation(digits, tmp_path, SGD)
    alone._round(1, [good], Job())
    assert all(torch.equal(a, b) for a, b in zip(f.server, alone.server, strict=True))


def replace_pieces(c: Client, item: dict[str, torch.Tensor]) -> Client:
    return Client(c.name, replace(c.pieces, items=(item,)))


FEW = {"method": "federated", "clients": 3, "rounds": 2, "epochs": 1, "rate": 0.01}


@pytest.mark.parametrize("knobs", [{"server": "fedavgm"}, {"server": "fedadam", "update": "int8"}, {"prox": 0.1, "update": "top"}])
def test_clients_together_teach_what_none_could_alone_and_masks_and_grids_hold(digits: Pupil, knobs: dict[str, object]) -> None:
    seen: list[Round] = []
    done = digits.trained(rounds(seen), **FEW, **knobs)
    assert digits.score(done, "top1") > digits.score(digits.plain, "top1") + 0.1
    assert [r.round for r in seen] == [1, 2]
    assert len({r.sent for r in seen}) == 1
    for x in digits.layers:
        before, after = digits.plain.stored(x), done.stored(x)
        assert after.nbytes == before.nbytes
        if isinstance(before, Quantized):
            assert bool((after.dense()[before.dense() == 0] == 0).all())


def test_a_federation_goes_on_after_its_last_whole_round_to_the_same_bytes(digits: Pupil, tmp_path: Path) -> None:
    whole = digits.trained(**FEW, update="int8")
    other = Pupil("digits-cnn", digits.plain.plan.model, tmp_path, 400)

    def stop(p: Progress) -> None:
        if p.phase == "Federated rounds" and p.done == 1:
            job.cancel()

    job = Job(tell=stop)
    with pytest.raises(Cancelled):
        other.trained(job, **FEW, update="int8")
    seen: list[Round] = []
    done = other.trained(rounds(seen), **FEW, update="int8")
    assert [r.round for r in seen] == [2]
    for x in other.layers:
        assert torch.equal(done.stored(x).dense(), whole.stored(x).dense())


def test_the_teacher_of_a_federation_answers_each_client(digits: Pupil) -> None:
    assert digits.score(digits.trained(**FEW, share=1.0)) < digits.score(digits.plain)
    assert Reference(digits.network, digits.weights, digits.seen).answer(0, Job()).shape[1] == 10
