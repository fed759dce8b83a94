"""Sliders: a drag is one gesture, values arrive as what they mean, and showing a value tells nobody."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt

from studio.forms import Form
from studio.sliders import ShareSlider, StopSlider


def heard(slider: Any) -> list[tuple[Any, int]]:
    out: list[tuple[Any, int]] = []
    slider.moved.connect(lambda v, g: out.append((v, g)))
    return out


def test_a_drag_is_one_gesture_and_the_next_drag_another(qtbot: Any) -> None:
    slider = ShareSlider("Share")
    qtbot.addWidget(slider)
    out = heard(slider)
    for values in ((10, 20, 30), (40, 50)):
        slider.slider.setSliderDown(True)
        for v in values:
            slider.slider.setValue(v)
        slider.slider.setSliderDown(False)
    assert [v for v, _ in out] == [0.1, 0.2, 0.3, 0.4, 0.5]
    gestures = [g for _, g in out]
    assert gestures[0] == gestures[2] != gestures[3] == gestures[4]


def test_keys_step_through_the_stops_and_skip_what_lies_between(qtbot: Any) -> None:
    slider = StopSlider("Bits", (2, 3, 4, 8, 16))
    qtbot.addWidget(slider)
    slider.set_value(4)
    out = heard(slider)
    qtbot.keyClick(slider.slider, Qt.Key.Key_Right)
    qtbot.keyClick(slider.slider, Qt.Key.Key_Right)
    assert [v for v, _ in out] == [8, 16]


def test_showing_a_value_tells_nobody(qtbot: Any) -> None:
    slider = ShareSlider("Share")
    qtbot.addWidget(slider)
    out = heard(slider)
    slider.set_value(0.35)
    assert out == []
    assert slider.slider.value() == 35


def test_the_spin_box_gives_tenths_of_a_per_cent(qtbot: Any) -> None:
    slider = ShareSlider("Share")
    qtbot.addWidget(slider)
    out = heard(slider)
    slider.box.setValue(12.5)
    assert [v for v, _ in out] == [0.125]


def test_a_form_has_a_field_for_every_knob_and_tells_typed_values(qtbot: Any) -> None:
    from core.quantize import quantizers

    form = Form()
    qtbot.addWidget(form)
    form.show_knobs(quantizers["rtn"], {"group_size": 32})
    out: list[tuple[str, object]] = []
    form.edited.connect(lambda k, v, _: out.append((k, v)))
    combo: Any = form.fields["group_size"]
    assert combo.currentData() == 32
    combo.setCurrentIndex(combo.findData(128))
    combo.activated.emit(combo.currentIndex())
    qtbot.mouseClick(form.fields["symmetric"], Qt.MouseButton.LeftButton)
    assert out == [("group_size", 128), ("symmetric", False)]
