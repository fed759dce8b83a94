"""A run that begins where a weight was replaced answers as the whole run does."""

from __future__ import annotations

import pytest
import torch

from core.job import Job
from core.networks import Network
from core.recipe import Recipe
from core.sensing import Opened, opened
from core.sensitivity.replay import Replay
from core.store import Store
from core.types import CLASSIFIERS, Layer
from tests.conftest import SAMPLES


@pytest.fixture(scope="module", params=["digits-cnn", "fashion-vit"])
def o(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    home = tmp_path_factory.mktemp("replay")
    return opened(Recipe(SAMPLES / request.param, limit=20, tokens=16), Job(), Store(home / "layers"))


def _halved(o: Opened, x: Layer) -> torch.Tensor:
    return o.reference.weights[x.tensor.name] * 0.5


def _item(o: Opened) -> dict[str, torch.Tensor]:
    kind = CLASSIFIERS[o.network.task]
    return {kind: o.reference.batches.items[0][kind][:4]}


def _whole(o: Opened, *changed: Layer) -> torch.Tensor:
    weights = {**o.reference.weights, **{x.tensor.name: _halved(o, x) for x in changed}}
    return Replay.of(o.network, weights, _item(o), Job()).answer


def test_one_layer_replaced_is_answered_as_in_a_whole_run(o: Opened) -> None:
    first = Replay.of(o.network, o.reference.weights, _item(o), Job())
    for x in o.layers[::5]:
        assert torch.equal(first.changed(x.tensor.name, _halved(o, x), Job()).answer, _whole(o, x))


def test_a_second_layer_may_be_replaced_before_or_after_the_first(o: Opened) -> None:
    first = Replay.of(o.network, o.reference.weights, _item(o), Job())
    one, other = o.layers[len(o.layers) // 3], o.layers[-2]
    for a, b in ((one, other), (other, one)):
        kept = first.changed(a.tensor.name, _halved(o, a), Job(), keep=True)
        assert torch.equal(kept.changed(b.tensor.name, _halved(o, b), Job()).answer, _whole(o, a, b))


def test_what_comes_before_a_replaced_layer_is_not_worked_out_again(o: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Replay.of(o.network, o.reference.weights, _item(o), Job())
    last = next(x for x in reversed(o.layers) if x.kind in ("linear", "conv"))
    kinds = {type(m) for m in first.order} & {torch.nn.Linear, torch.nn.Conv2d}
    ran: list[int] = []
    for kind in kinds:
        worked = kind.forward

        def counted(*args: object, worked: object = worked) -> object:
            ran.append(1)
            return worked(*args)  # type: ignore[operator]

        monkeypatch.setattr(kind, "forward", counted)
    first.changed(last.tensor.name, _halved(o, last), Job())
    assert 1 <= len(ran) <= 2


def test_the_network_is_left_as_it_was(o: Opened) -> None:
    _whole(o)
    assert _plain(o.network)


def _plain(network: Network) -> bool:
    assert network.module is not None
    return not any("forward" in vars(m) for m in network.module.modules())
