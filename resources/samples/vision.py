"""Trains, scores and saves an image classifier the same way for both vision samples."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

CALIBRATION = 256


@dataclass(frozen=True)
class Normalise:
    """How stored bytes become network input: x = (images * scale - mean) / std."""

    scale: float
    mean: float
    std: float

    def __call__(self, images: Tensor) -> Tensor:
        """Apply it."""
        return (images.float() * self.scale - self.mean) / self.std

    def card(self) -> dict[str, float]:
        """Return the entry of sample.json."""
        return asdict(self)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a classifier is trained."""

    seed: int
    epochs: int
    batch: int
    peak: float
    weight_decay: float
    turn_degrees: float
    shift: float
    zoom: float
    mirror: bool


def statistics(images: NDArray[np.uint8]) -> Normalise:
    """Return the normalisation that gives the training pixels mean 0 and deviation 1."""
    scaled = images / 255.0
    return Normalise(scale=1 / 255, mean=round(float(scaled.mean()), 4), std=round(float(scaled.std()), 4))


def uniform(count: int, width: float, random: torch.Generator) -> Tensor:
    """Draw numbers between -width and width."""
    return (torch.rand(count, generator=random) * 2 - 1) * width


def augment(images: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    """Turn, zoom, shift and (where a mirrored object is the same object) mirror every image a little."""
    count = len(images)
    angle = uniform(count, math.radians(recipe.turn_degrees), random)
    zoom = 1 + uniform(count, recipe.zoom, random)
    side = torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0) if recipe.mirror else torch.ones(count)
    across, down = uniform(count, 2 * recipe.shift, random), uniform(count, 2 * recipe.shift, random)
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    rows = [torch.stack([side * cosine, -sine, across], dim=1), torch.stack([side * sine, cosine, down], dim=1)]
    grid = nn.functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def optimiser_for(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Decay matrices and kernels only; biases and norms are left alone."""
    kernels = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.peak, fused=True)


def fit(model: PreTrainedModel, images: Tensor, labels: Tensor, normalise: Normalise, recipe: Recipe) -> int:
    """Train for all the epochs and return the number of steps taken."""
    random = torch.Generator().manual_seed(recipe.seed)
    optimiser = optimiser_for(model, recipe)
    per_epoch = len(images) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.peak, total_steps=recipe.epochs * per_epoch, pct_start=0.1)
    began = time.time()
    model.train()
    for epoch in range(recipe.epochs):
        total = 0.0
        for chosen in torch.randperm(len(images), generator=random)[: per_epoch * recipe.batch].split(recipe.batch):
            batch = normalise(augment(images[chosen].float(), recipe, random))
            loss = nn.functional.cross_entropy(model(batch).logits, labels[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{recipe.epochs} loss {total / per_epoch:.4f} seconds {time.time() - began:.0f}", flush=True)
    return recipe.epochs * per_epoch


@torch.inference_mode()
def top1(model: PreTrainedModel, images: Tensor, labels: Tensor, normalise: Normalise) -> float:
    """Return the share of images whose highest logit is the right class."""
    model.eval()
    right = 0
    for part, truth in zip(images.split(250), labels.split(250), strict=True):
        right += int((model(normalise(part)).logits.argmax(1) == truth).sum())
    return right / len(images)


def save_held_out(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Write heldout.npz: plain arrays only, so that it loads with allow_pickle=False."""
    np.savez_compressed(folder / "heldout.npz", images=images, labels=labels)


def save_calibration(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Write calibrate.npz: the first training images, for methods that look at data; never held-out ones."""
    np.savez_compressed(folder / "calibrate.npz", images=images[:CALIBRATION], labels=labels[:CALIBRATION])


def load_held_out(folder: Path) -> tuple[Tensor, Tensor]:
    """Read heldout.npz back."""
    with np.load(folder / "heldout.npz", allow_pickle=False) as stored:
        return torch.from_numpy(stored["images"]), torch.from_numpy(stored["labels"])
