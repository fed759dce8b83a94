"""Trains the sample vision transformer (resources/samples/fashion-vit) on Fashion-MNIST."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cards import trained, write_card
from sources import FASHION, HERE, fashion
from torch import Tensor
from transformers import ViTConfig, ViTForImageClassification
from vision import Normalise, Recipe, fit, load_held_out, save_calibration, save_held_out, statistics, top1

FOLDER = HERE / "fashion-vit"
NAMES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
RECIPE = Recipe(
    seed=20261124, epochs=10, batch=128, peak=2e-3, weight_decay=0.05, turn_degrees=0, shift=0.03, zoom=0.03, mirror=True
)  # fmt: skip
HELD_OUT = 2000


def new_model() -> ViTForImageClassification:
    """Build the untrained network: four layers over 49 patches of 4x4 pixels.

    The usual initial deviation of 0.02 suits layers ten times as wide; at 64 it starves the first epochs, so 0.1 is used.
    """
    config = ViTConfig(
        image_size=28,
        patch_size=4,
        num_channels=1,
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=256,
        initializer_range=0.1,
        id2label=dict(enumerate(NAMES)),
        label2id={name: index for index, name in enumerate(NAMES)},
    )
    return ViTForImageClassification(config)


def arrays(split: str) -> tuple[Tensor, Tensor]:
    """Return a split's images (N, 1, 28, 28) as bytes and its labels."""
    images, labels = fashion(split)
    return torch.tensor(images)[:, None], torch.tensor(labels.astype(np.int64))


def measure(folder: Path, normalise: Normalise) -> tuple[float, int]:
    """Score the saved folder; return the accuracy and the number of images."""
    images, labels = load_held_out(folder)
    model = ViTForImageClassification.from_pretrained(folder)
    return top1(model, images, labels, normalise), len(labels)


def card(folder: Path, normalise: Normalise, steps: int, whole_test: float) -> dict[str, Any]:
    """Describe the saved folder, with its measured score."""
    value, count = measure(folder, normalise)
    return {
        "title": "Fashion sorter",
        "title_zh": "服饰图片分类",
        "summary": "A small vision transformer that sorts pictures of clothes, shoes and bags into ten kinds.",
        "summary_zh": "一个小型视觉 Transformer,把衣服、鞋和包的图片分成十类。",
        "task": "image-classification",
        "data": "heldout.npz",
        "normalise": normalise.card(),
        "score": {
            "metric": "top1",
            "value": round(value, 6),
            "n": count,
            "how": "share of the first 2000 images of the official test split whose highest logit is the right class",
            "whole_test_split": round(whole_test, 6),
        },
        "licence": {"data": "MIT (c) 2017 Zalando SE", "weights": "CC0-1.0"},
        "source": FASHION.card(),
        "trained": trained("train_vit.py", RECIPE.seed, steps),
    }


def main() -> None:
    """Train, save, write heldout.npz and the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().folder
    torch.set_num_threads(1)
    torch.manual_seed(RECIPE.seed)
    images, labels = arrays("train")
    test_images, test_labels = arrays("t10k")
    normalise = statistics(images.numpy())
    model = new_model()
    print(f"{len(images)} images, {model.num_parameters()} parameters", flush=True)
    steps = fit(model, images, labels, normalise, RECIPE)
    model.save_pretrained(folder)
    save_calibration(folder, images.numpy(), labels.numpy())
    save_held_out(folder, test_images[:HELD_OUT].numpy(), test_labels[:HELD_OUT].numpy())
    whole_test = top1(model, test_images, test_labels, normalise)
    write_card(folder, card(folder, normalise, steps, whole_test))
    print(f"held-out top-1 {measure(folder, normalise)[0]:.4f}, whole test split {whole_test:.4f}")


if __name__ == "__main__":
    main()
