"""Loads every sample from disk the way Slim Studio's users would and compares its measured score with its card."""

import sys
from pathlib import Path
from typing import Any

import torch
from cards import read_card
from sources import HERE
from train_lm import SCORED_CHARACTERS, score
from transformers import AutoModelForCausalLM, AutoModelForImageClassification, AutoTokenizer, PreTrainedTokenizerFast
from vision import Normalise, load_held_out, top1

from core.data import load
from core.evaluate import Reference, judge
from core.formats import open_checkpoint, read
from core.job import Job
from core.networks import attach

PROMPT = "My fellow Americans, our economy"
TOLERANCE = {"perplexity": 0.01, "top1": 0.005, "pitch": 0.005}


def language_score(folder: Path, card: dict[str, Any]) -> float:
    """Measure the perplexity, and print what the network writes after a prompt."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise TypeError(f"{folder} opened with a {type(tokenizer).__name__}, not the tokenizer it was saved with")
    torch.manual_seed(0)
    prompt = tokenizer(PROMPT, return_tensors="pt")
    written = model.generate(**prompt, max_new_tokens=60, do_sample=True, temperature=0.7, top_k=40, pad_token_id=0)
    print(f"{folder.name} writes: {tokenizer.decode(written[0])}")
    text = (folder / card["data"]).read_text(encoding="utf-8")
    return score(model, tokenizer, text[:SCORED_CHARACTERS])["perplexity"]


def vision_score(folder: Path, card: dict[str, Any]) -> float:
    """Measure the share of right answers on the held-out images."""
    model = AutoModelForImageClassification.from_pretrained(folder)
    images, labels = load_held_out(folder)
    return top1(model, images, labels, Normalise(**card["normalise"]))


def pitch_score(folder: Path, card: dict[str, Any]) -> float:
    """Measure the share of frames whose pitch is heard."""
    checkpoint = open_checkpoint(folder)
    net = attach(checkpoint)
    weights = {name: read(t) for name, t in checkpoint.tensors.items()}
    return judge(Reference(net, weights, load(folder / card["data"], net)), None, Job()).metrics["pitch"].value


SCORES = {"causal-lm": language_score, "image-classification": vision_score, "audio-classification": pitch_score}


def main() -> int:
    """Check every folder; return 1 when a score is not the one on its card."""
    torch.set_num_threads(1)
    wrong = 0
    for folder in sorted(path.parent for path in HERE.glob("*/sample.json")):
        card = read_card(folder)
        found = SCORES[card["task"]](folder, card)
        metric, recorded = card["score"]["metric"], card["score"]["value"]
        agrees = abs(found - recorded) <= TOLERANCE[metric]
        wrong += not agrees
        print(f"{folder.name}: {metric} {found:.6f}, recorded {recorded}: {'agrees' if agrees else 'DIFFERS'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
