"""The nouns of the engine: frozen, torch-free at import, shared by every thread without locks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .spans import diagonal

if TYPE_CHECKING:
    from torch import Tensor

Value = bool | int | float | str
Kind = Literal["linear", "conv", "embedding", "norm", "bias", "head", "router", "other"]
Task = Literal["causal-lm", "image-classification", "audio-classification", "encoder", "other"]
Origin = Literal["model", "group", "own"]
# Tasks that answer every sample with one of a few classes -> the name its numbers have in a batch.
CLASSIFIERS: Mapping[str, str] = {"image-classification": "pixel_values", "audio-classification": "input_values"}

# Bytes per element of the plain (not block-quantized) types, by safetensors' names.
ITEM_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16")
# GGUF's block types: values in a block, and its bytes.
BLOCK_BYTES = {
    "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34), "IQ4_NL": (32, 18), "MXFP4": (32, 17),
    "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176), "Q6_K": (256, 210), "IQ4_XS": (256, 136),
    "IQ1_S": (256, 50), "IQ1_M": (256, 56), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74), "IQ2_S": (256, 82), "IQ3_XXS": (256, 98),
    "IQ3_S": (256, 110), "TQ1_0": (256, 54), "TQ2_0": (256, 66), "NVFP4": (64, 36),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One stored tensor, known from the header alone: where its bytes lie and how to read them."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # a key of ITEM_BYTES, or a GGUF block type such as "Q4_1"
    nbytes: int
    file: Path
    offset: int = 0  # absolute, in the file
    heads: int = 0  # GGUF only: rows are permuted per head and must be un-permuted with this many heads
    strides: tuple[int, ...] = ()  # exported programs only: of dimensions in another order (channels_last); () = rows behind rows

    @property
    def parameters(self) -> int:
        """How many numbers the tensor stands for (not how many are packed into it)."""
        n = 1
        for d in self.shape:
            n *= d
        return n


@dataclass(frozen=True)
class Checkpoint:
    """An opened model file or folder: headers only, no tensor read."""

    path: Path  # what the user opened
    format: str  # the reader's registered name
    tensors: Mapping[str, TensorInfo]
    config: Mapping[str, Any] = field(default_factory=dict)  # the transformers config, {} where there is none
    factory: str = ""  # "file.py:function" of the user's own network, after an explicit yes
    sides: tuple[Path, ...] = ()  # tokenizer, generation and preprocessor files to carry over
    tied: Mapping[str, str] = field(default_factory=dict)  # name that is not stored -> stored name it shares
    weights: Path | None = None  # the folder of a derived checkpoint's own weights; None = at `path`
    kinds: Mapping[str, Kind] = field(default_factory=dict)  # tensor name -> what its graph says it is, where there is a graph

    @cached_property
    def parameters(self) -> int:
        return sum(t.parameters for t in self.tensors.values())

    @cached_property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in self.tensors.values())

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What `size` and `energy` worked out from these headers and need at every tick; it changes no answer, only its speed."""
        return {}


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight of the tree: a tensor with what the plan may do to it."""

    name: str  # module path: the tensor's name without ".weight"
    tensor: TensorInfo
    kind: Kind
    group: str  # the name with block numbers starred: "model.layers.*.mlp.down_proj"
    protected: str = ""  # why it is left alone unless the user says otherwise; "" = free

    @property
    def role(self) -> str:
        """The last part of the name ("down_proj"): what "select similar" goes by."""
        return self.name.rsplit(".", 1)[-1]

    @property
    def prunable(self) -> bool:
        return self.tensor.dtype not in ("I64", "I32", "I16", "I8", "U8", "BOOL") and len(self.tensor.shape) >= 2

    quantizable = prunable


@dataclass(frozen=True)
class Choice:
    """What one scope (model, group or layer) says for itself; None means inherited."""

    prune: str | None = None  # registered pruner
    amount: float | None = None  # share of weights set to zero, 0 to 0.95
    quantize: str | None = None  # registered quantizer
    bits: int | None = None  # 16 = left as it is, 8 ... 2
    knobs: Mapping[str, Value] = field(default_factory=dict)  # "rtn.group_size": 64
    protect: bool | None = None  # True = leave alone, False = lift the built-in protection

    def __bool__(self) -> bool:
        return self != Choice()


@dataclass(frozen=True)
class Plan:
    """What to do to every layer: the model's choice, overridden by groups, overridden by layers."""

    model: Choice = Choice(prune="magnitude", amount=0.0, quantize="rtn", bits=16)
    groups: Mapping[str, Choice] = field(default_factory=dict)  # key: Layer.group, or a glob over names
    layers: Mapping[str, Choice] = field(default_factory=dict)  # key: Layer.name
    seed: int = 0
    rotate: bool = False  # the residual stream turned by a Hadamard matrix before anything else (core/rotate.py)
    tune: bool | None = None  # zero-byte tuning afterwards; None = by itself where it pays (recover/tune.py: wanted)
    tuning: Mapping[str, Value] = field(default_factory=dict)  # its knobs: "steps", "rate"
    recover: str = ""  # a registered way to train what compression left, "" = none (recover/methods.py)
    recovery: Mapping[str, Value] = field(default_factory=dict)  # its knobs: "train", "steps", "rate", "share"
    cuts: Mapping[str, Value] = field(default_factory=dict)  # knobs of core.cut.Cut: "ffn": 0.5; {} = nothing is cut out
    before: Plan | None = None  # an earlier stage, whose trained model this plan begins with (core/legs.py)
    name: str = field(default="", compare=False)  # what a stage is called; plans that differ in nothing else are one plan


@dataclass(frozen=True)
class Setting:
    """A plan resolved for one layer: what will really be done, and who said so."""

    prune: str = ""  # "" when amount is 0
    amount: float = 0.0
    quantize: str = ""  # "" when bits is 16
    bits: int = 16
    prune_knobs: Mapping[str, Value] = field(default_factory=dict)
    quantize_knobs: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    origin: Mapping[str, Origin] = field(default_factory=dict)  # "amount" -> "own"; for the eye only
    protected: str = ""  # the reason in force, "" when free

    @property
    def idle(self) -> bool:
        """True when the tensor is stored bit-identically."""
        return not self.prune and not self.quantize


@dataclass(frozen=True)
class Seen:
    """What a layer met during calibration; fields a method does not need stay None."""

    grads: Tensor | None = None  # (out, in ...) = sum over batches of |w * dL/dw|
    # (in, in) float32 = E[x xT] over the solver's half, a linear's tokens weighted by 1 / |Wx|^2; of a wide layer only the equal blocks
    # (blocks, b, b) on its diagonal (core/spans.py)
    hessian: Tensor | None = None
    held: Tensor | None = None  # the same over other tokens, each divided by its mean-normalised |Wx|^2: for scores only
    mean: Tensor | None = None  # (in,) = E[x] over the solver's half
    samples: int = 0  # tokens, positions or images behind `hessian` or `grads`
    fisher: Tensor | None = None  # (out, in ...) = mean over windows or images of (dL/dw)^2, labels drawn from the model itself
    # (in, in) = E[(x0 - x) xT], x0 what the original's layer is given where this one is given x; weighted as in `hessian` and as in `held`
    drift: Tensor | None = None
    held_drift: Tensor | None = None

    @property
    def norms(self) -> Tensor | None:
        """(in,) = L2 norm of each input over the calibration tokens, weighted as in `hessian`."""
        return None if self.hessian is None else (diagonal(self.hessian) * self.samples).clamp(min=0).sqrt()


@dataclass(frozen=True)
class Calibration:
    """Statistics of all layers over one data set."""

    seen: Mapping[str, Seen]  # key: Layer.name; may compute a block's statistics when one of its layers is asked for
    fingerprint: str  # of the data and of what was collected; part of the layer store's key


@dataclass(frozen=True)
class Outcome:
    """What compression left of one layer; measured, not planned."""

    setting: Setting
    error: float  # ||W - Q||^2 / ||W||^2
    sparsity: float  # share of exact zeros, 0 to 1
    key: str = ""  # in the layer store; "" when the layer was left alone
    reused: bool = False  # came out of the store
    blind: bool = False  # its method asks for calibration data and this layer met none


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured figure with its standard error (1 sigma, over windows or samples)."""

    value: float
    error: float = 0.0


@dataclass(frozen=True)
class Score:
    """How one variant did on held-out data; `n` grows while the evaluation streams in."""

    task: Task
    metrics: Mapping[str, Measured]  # see METRICS for the names
    n: int  # scored tokens or samples
    unit: str  # "tokens", "images", "frames", "sentences"
    data: str  # file the samples came from
    done: int = 0  # windows evaluated
    total: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return self.done == self.total


# metric -> (label, better, explanation)
METRICS: Mapping[str, tuple[str, Literal["low", "high"], str]] = {
    "kl": ("KL to the original", "low", "Kullback-Leibler divergence of the output to the original's, nats per token or sample"),
    "perplexity": ("Perplexity", "low", "exp of the mean negative log-likelihood of the held-out text"),
    "bits_per_byte": ("Bits per byte", "low", "negative log-likelihood in bits per UTF-8 byte; comparable across tokenizers"),
    "top1": ("Top-1 accuracy", "high", "share of samples whose best answer is the label"),
    "pitch": ("Pitch accuracy", "high", "share of voiced frames whose pitch is heard within a quarter tone (50 cents)"),
    "agreement": ("Agreement", "high", "share of tokens or samples whose best answer is the original's"),
    "cosine": ("Cosine to the original", "high", "mean cosine between the embeddings of both models"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor as an export will store it; a list of them fixes the file's bytes exactly."""

    name: str
    dtype: str  # key of ITEM_BYTES or, in GGUF, of BLOCK_BYTES
    shape: tuple[int, ...]
    layer: str = ""  # Layer.name it belongs to

    @property
    def nbytes(self) -> int:
        block, n = BLOCK_BYTES.get(self.dtype) or (1, ITEM_BYTES[self.dtype])
        for d in self.shape:
            n *= d
        return n // block


@dataclass(frozen=True)
class Size:
    """Exact bytes an export will write."""

    total: int  # weight files with their headers (and the shard index)
    layers: Mapping[str, int]  # Layer.name -> bytes of its tensors
    original: int  # bytes of the opened checkpoint's weight files


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules per token or sample, with a 90 % range and its parts; `level` says how they were come by (see LEVELS)."""

    joules: float
    low: float
    high: float
    parts: Mapping[str, float]  # "arithmetic", "weights", "activations", "kv cache", "overhead": joules
    unit: str  # "token" or "sample"
    how: str  # one sentence: the assumptions
    level: str = "C"
    floor: float = 0.0  # joules no chip of today goes below for the same work (level D)
    by: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # "attention", "feed-forward" ... -> its parts
    seconds: float = 0.0  # modelled, of the same token or sample
    device: str = ""  # key of the device


LEVELS: Mapping[str, str] = {"A": "measured", "B": "calibrated", "C": "catalogue", "D": "physics floor"}


@dataclass(frozen=True, slots=True)
class Median:
    """A median with the interval that holds the true one in 95 of 100 cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Carbon:
    """Grams of CO2e of a million tokens or samples, before and after, with 90 % intervals."""

    region: str
    intensity: float  # g CO2e a kWh
    pue: float
    unit: str
    before: Median
    after: Median
    how: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What the slimming itself took: seconds measured, joules modelled from them, with a 90 % range."""

    seconds: float
    joules: float
    low: float
    high: float
    level: str
    payback: float | None  # tokens or samples of the variant that win it back; None: it saves nothing
    unit: str
    how: str


@dataclass(frozen=True, slots=True)
class Latency:
    """Measured on this machine, original and variant in turns."""

    before: Median  # seconds of one forward pass of the original
    after: Median  # of the variant
    ratio: Median  # before / after, pass by pass: how many times faster
    what: str  # "128 tokens read at once"
    rounds: int


@dataclass(frozen=True)
class Check:
    """One thing an export was held against, and whether it held."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What the fresh process said of an export."""

    tool: str  # "transformers 5.23.0 + compressed-tensors 0.20.0"
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(c.passed for c in self.checks)

    @property
    def speed(self) -> str:
        """The clause in which a check says how fast the file's own runtime was here; "" where none was run."""
        clauses = (part for c in self.checks for part in c.detail.split("; "))
        return next((part for part in clauses if "measured on this machine" in part), "")


@dataclass(frozen=True)
class Variant:
    """One measured plan: a solid point on every chart."""

    plan: Plan
    size: Size
    energy: Energy | None
    score: Score | None  # None: the network can't run
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    name: str = ""
    when: str = ""  # ISO 8601, local time with offset
    freed: tuple[tuple[str, float, float], ...] | None = None  # what closed forms gave back (lessons.Freed); None: not told


@dataclass(frozen=True)
class Report:
    """All that is known of one run: written as JSON and HTML beside the export."""

    source: str
    original: Variant
    variant: Variant
    target: str = ""
    path: str = ""
    verdict: Verdict | None = None
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    latency: Latency | None = None
    carbon: Carbon | None = None
    spent: Spent | None = None
    stages: tuple[Variant, ...] = ()  # of a plan in several stages: each as it was measured, the last one last


Weights = Mapping[str, "Tensor"]
Forward = Callable[[Weights, Any], "Tensor"]
