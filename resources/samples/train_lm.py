"""Trains the sample causal language model (resources/samples/sotu-lm) on the State of the Union addresses up to 1999."""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cards import trained, write_card
from numpy.typing import NDArray
from sources import DOCUMENT_END, HERE, SOTU, addresses, cache_dir
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

FOLDER = HERE / "sotu-lm"
SEED = 20261124
STEPS = 4000
BATCH = 8
LENGTH = 256
PEAK = 2e-3
WARM_UP = 100
LAST_TRAINING_YEAR = 1999
HELD_OUT_YEARS = (2001, 2002, 2003, 2004)
SCORED_CHARACTERS = 40_000
Tokens = NDArray[np.int64]


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE of 2048 entries; bytes as the base alphabet mean no text is ever unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048, special_tokens=[DOCUMENT_END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=DOCUMENT_END, eos_token=DOCUMENT_END, pad_token=DOCUMENT_END, model_max_length=512
    )


def new_model() -> LlamaForCausalLM:
    """Build the untrained network: 3.7 million parameters, one matrix shared by input and output embedding."""
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> Tokens:
    """Tokenize a text of any length, without special tokens added."""
    return np.asarray(tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)


def learning_rate(step: int, steps: int) -> float:
    """Rise linearly over the warm-up, then fall along a cosine to a hundredth of the peak."""
    if step < WARM_UP:
        return PEAK * (step + 1) / WARM_UP
    return PEAK * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP))))


def optimiser_for(model: nn.Module) -> torch.optim.AdamW:
    """Decay the matrices only: decaying a norm's scale would pull it away from one for nothing."""
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.95), fused=True)


def batches(stream: Tokens, steps: int) -> list[Tokens]:
    """Return the windows of each step: every epoch cuts the stream at a new offset and shuffles the windows."""
    random = np.random.default_rng(SEED)
    starts: list[int] = []
    while len(starts) < steps * BATCH:
        cuts = np.arange(random.integers(LENGTH), len(stream) - LENGTH, LENGTH)
        starts.extend(random.permutation(cuts).tolist())
    return [np.stack([stream[start : start + LENGTH] for start in starts[i * BATCH : (i + 1) * BATCH]]) for i in range(steps)]


def next_token_loss(model: LlamaForCausalLM, windows: Tensor, reduction: str = "mean") -> Tensor:
    """Return the negative log-likelihood (nats) of every token in the windows but the first."""
    logits = model(input_ids=windows, use_cache=False).logits[:, :-1]
    return nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten(), reduction=reduction)


@torch.inference_mode()
def score(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, text: str) -> dict[str, float]:
    """Measure perplexity in windows of 256 tokens that do not overlap; a window's first token has no context and is not scored."""
    tokens = torch.from_numpy(encode(tokenizer, text))
    total, count, scored_bytes = 0.0, 0, 0
    for window in tokens.split(LENGTH):
        if len(window) > 1:
            total += float(next_token_loss(model, window[None], "sum"))
            count += len(window) - 1
            # A byte-level token spells every byte as one character, so lengths of tokens are bytes of text.
            scored_bytes += sum(map(len, tokenizer.convert_ids_to_tokens(window[1:].tolist())))
    return {"perplexity": math.exp(total / count), "bits_per_byte": total / math.log(2) / scored_bytes, "n": count}


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the folder in half precision, from a copy so that training goes on in full precision."""
    copy = new_model()
    copy.load_state_dict(model.state_dict())
    copy.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, stream: Tokens, held_out: str, steps: int) -> None:
    """Run all the steps, printing the loss and the held-out perplexity and saving a checkpoint now and then."""
    optimiser = optimiser_for(model)
    began, recent = time.time(), 0.0
    for step, windows in enumerate(batches(stream, steps)):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        loss = next_token_loss(model, torch.from_numpy(windows))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        recent = loss.item() if step == 0 else 0.97 * recent + 0.03 * loss.item()
        if step % 20 == 0:
            print(f"step {step}/{steps} loss {recent:.4f} seconds {time.time() - began:.0f}", flush=True)
        if step % 250 == 249:
            found = score(model, tokenizer, held_out)
            print(f"step {step + 1} held-out perplexity {found['perplexity']:.3f}, {found['bits_per_byte']:.4f} bits/byte", flush=True)
            save(model, tokenizer, cache_dir() / "sotu-lm-checkpoint")


def measure(folder: Path) -> dict[str, float]:
    """Score a saved folder: its half-precision weights, computed with in single precision."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    return score(model, tokenizer, (folder / "heldout.txt").read_text(encoding="utf-8")[:SCORED_CHARACTERS])


def card(folder: Path, steps: int) -> dict[str, Any]:
    """Describe the saved folder, with its measured score."""
    found = measure(folder)
    return {
        "title": "State of the Union writer",
        "title_zh": "国情咨文语言模型",
        "summary": "A small Llama that continues political speeches, trained on two centuries of State of the Union addresses.",
        "summary_zh": "一个小型 Llama 模型,用两个世纪的美国国情咨文训练而成,可以续写演讲稿。",
        "task": "causal-lm",
        "data": "heldout.txt",
        "score": {
            "metric": "perplexity",
            "value": round(found["perplexity"], 4),
            "bits_per_byte": round(found["bits_per_byte"], 5),
            "n": int(found["n"]),
            "how": "fp16 weights run in fp32; first 40000 characters of heldout.txt tokenized once without special tokens; "
            "non-overlapping windows of 256 tokens, a window's first token not scored; exp(mean negative log-likelihood)",
        },
        "held_out": {"years": list(HELD_OUT_YEARS), "trained_on_years": [1790, LAST_TRAINING_YEAR]},
        "licence": {"data": "CC0-1.0 (contents), PDDL-1.0 (database)", "weights": "CC0-1.0"},
        "source": SOTU.card(),
        "trained": trained("train_lm.py", SEED, steps),
    }


def main() -> None:
    """Train, save, write heldout.txt and the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    texts = addresses()
    # The blank line tells the network how an address ends in plain text files, where the marker does not appear.
    training = [address.text + "\n\n" for address in texts if address.year <= LAST_TRAINING_YEAR]
    held_out = "\n\n".join(address.text for address in texts if address.year in HELD_OUT_YEARS) + "\n"
    tokenizer = train_tokenizer(training)
    stream = np.concatenate([np.append(encode(tokenizer, text), 0) for text in training])
    model = new_model()
    print(f"{len(training)} addresses, {len(stream)} tokens, {model.num_parameters()} parameters", flush=True)
    train(model, tokenizer, stream, held_out[:SCORED_CHARACTERS], options.steps)
    save(model, tokenizer, options.folder)
    (options.folder / "heldout.txt").write_text(held_out, encoding="utf-8")
    write_card(options.folder, card(options.folder, options.steps))


if __name__ == "__main__":
    main()
