"""Generation by a sequence-to-sequence model of Hugging Face, such as PEGASUS.

Imported only when an archive holds such a model: transformers and torch are large.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

_BATCH = 4
# Tokenizers split rare words: a summary has about this many tokens for each of its words.
_TOKENS_PER_WORD = 1.5
_FEWEST_TOKENS = 16


class Generator(NamedTuple):
    """A model on its device.

    Args:
        method: the kind of model, as its configuration names it.
        read_tokens: what the encoder reads at once.
        chunk_tokens: the same without special tokens.
    """

    model: Any
    tokenizer: Any
    device: torch.device
    method: str
    read_tokens: int
    chunk_tokens: int


def load(model_dir: str) -> Generator:
    """Load configuration, tokenizer and safetensors from a folder, never from a network."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = AutoTokenizer.from_pretrained(model_dir, local_files_only=True)
    model = AutoModelForSeq2SeqLM.from_pretrained(
        model_dir, local_files_only=True, use_safetensors=True
    )
    # A tokenizer that was saved without a limit names one of 10^30.
    limits = [tokenizer.model_max_length]
    if getattr(model.config, "max_position_embeddings", None) is not None:
        limits.append(model.config.max_position_embeddings)
    return Generator(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        device=device,
        method=model.config.model_type,
        read_tokens=min(limits),
        chunk_tokens=min(limits) - tokenizer.num_special_tokens_to_add(),
    )


def generate(sentences: Sequence[str], generator: Generator, *, max_words: int) -> tuple[str, int]:
    """Summarise each chunk of an article; return the summaries as one text, and their number.

    ``max_words`` limits the tokens generated, so it holds roughly. Chunks of several articles are
    never mixed, and those of one are generated a few at a time.
    """
    parts = chunks(sentences, generator)
    max_new_tokens = max(_FEWEST_TOKENS, math.ceil(max_words * _TOKENS_PER_WORD / len(parts)))
    summaries: list[str] = []
    for start in range(0, len(parts), _BATCH):
        batch = generator.tokenizer(
            parts[start : start + _BATCH],
            padding=True,
            truncation=True,  # a single word may still be longer than the model reads
            max_length=generator.read_tokens,
            return_tensors="pt",
        ).to(generator.device)
        with torch.inference_mode():
            tokens = generator.model.generate(**batch, max_new_tokens=max_new_tokens)
        summaries.extend(generator.tokenizer.batch_decode(tokens, skip_special_tokens=True))
    # PEGASUS was trained with "<n>" for a line break, and generates it.
    return " ".join(" ".join(summaries).replace("<n>", " ").split()), len(parts)


def chunks(sentences: Sequence[str], generator: Generator) -> list[str]:
    """Pack whole sentences into as few chunks as they fit; only a sentence too long is cut."""
    packed: list[str] = []
    for sentence in sentences:
        for piece in _pieces(sentence, generator):
            if packed and _tokens(f"{packed[-1]} {piece}", generator) <= generator.chunk_tokens:
                packed[-1] = f"{packed[-1]} {piece}"
            else:
                packed.append(piece)
    return packed


def _pieces(sentence: str, generator: Generator) -> list[str]:
    parts = sentence.split()
    if len(parts) < 2 or _tokens(sentence, generator) <= generator.chunk_tokens:
        return [sentence]
    half = len(parts) // 2
    return [
        piece
        for part in (parts[:half], parts[half:])
        for piece in _pieces(" ".join(part), generator)
    ]


def _tokens(text: str, generator: Generator) -> int:
    return len(generator.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
