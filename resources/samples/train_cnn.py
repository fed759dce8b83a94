"""Trains the sample convolutional network (resources/samples/digits-cnn) on scikit-learn's handwritten digits."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cards import trained, write_card
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sources import HERE, digits_card
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification
from vision import Normalise, Recipe, fit, load_held_out, save_calibration, save_held_out, statistics, top1

FOLDER = HERE / "digits-cnn"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RECIPE = Recipe(
    seed=20261124, epochs=25, batch=64, peak=3e-3, weight_decay=0.02, turn_degrees=8, shift=0.06, zoom=0.08, mirror=False
)  # fmt: skip
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


def images_of(tables: NDArray[np.float64]) -> Pixels:
    """Scale the 8x8 counts (0 to 16) up to 32x32 bytes, bilinearly."""
    small = torch.from_numpy(tables).float()[:, None] * (255 / 16)
    large = nn.functional.interpolate(small, size=(32, 32), mode="bilinear", align_corners=False)
    return large.round().clamp(0, 255).to(torch.uint8).numpy()


def split() -> tuple[Pixels, Pixels, Labels, Labels]:
    """Return training images, held-out images, training labels and held-out labels, every digit in the same proportion."""
    digits = load_digits()
    labels = digits.target.astype(np.int64)
    parts = train_test_split(images_of(digits.images), labels, test_size=450, stratify=labels, random_state=RECIPE.seed)
    return parts[0], parts[1], parts[2], parts[3]


def new_model() -> ResNetForImageClassification:
    """Build the untrained network: three stages of two basic blocks."""
    config = ResNetConfig(
        num_channels=1,
        embedding_size=32,
        hidden_sizes=[32, 64, 128],
        depths=[2, 2, 2],
        layer_type="basic",
        id2label=dict(enumerate(NAMES)),
        label2id={name: index for index, name in enumerate(NAMES)},
    )
    return ResNetForImageClassification(config)


def measure(folder: Path, normalise: Normalise) -> tuple[float, int]:
    """Score the saved folder; return the accuracy and the number of images."""
    images, labels = load_held_out(folder)
    model = ResNetForImageClassification.from_pretrained(folder)
    return top1(model, images, labels, normalise), len(labels)


def card(folder: Path, normalise: Normalise, steps: int) -> dict[str, Any]:
    """Describe the saved folder, with its measured score."""
    value, count = measure(folder, normalise)
    return {
        "title": "Digit reader",
        "title_zh": "手写数字识别",
        "summary": "A small ResNet that reads handwritten digits: the quickest sample to compress from start to finish.",
        "summary_zh": "识别手写数字的小型 ResNet,完整压缩一遍用时最短。",
        "task": "image-classification",
        "data": "heldout.npz",
        "normalise": normalise.card(),
        "score": {
            "metric": "top1",
            "value": round(value, 6),
            "n": count,
            "how": "share of the held-out images (450 of 1797, stratified, never trained on) whose highest logit is the right digit",
        },
        "licence": {
            "data": "CC-BY-4.0 (E. Alpaydin, C. Kaynak; UCI repository), by way of scikit-learn (BSD-3-Clause)",
            "weights": "CC0-1.0",
        },
        "source": digits_card(),
        "trained": trained("train_cnn.py", RECIPE.seed, steps),
    }


def main() -> None:
    """Train, save, write heldout.npz and the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().folder
    torch.set_num_threads(1)
    torch.manual_seed(RECIPE.seed)
    images, held_images, labels, held_labels = split()
    normalise = statistics(images)
    model = new_model()
    print(f"{len(images)} images, {model.num_parameters()} parameters", flush=True)
    steps = fit(model, torch.from_numpy(images), torch.from_numpy(labels), normalise, RECIPE)
    model.save_pretrained(folder)
    save_held_out(folder, held_images, held_labels)
    save_calibration(folder, images, labels)
    write_card(folder, card(folder, normalise, steps))
    print(f"held-out top-1 {measure(folder, normalise)[0]:.4f}")


if __name__ == "__main__":
    main()
