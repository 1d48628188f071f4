"""Make an artifact to summarise with: ``python -m model_code.summarizer.build``.

Without arguments it writes the extractive one. ``--model NAME --out DIR`` writes a folder for the
generative one: NAME is a model of the Hugging Face Hub, such as google/pegasus-xsum, or a folder;
it needs transformers and torch, and for a name a network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from model_code.artifact_files import json_bytes, write_files

_HERE = Path(__file__).parent
_STOP_WORDS = """
a about above after again against all also am an and any are as at be because been before being
below between both but by can cannot could did do does doing down during each either else even ever
every few for from further had has have having he her here hers herself him himself his how however
i if in into is it its itself just least less let like may me might more most much must my myself
neither no nor not now of off often on once one only or other our ours ourselves out over own per
quite rather same shall she should since so some still such than that the their theirs them
themselves then there therefore these they this those through thus to too under until up upon us
very was we were what when where whether which while who whom whose why will with within without
would yet you your yours yourself yourselves
"""
_SETTINGS = {
    "stop_words": _STOP_WORDS.split(),
    "damping": 0.85,
    "most_alike": 0.6,
    "block": 400,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make an artifact to summarise with.")
    parser.add_argument("--model", help="name or folder of a sequence-to-sequence model")
    parser.add_argument("--out", type=Path, help="folder for the artifact")
    arguments = parser.parse_args()
    if arguments.model is None:
        build_extractive(_HERE / "artifacts" if arguments.out is None else arguments.out)
    elif arguments.out is None:
        parser.error("--model needs --out: a model is too large for this repository")
    else:
        build_generative(arguments.model, arguments.out)


def build_extractive(out: Path) -> None:
    """Write the settings of TextRank and a request to try it with."""
    article = (_HERE / "lighthouse.txt").read_text(encoding="utf-8")
    write_files(
        out,
        {
            "textrank/textrank.json": json_bytes(_SETTINGS, indent=1),
            "samples/article.json": json_bytes(
                {"inputs": article, "parameters": {"max_words": 80}}, indent=1
            ),
        },
    )


def build_generative(model: str, out: Path) -> None:
    """Save configuration, tokenizer and safetensors of ``model`` to ``out``."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer  # noqa: PLC0415

    AutoTokenizer.from_pretrained(model).save_pretrained(out)
    AutoModelForSeq2SeqLM.from_pretrained(model).save_pretrained(out)


if __name__ == "__main__":
    main()
