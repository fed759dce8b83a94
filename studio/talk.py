"""The playground of a language model: a prompt, both answers side by side, and how far apart they are at every token."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.play import Ask, Dialogue, Token

from . import numbers, theme
from .session import Session
from .snapshot import Snapshot
from .strip import Legend, Strip

if TYPE_CHECKING:
    from core.play import Sample

LINES = 2  # of the prompt, before it scrolls


class Prompt(QPlainTextEdit):
    """Plain text; Ctrl+Enter asks."""

    def __init__(self, ask: QPushButton, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.ask = ask
        self.setTabChangesFocus(True)
        self.setAcceptDrops(False)  # what is dropped here is the window's: data, a model or a recipe
        self.setFixedHeight(LINES * self.fontMetrics().lineSpacing() + 14)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.ask.click()
            return
        super().keyPressEvent(event)


class Talk(QWidget):
    """Draws a Dialogue as it grows; what is asked goes through the session."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: Dialogue | None = None
        self._pointed = -1
        self.ask = QPushButton(self.tr("Ask both"))
        self.prompt = Prompt(self.ask)
        self.prompt.setPlaceholderText(self.tr("The beginning of a text, from which both go on"))
        self.prompt.setAccessibleName(self.tr("Prompt"))
        self.temperature = QDoubleSpinBox(minimum=0.0, maximum=2.0, singleStep=0.1, decimals=1)
        self.temperature.setToolTip(self.tr("0: always the likeliest token. Above, tokens are drawn with the same noise for both."))
        self.tokens = QSpinBox(minimum=1, maximum=256, singleStep=8, value=48)
        self.tokens.setToolTip(self.tr("How long an answer may be"))
        self.seed = QSpinBox(minimum=0, maximum=9999)
        self.seed.setToolTip(self.tr("Another number draws other tokens, where the temperature is above 0"))
        self.answers = [QTextBrowser(), QTextBrowser()]
        self.said = QLabel(wordWrap=True)
        self.strip, self.legend = Strip(), Legend()
        self.ask.clicked.connect(self._ask)
        self.strip.pointed.connect(self._point)
        self._lay()

    def _lay(self) -> None:
        self.temperature.setPrefix(self.tr("temp. "))
        self.tokens.setSuffix(self.tr(" tokens"))
        self.seed.setPrefix(self.tr("seed "))
        top, how, below, grid = QHBoxLayout(), QHBoxLayout(), QHBoxLayout(), QGridLayout()
        top.addWidget(self.prompt, 1)
        top.addWidget(self.ask, 0, Qt.AlignmentFlag.AlignTop)
        for name, box in ((self.tr("Temperature"), self.temperature), (self.tr("Tokens"), self.tokens), (self.tr("Seed"), self.seed)):
            box.setAccessibleName(name)
            how.addWidget(box, 1)
        how.addStretch(1)
        for i, (name, answer) in enumerate(zip((self.tr("Original"), self.tr("Variant")), self.answers)):
            answer.setAccessibleName(name)
            answer.setFrameShape(QTextBrowser.Shape.NoFrame)
            grid.addWidget(QLabel(f"<b>{name}</b>"), 0, i)
            grid.addWidget(answer, 1, i)
            grid.setColumnStretch(i, 1)
        grid.setRowStretch(1, 1)
        below.addWidget(self.said, 1)
        below.addWidget(self.legend, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for line in (top, how, grid):
            column.addLayout(line, int(line is grid))
        column.addWidget(self.strip)
        column.addLayout(below)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "strip"):
            self._paint()

    # --- drawing

    def draw(self, s: Snapshot) -> None:
        """The dialogue of the snapshot."""
        self.ask.setText(self.tr("Stop") if self.session.playing.answering else self.tr("Ask both"))
        found = s.play.found if isinstance(s.play.found, Dialogue) else None
        if found is not self._drawn:
            self._drawn = found
            self._paint()

    def take(self, sample: Sample) -> None:
        """One of the worst samples becomes the prompt, read from its end."""
        self.prompt.setPlainText(sample.put[0])
        self.prompt.moveCursor(self.prompt.textCursor().MoveOperation.End)
        self._ask()

    def _paint(self) -> None:
        found = self._drawn
        for box, tokens, ink in zip(self.answers, (found.before, found.after) if found else ((), ()), ("before", "after")):
            box.setHtml(_marked(tokens, ink, self._at if ink == "before" else -1))
        self.strip.draw(found.strip if found else (), found.prompt if found else 0)
        self.said.setText(self._told(found) if found and found.after else "")
        self.legend.setVisible(bool(found and found.strip))

    @property
    def _at(self) -> int:
        """The token of the original's answer under the pointer."""
        return self._pointed - (self._drawn.prompt if self._drawn else 0)

    def _told(self, d: Dialogue) -> str:
        """How many tokens differ, and the mean KL once it is known."""
        lines = [self.tr("{n} of {m} tokens differ").format(n=d.apart, m=len(d.after)) if d.apart else self.tr("every token the same")]
        if d.mean is not None:
            lines.append(self.tr("KL {kl} a token of the answer, measured").format(kl=numbers.significant(d.mean)))
        if d.mean_prompt is not None:
            lines.append(self.tr("of the prompt {kl}").format(kl=numbers.significant(d.mean_prompt)))
        return "; ".join(lines)

    # --- acting

    def _ask(self) -> None:
        playing = self.session.playing
        if playing.answering:
            playing.stop()
        else:
            playing.talk(Ask(self.prompt.toPlainText(), self.tokens.value(), self.temperature.value(), self.seed.value()))

    def _point(self, i: int) -> None:
        """The token under the pointer is framed in the original's answer."""
        if i != self._pointed and self._drawn is not None:
            self._pointed = i
            self.answers[0].setHtml(_marked(self._drawn.before, "before", self._at))


def _marked(tokens: Sequence[Token], ink: str, at: int) -> str:
    """The answer with what only it says in its colour and underlined, and one token on a ground of its own."""
    own = f"color:{theme.colour(ink).name()};text-decoration:underline"
    ground = f"background-color:{theme.colour('highlight').name()}"
    out = []
    for i, t in enumerate(tokens):
        style = ";".join([own] * (not t.same) + [ground] * (i == at))
        out.append(f'<span style="{style}">{escape(t.text)}</span>' if style else escape(t.text))
    return f'<div style="white-space:pre-wrap">{"".join(out)}</div>'
