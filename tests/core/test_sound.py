"""A network that hears, end to end: opened by its tensors, scored on recordings, slimmed, cut, trained again, exported, and played."""

from __future__ import annotations

import json
import sys
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from core import cli, data
from core.cut import cut, cut_of, planned
from core.data.calibration import calibrating
from core.data.sounds import framed, samples
from core.energy import estimate
from core.errors import BadData, Cancelled, CannotRun, DoesNotFit
from core.evaluate import Reference, judge
from core.export import export
from core.formats import open_checkpoint, read, targets
from core.job import Job
from core.layers import layers
from core.networks import attach, task_of
from core.pitch import BINS, RATE, WINDOW, frequency, heard, place
from core.plans import resolve
from core.play import Heard, Side
from core.play.hear import hear
from core.play.look import look
from core.play.worst import worst
from core.recipe import Recipe
from core.run import run
from core.size import size
from core.types import Choice, Plan
from tests.core.test_evaluate import SAMPLES, shaken
from tests.real import crepe

PITCH = SAMPLES / "pitch-crepe"


def recorded(file: Path, x: np.ndarray, rate: int = RATE, wide: int = 2) -> Path:
    """Samples in [-1, 1), (n,) or (n, channels), as PCM of `wide` bytes."""
    with wave.open(str(file), "wb") as w:
        w.setnchannels(1 if x.ndim == 1 else x.shape[1])
        w.setsampwidth(wide)
        w.setframerate(rate)
        whole = (x * (2 ** (8 * wide - 1) - 1)).round().astype("<i4")
        w.writeframes((whole + 128).astype(np.uint8).tobytes() if wide == 1 else whole.astype("<i4").tobytes() if wide == 4 else
                      whole.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :wide].tobytes())  # fmt: skip
    return file


def tone(hz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return 0.25 * np.sum([np.sin(2 * np.pi * k * hz * t) / k for k in (1, 2, 3)], 0)


@pytest.fixture(scope="module")
def opened() -> Side:
    checkpoint = open_checkpoint(PITCH)
    return Side(attach(checkpoint), {n: read(t).float() for n, t in checkpoint.tensors.items()})


@pytest.fixture(scope="module")
def reference(opened: Side) -> Reference:
    return Reference(opened.network, opened.weights, data.load(PITCH / "heldout.wav", opened.network, 100))


def test_it_is_known_by_its_tensors_alone_and_a_file_without_one_of_them_is_not(tmp_path: Path) -> None:
    assert task_of(open_checkpoint(PITCH)) == "audio-classification"
    weights = load_file(PITCH / "model.safetensors")
    del weights["conv4_BN.running_var"]
    save_file(weights, tmp_path / "less.safetensors")
    with pytest.raises(CannotRun, match="without a description"):
        attach(open_checkpoint(tmp_path / "less.safetensors"))


def test_a_layer_that_does_not_fit_the_one_before_it_is_named(tmp_path: Path) -> None:
    weights = load_file(PITCH / "model.safetensors")
    weights["conv3.weight"] = weights["conv3.weight"][:, :8].contiguous()
    save_file(weights, tmp_path / "odd.safetensors")
    with pytest.raises(DoesNotFit, match=r"conv3\.weight should be"):
        attach(open_checkpoint(tmp_path / "odd.safetensors"))


@pytest.mark.parametrize("hz", [110.0, 196.0, 440.0])
def test_a_tone_is_heard_at_its_pitch_to_a_tenth_of_a_semitone(hz: float, opened: Side) -> None:
    out = opened.network.forward(opened.weights, {"input_values": framed(tone(hz).astype(np.float32), WINDOW)[2:6]}).exp()
    for row in out:
        assert abs(1200 * np.log2(heard(row.tolist()) / hz)) < 10
        assert float(row.max()) > 0.5


def test_its_score_is_the_one_on_its_card_and_the_original_loses_nothing_to_itself(opened: Side) -> None:
    card = json.loads((PITCH / "sample.json").read_text(encoding="utf-8"))["score"]
    batches = data.load(PITCH / "heldout.wav", opened.network)
    found = judge(Reference(opened.network, opened.weights, batches), None, Job())
    assert batches.n == found.n == card["n"]
    assert found.metrics["pitch"].value == pytest.approx(card["value"], abs=0.005)
    assert found.metrics["kl"].value == 0


@pytest.mark.real
def test_the_large_network_out_of_its_package_hears_what_the_small_one_does_not(opened: Side) -> None:
    checkpoint = open_checkpoint(crepe())
    network = attach(checkpoint)
    assert checkpoint.parameters == 22_244_328 + 6
    batches = data.load(PITCH / "heldout.wav", network, 24)
    large = judge(Reference(network, {n: read(t) for n, t in checkpoint.tensors.items()}, batches), None, Job())
    small = judge(Reference(opened.network, opened.weights, batches), None, Job())
    assert large.metrics["pitch"].value >= 0.96 > small.metrics["pitch"].value


@pytest.mark.parametrize("wide", [1, 2, 3, 4])
def test_recordings_of_every_width_rate_and_number_of_channels_give_the_same_sound(wide: int, tmp_path: Path) -> None:
    plain = samples(recorded(tmp_path / "a.wav", tone(220)))
    x = tone(220, rate=44_100)
    other = samples(recorded(tmp_path / "b.wav", np.stack([x, x], 1), 44_100, wide))
    assert len(other) == len(plain)
    middle = slice(RATE // 4, 3 * RATE // 4)  # a piece is cut off at its ends, and resampling rings there
    assert float(np.abs(plain - other)[middle].max()) < (0.02 if wide == 1 else 0.004)


def test_a_folder_of_recordings_is_scored_in_turns_without_labels(opened: Side, tmp_path: Path) -> None:
    for i, hz in enumerate((150, 300)):
        recorded(tmp_path / f"{i}.wav", tone(hz))
    found = data.load(tmp_path, opened.network, 6)
    assert data.serves(tmp_path)
    assert (found.kind, found.n, found.unit) == ("sounds", 6, "frames")
    assert "labels" not in found.items[0]
    bins = opened.network.forward(opened.weights, found.items[0]).argmax(-1).tolist()
    assert [round(frequency(b), -1) for b in bins] == [150, 300] * 3
    assert set(judge(Reference(opened.network, opened.weights, found), None, Job()).metrics) == {"kl", "agreement"}


def test_only_voiced_frames_of_a_labelled_recording_are_scored(opened: Side, tmp_path: Path) -> None:
    recorded(tmp_path / "a.wav", np.concatenate([tone(200), 0 * tone(200)]))
    lines = "".join(f"{i / 100:.2f},{200 if i < 96 else 0}\n" for i in range(200))
    (tmp_path / "a.csv").write_text("time,frequency\n" + lines, encoding="utf-8")
    found = data.load(tmp_path / "a.wav", opened.network)
    assert found.n == 15
    assert set(found.items[0]["labels"].tolist()) == {round(place(200))}
    assert data.default(replace(open_checkpoint(PITCH), path=tmp_path)) is None


@pytest.mark.parametrize(("made", "told"), [
    (lambda p: (p / "a.wav").write_bytes(b"no sound"), "can't be read as a recording"),
    (lambda p: recorded(p / "a.wav", tone(200, 0.05)), "too short to score"),
    (lambda p: recorded(p / "a.wav", tone(200)[:0]), "holds no sound"),
    (lambda p: (recorded(p / "a.wav", tone(200)), (p / "a.csv").write_text("0.1,loud")), "no table of pitches"),
    (lambda p: (recorded(p / "a.wav", tone(200)), (p / "a.csv").write_text("0.1,5000")), "CREPE knows 31.7 to 2005 Hz"),
    (lambda p: (recorded(p / "a.wav", tone(200)), (p / "a.csv").write_text("0.1,200"), recorded(p / "b.wav", tone(200))), "b.wav has no"),
])  # fmt: skip
def test_a_recording_that_is_none_gets_one_sentence(made: Any, told: str, opened: Side, tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(BadData, match=told):
        data.load(tmp_path if (tmp_path / "b.wav").exists() else tmp_path / "a.wav", opened.network)


def test_calibration_takes_what_lies_beside_or_what_is_not_scored(opened: Side, tmp_path: Path) -> None:
    beside = calibrating(None, opened.network, PITCH / "heldout.wav", None, 100)
    assert (beside.whole.n, beside.told) == (100, "Calibrated on pitch-crepe/calibrate.wav")
    file = recorded(tmp_path / "own.wav", tone(200, 4.0))
    rest = calibrating(None, opened.network, file, 30, 20)
    assert rest.told == "Calibrated on the frames of own.wav after the 30 that are scored"
    assert rest.whole.n == 20


def recipe(out: Path | None, plan: Plan, target: str, **more: Any) -> Recipe:
    return Recipe(PITCH, replace(plan, tune=False), data=PITCH / "heldout.wav", limit=60, out=out, target=target, **more)


@pytest.mark.parametrize("activations", ["plan", "static"])
def test_onnxruntime_runs_it_in_8_bits_and_answers_alike(activations: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    plan = Plan(Choice("magnitude", 0.0, "rtn", 8, {"rtn.granularity": "channel", "rtn.symmetric": True}))
    done = run(recipe(tmp_path / "out", plan, "onnx", target_knobs={"activations": activations}, tokens=32), Job())
    verdict, score = done.report.verdict, done.report.variant.score
    assert verdict is not None
    assert verdict.passed
    assert "onnxruntime" in verdict.tool
    assert {"same answers", "same network in float32"} <= {c.name for c in verdict.checks}
    assert "frames/s" in verdict.speed
    assert (tmp_path / "out" / "model.onnx").stat().st_size < 0.55 * 1_948_432
    assert score is not None
    assert score.metrics["kl"].value < 0.01


def test_a_quarter_of_its_inner_channels_goes_and_distillation_gives_back_most_of_what_that_cost(tmp_path: Path) -> None:
    plan = Plan(cuts={"channels": 0.25, "method": "magnitude", "compensate": False})
    taught = replace(plan, recover="distil", recovery={"train": "all", "steps": 24, "rate": 0.01})
    scored = [
        run(recipe(out, p, "dense", tokens=96), Job()).report for out, p in ((None, plan), (tmp_path / "taught", taught))
    ]  # fmt: skip
    kl = [r.variant.score.metrics["kl"].value for r in scored]
    assert kl[1] < 0.5 * kl[0]
    verdict = scored[1].verdict
    assert verdict is not None
    assert verdict.passed
    assert any(c.name == "same answers" for c in verdict.checks)
    again = open_checkpoint(tmp_path / "taught")
    assert again.tensors["conv3.weight"].shape == (12, 12, 64, 1)
    assert attach(again).task == "audio-classification"


def test_what_a_cut_leaves_is_known_before_it_is_made_and_costs_less(opened: Side) -> None:
    checkpoint = open_checkpoint(PITCH)
    how = cut_of(Plan(cuts={"channels": 0.5, "method": "magnitude", "compensate": False}))
    told, made = planned(checkpoint, how), cut(checkpoint, how, None, None, Job())
    assert {n: t.shape for n, t in told.tensors.items()} == {n: t.shape for n, t in made.tensors.items()}
    assert made.tensors["conv2.weight"].shape == (8, 128, 64, 1)
    assert made.tensors["classifier.weight"].shape == (BINS, 256)
    target, idle = targets["dense"](), resolve(Plan(), layers(checkpoint))
    spent = [
        estimate(c, layers(c), idle, size(c, layers(c), idle, target), target, "audio-classification").joules for c in (checkpoint, made)
    ]
    assert spent[1] < 0.9 * spent[0]


def test_a_damaged_export_is_caught_by_hearing_it_again(opened: Side, reference: Reference, tmp_path: Path, monkeypatch: Any) -> None:
    from core import verify
    from core.compress import original
    from core.store import Store

    made = original(open_checkpoint(PITCH), tuple(layers(open_checkpoint(PITCH))), Store(tmp_path / "store"))
    honest = verify._answers
    monkeypatch.setattr(verify, "_answers", lambda file, *a: _moved(honest(file, *a)))
    from core.errors import NotVerified

    with pytest.raises(NotVerified, match="same answers"):
        export(made, tmp_path / "out", targets["dense"](), opened.network, reference.batches, Job())
    assert not (tmp_path / "out").exists()


def _moved(file: Path) -> Path:
    """The answers of another network."""
    held = load_file(file)
    save_file({**held, "answer": held["answer"] * 1.01}, file)
    return file


def test_both_hear_a_recording_and_what_they_hear_grows(opened: Side, tmp_path: Path) -> None:
    points: list[Heard] = []
    file = recorded(tmp_path / "a.wav", np.concatenate([tone(220, 0.6), 0 * tone(220, 0.3), tone(330, 0.6)]))
    found = hear(opened, opened, file, Job(point=points.append))
    assert found.whole
    assert (found.mean, found.apart, found.alike) == (0, 0, 1)
    assert [len(p.instants) for p in points] == sorted({len(p.instants) for p in points})
    near = found.instants[round((0.3 - found.first) / found.step)], found.instants[round((1.2 - found.first) / found.step)]
    assert [n.before for n in near] == [pytest.approx(220, rel=0.006), pytest.approx(330, rel=0.006)]
    assert found.instants[round((0.75 - found.first) / found.step)].sure < 0.5
    noisy = hear(opened, replace(opened, weights=shaken(Reference(opened.network, opened.weights, None), 0.3)), file, Job())
    assert noisy.mean > 0


def test_listening_can_be_stopped_and_other_networks_do_not_listen(opened: Side, tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.wav", tone(220))
    job = Job(point=lambda _: job.cancel())
    with pytest.raises(Cancelled):
        hear(opened, opened, file, job)
    other = replace(opened, network=replace(opened.network, task="image-classification"))
    with pytest.raises(BadData, match="can't listen"):
        hear(other, other, file, Job())
    with pytest.raises(BadData, match="shorter than one frame"):
        hear(opened, opened, recorded(tmp_path / "b.wav", tone(220, 0.05)), Job())


def test_the_worst_frames_are_drawn_and_can_be_looked_at(opened: Side, reference: Reference) -> None:
    after = replace(opened, weights=shaken(reference))
    found = worst(reference, after, Job(), 5)
    assert [s.loss for s in found] == sorted((s.loss for s in found), reverse=True)
    assert "Hz" in found[0].text
    assert found[0].picture.shape == (64, 64, 1)
    batch, row = found[0].where
    seen = look(opened, after, reference.batches.items[batch]["input_values"][row], "frame", Job(), found[0].text)
    assert seen.kl == pytest.approx(found[0].loss, rel=1e-4)
    assert sum(c.before for c in seen.classes) > 0.2


def test_the_command_line_tells_the_pitch_of_both_over_time(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    file = recorded(tmp_path / "a.wav", tone(220, 0.5))
    monkeypatch.setattr(sys, "argv", ["slim", "play", str(PITCH), str(PITCH), "--wav", str(file), "--limit", "8"])
    assert cli.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert said[2].split()[0] == "0.13"
    assert float(said[2].split()[1]) == pytest.approx(220, rel=0.006)
    assert "100.0% of the frames alike" in said[-1]


def test_training_on_its_own_labels_needs_labels(tmp_path: Path) -> None:
    plan = Plan(Choice("magnitude", 0.0, "rtn", 3, {"rtn.granularity": "channel"}), recover="finetune", recovery={"steps": 8})
    with pytest.raises(BadData, match="without labels"):
        run(recipe(tmp_path / "out", plan, "dense", tokens=64), Job())
