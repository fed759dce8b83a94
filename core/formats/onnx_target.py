"""ONNX export: a graph with its weights that onnxruntime runs, each layer in the operators that hold exactly what the plan made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from ..pitch import is_pitch
from ..quantize import quantizers
from ..registry import knob, make
from ..stored import Quantized, Stored
from ..types import Checkpoint, Entry, Layer, Setting, Value
from . import targets
from .dense import DenseTarget
from .onnx_file import LIMIT
from .onnx_forms import Form, Use
from .onnx_graph import traced

if TYPE_CHECKING:
    from torch import Tensor

INTEGERS = "int8dynamic"  # the quantizer whose plan says integer activations
MISSING = "ONNX needs the packages onnx, onnxscript and onnxruntime; pip install 'slim-studio[onnx]'"
SCALES = {"F16": "F16", "BF16": "BF16", "F64": "F32", "F32": "F32"}  # what quantizers are told to keep scales in; GGUF's blocks in F16
NAMED = {"folded": "8-bit codes that run as floats", "integer": "int8 with dynamic activations", "nbits": "{} bits in MatMulNBits"}
NAMED |= {"static": "int8 with static activations", "static conv": "int8 with static activations"}


@targets("onnx")
@dataclass(frozen=True, slots=True)
class OnnxTarget:
    """A folder with model.onnx, config and tokenizer: 2 to 4 bits stand in MatMulNBits, dynamic int8 in MatMulInteger, other codes take one
    byte each and become floats when the file is loaded.

    Activations: "plan" as the plan was measured; "dynamic" lets onnxruntime round the inputs of every quantized linear layer to 8 bits,
    which is where its speed comes from; "static" (8 bits per channel, and convolutions) rounds them to ranges measured on calibration
    data."""

    title: ClassVar[str] = "ONNX (onnxruntime)"
    runs_in: ClassVar[str] = "onnxruntime; files without 2 to 4-bit layers also in other ONNX runtimes"
    dtype: str = knob("source", choices=("source", "F32", "F16", "BF16"))
    activations: str = knob("plan", choices=("plan", "dynamic", "static"))
    one_gb: float = knob(LIMIT / 1e9, 0.001, LIMIT / 1e9, 0.5, unit="GB", label="Weights in a second file beyond")

    @property
    def limit(self) -> int:
        """Bytes of model.onnx beyond which the weights lie in model.onnx.data."""
        return round(self.one_gb * 1e9)

    def unfit(self, checkpoint: Checkpoint) -> str:
        """Why this model can't be an ONNX file; "" when it can be tried."""
        if not all(find_spec(p) for p in ("onnx", "onnxscript", "onnxruntime")):
            return MISSING
        known = checkpoint.config.get("model_type") or checkpoint.factory or checkpoint.format == "pt2" or is_pitch(checkpoint.tensors)
        if known:
            return ""
        return "ONNX holds a network, and these weights come without a description of theirs; open the folder with its config.json"

    def pending(self, checkpoint: Checkpoint) -> bool:
        """Whether the graph's bytes are not known yet: the network has never been traced."""
        return not self.unfit(checkpoint) and traced(checkpoint) is None

    def refuses(self, checkpoint: Checkpoint, layer: Layer, setting: Setting) -> str:
        """Why a quantized layer is stored dense here ("" = as codes, or nothing to pack)."""
        return _refused(setting)

    def detail(self, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> str:
        """How many layers are stored in which way, and which bits stand in wider fields."""
        forms = [self.form(None, x, settings[x.name]) for x in layers]
        said = Counter(f.dtype if f.kind == "dense" else NAMED[f.kind].format(f.bits) for f in forms)
        listed = ", ".join(f"{n} × {t}" for t, n in said.most_common())
        wide = Counter((f.given, f.bits) for f in forms if f.bits and f.given != f.bits)
        return "; ".join([listed, *(f"{n} layers of {a} bits take {b}-bit fields" for (a, b), n in sorted(wide.items()))])

    def form(self, checkpoint: Checkpoint | None, layer: Layer, setting: Setting) -> Form:
        """How the layer is stored; what the graph does with it counts once it is traced, before that its kind."""
        graph = traced(checkpoint) if checkpoint else None
        guess = {"linear": "linear", "head": "linear", "conv": "conv"}.get(layer.kind, "other")
        use = graph.uses.get(layer.tensor.name, Use("other")).op if graph else guess
        dtype, key = self.of(layer), (setting.quantize, setting.bits, *sorted(setting.quantize_knobs.items()))
        if not setting.quantize or _refused(setting):
            return Form("dense", layer.tensor.shape, dtype)
        scales = SCALES.get(layer.tensor.dtype, "F16")
        return _form(layer.tensor.shape, scales, use, self.activations, *key)

    def of(self, layer: Layer) -> str:
        """The type of a dense tensor."""
        found = DenseTarget(self.dtype).of(layer)
        return found if not found.startswith("F8") else "F16"

    def forms(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> dict[str, Form]:
        """By tensor name; of a traced network only what its graph reads."""
        graph = traced(checkpoint)
        read = (x for x in layers if graph is None or x.tensor.name in graph.weights)
        found = {x.tensor.name: self.form(checkpoint, x, settings[x.name]) for x in read}
        whole = graph.static(found) if graph else None
        return {n: f for n, f in found.items() if n not in whole.gone} if whole else found

    def entries(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> list[Entry]:
        layers = list(layers)
        forms = self.forms(checkpoint, layers, settings)
        found = ((x, forms[x.tensor.name]) for x in layers if x.tensor.name in forms)
        return [Entry(x.tensor.name + end, d, shape, x.name) for x, f in found for end, (d, shape) in f.tensors().items()]

    def nbytes(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> tuple[int, dict[str, int]]:
        """Bytes of the file, and of each layer's tensors in it; without a trace those of the tensors alone (see `pending`)."""
        layers, graph = list(layers), None if self.unfit(checkpoint) else traced(checkpoint)
        forms = self.forms(checkpoint, layers, settings)
        each = {x.name: _bytes(forms[x.tensor.name]) if x.tensor.name in forms else 0 for x in layers}
        return graph.nbytes(forms, self.limit) if graph else sum(each.values()), each

    def hangs_on(self, setting: Setting) -> tuple[object, ...]:
        return setting.quantize, setting.bits, *sorted(setting.quantize_knobs.items())

    def tensors(self, checkpoint: Checkpoint, layer: Layer, setting: Setting, stored: Stored) -> dict[str, Tensor]:
        from .onnx_codes import packed

        form = self.form(checkpoint, layer, setting)
        return {layer.tensor.name + end: t for end, t in packed(form, stored).items()}

    def values(self, layer: Layer, setting: Setting, stored: Stored) -> Tensor:
        """What the file will give back, in float32; never by way of its bytes."""
        import torch

        from .safetensors_file import TORCH

        if isinstance(stored, Quantized) and not _refused(setting):
            return stored.dense(torch.float32)
        x = stored.dense()
        return x.to(getattr(torch, TORCH[self.of(layer)])).float() if x.is_floating_point() else x

    def config(
        self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], names: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return {}


def _refused(setting: Setting) -> str:
    if not setting.quantize:
        return ""
    method = quantizers[setting.quantize]
    if getattr(method, "format", "") == "gguf":
        return "its codes lie in GGUF's own blocks; choose the format GGUF"
    if getattr(method, "table", False):
        return "ONNX's integer layers hold even grids, and a codebook is a table of values"
    return ""


@lru_cache(maxsize=1024)
def _bytes(form: Form) -> int:
    return sum(Entry("", d, shape).nbytes for d, shape in form.tensors().values())


@lru_cache(maxsize=4096)
def _form(
    shape: tuple[int, ...], dtype: str, use: str, activations: str, quantize: str, bits: int, *knobs: tuple[str, Value]
) -> Form:
    """Codes as MatMulNBits holds them where the graph multiplies by them and has a kernel for that; integers where the plan says so; else
    one byte a code, which the runtime turns into floats when it loads."""
    method = replace(make(quantizers[quantize], dict(knobs)), bits=bits)
    width = 1
    for d in shape[1:]:
        width *= d
    groups = width // method.group_size if method.granularity == "group" else 1
    made = Form("folded", shape, dtype, 8, bits, groups, not method.symmetric)
    still = activations == "static" and groups == 1 and method.symmetric and (bits > 4 or use == "conv")
    if use != "linear" or len(shape) != 2:
        return replace(made, kind="static conv") if still and use == "conv" else made
    if still:
        return replace(made, kind="static")
    fast = activations == "dynamic"
    if quantize == INTEGERS or (fast and groups == 1 and bits > 4):
        return replace(made, kind="integer")
    blocks = groups if groups > 1 else _blocks(width)
    if blocks and width // blocks >= 16 and (bits <= 4 or fast):
        return replace(made, kind="nbits", bits=4 if bits <= 4 else 8, groups=blocks, fast=fast)
    return made


def _blocks(width: int) -> int:
    """A row with one scale repeats it: the fewest blocks that a power of two up to 256 makes of the row; 0 = there are none."""
    block = min(width & -width, 256)
    return width // block if block >= 16 else 0
