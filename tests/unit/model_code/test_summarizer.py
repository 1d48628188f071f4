"""Summaries, extracted and generated."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_code import summarizer
from model_code.handler import Handler
from model_code.summarizer.build import build_extractive, build_generative

sys.path.append(str(Path(summarizer.__file__).parent / "shared"))
from article import sentences, words

if TYPE_CHECKING:
    from tests.unit.model_code.conftest import TextContainer

ARTICLE = Path(summarizer.__file__).with_name("lighthouse.txt").read_text(encoding="utf-8")
ARTIFACTS = summarizer.EXTRACTIVE.model_files.parent
JSON = "application/json"


@pytest.fixture(scope="module")
def extractive(text_container: Callable[[Handler], TextContainer]) -> TextContainer:
    return text_container(summarizer.EXTRACTIVE)


def request(*articles: str, max_words: int = 80) -> str:
    return json.dumps({"inputs": articles, "parameters": {"max_words": max_words}})


def summaries(body: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(body)
    return found


def test_a_summary_is_made_of_the_article_s_sentences_in_their_order(
    extractive: TextContainer,
) -> None:
    (summary,) = summaries(extractive.invoke(request(ARTICLE), JSON))

    chosen = sentences(summary["summary_text"])
    places = [sentences(ARTICLE).index(sentence) for sentence in chosen]
    assert len(places) > 1
    assert places == sorted(places)
    assert summary["method"] == "textrank"
    assert summary["words"] == len(words(summary["summary_text"])) <= 80
    assert summary["of_words"] == len(words(ARTICLE))


def test_a_summary_speaks_of_what_the_article_speaks_of(extractive: TextContainer) -> None:
    off_topic = "My neighbour bought potatoes on Tuesday."

    (summary,) = summaries(
        extractive.invoke(request(f"{ARTICLE}\n\n{off_topic}", max_words=120), JSON)
    )

    assert "light" in summary["summary_text"]
    assert "potatoes" not in summary["summary_text"]


@given(max_words=st.integers(1, 1000))
def test_a_summary_is_as_long_as_allowed_or_a_single_sentence(
    extractive: TextContainer, max_words: int
) -> None:
    (summary,) = summaries(extractive.invoke(request(ARTICLE, max_words=max_words), JSON))

    assert summary["words"] <= max_words or len(sentences(summary["summary_text"])) == 1


def test_what_is_said_twice_is_summarised_once(extractive: TextContainer) -> None:
    twice = "Lenses bend light. Towers carry lenses. " * 2 + "Ships see the light of towers."

    (summary,) = summaries(extractive.invoke(request(twice), JSON))

    chosen = sentences(summary["summary_text"])
    assert len(chosen) == len(set(chosen)) == 3


def test_a_very_long_article_is_condensed_block_by_block(extractive: TextContainer) -> None:
    chapters = "\n\n".join(ARTICLE.replace("light", f"light{chapter}") for chapter in range(60))

    (summary,) = summaries(extractive.invoke(chapters, "text/plain; charset=utf-8"))

    assert summary["of_words"] > 40_000
    assert 0 < summary["words"] <= 120


@given(st.text(max_size=300))
def test_no_letter_is_lost_between_sentences(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith left. He ran!", ["Dr. Smith left.", "He ran!"]),
        ("J. S. Bach wrote it, cf. Fig. 3 there.", ["J. S. Bach wrote it, cf. Fig. 3 there."]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("It costs 3.5 million. 2 were sold.", ["It costs 3.5 million.", "2 were sold."]),
        ("A title\n\nA line\nand its end.", ["A title", "A line and its end."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_several_articles_are_summarised_apart(extractive: TextContainer) -> None:
    other = "Bread is made of flour. Flour is made of grain. Grain grows on fields."

    together = summaries(extractive.invoke(request(ARTICLE, other), JSON))

    assert together[1] == summaries(extractive.invoke(request(other), JSON))[0]
    assert "flour" not in together[0]["summary_text"]


def test_the_sample_is_a_request(extractive: TextContainer) -> None:
    body = (ARTIFACTS / "samples" / "article.json").read_text()

    assert summaries(extractive.invoke(body, JSON)) == summaries(
        extractive.invoke(request(ARTICLE), JSON)
    )


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        ("{", JSON, "the body must be JSON"),
        ("[]", JSON, 'the body must be {"inputs": str or'),
        ('{"inputs": []}', JSON, "inputs must hold at least one article, got none"),
        ('{"inputs": ["a", 3]}', JSON, "article 2 must be a text with words in it"),
        ('{"inputs": ""}', JSON, "article 1 must be a text with words in it"),
        ('{"inputs": "a", "parameters": {"top_k": 3}}', JSON, "parameters must be"),
        (request("a", max_words=0), JSON, "max_words must be between 1 and 1000, got 0"),
        (request("a", max_words=1001), JSON, "max_words must be between 1 and 1000, got 1001"),
        ('{"inputs": "a", "parameters": {"max_words": true}}', JSON, "must be a whole number"),
        (" \n ", "text/plain", "article 1 must be a text with words in it"),
        (b"\xff\xfe", "text/plain", "the body must be UTF-8 text"),
        ("a", "text/html", "content type must be one of application/json, text/plain"),
    ],
)
def test_other_requests_are_refused(
    extractive: TextContainer, body: str | bytes, content_type: str, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        extractive.invoke(body, content_type)


def test_no_other_answer_than_json_is_given(extractive: TextContainer) -> None:
    with pytest.raises(ValueError, match="accept must be one of application/json"):
        extractive.invoke(request("One sentence."), JSON, "text/csv")


def test_building_again_writes_the_committed_artifact(tmp_path: Path) -> None:
    build_extractive(tmp_path)

    for file in ("textrank/textrank.json", "samples/article.json"):
        assert (tmp_path / file).read_bytes() == (ARTIFACTS / file).read_bytes()


@pytest.fixture(scope="module")
def pegasus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEGASUS of two layers that knows the article's words and nothing else."""
    pytest.importorskip("torch", reason="generation needs torch")
    transformers = pytest.importorskip("transformers", reason="generation needs transformers")
    tokenizers = pytest.importorskip("tokenizers")
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    vocabulary = [*special.values(), "<n>", *dict.fromkeys(words(ARTICLE.lower()))]
    model = tokenizers.models.WordLevel(
        {word: place for place, word in enumerate(vocabulary)}, unk_token=special["unk_token"]
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    source = tmp_path_factory.mktemp("source")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(
        source
    )
    transformers.set_seed(0)
    config = transformers.PegasusConfig(
        vocab_size=len(vocabulary),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=128,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        forced_eos_token_id=1,
    )
    transformers.PegasusForConditionalGeneration(config).save_pretrained(source)
    folder = tmp_path_factory.mktemp("pegasus")
    build_generative(str(source), folder)
    return folder


@pytest.fixture(scope="module")
def generative(
    text_container: Callable[[Handler], TextContainer], pegasus_folder: Path
) -> TextContainer:
    return text_container(summarizer.generative(pegasus_folder))


@pytest.fixture(scope="module")
def chunking(generative: TextContainer, pegasus_folder: Path) -> tuple[Any, Any]:
    """The module that chunks and generates, and a model for it."""
    module: Any = generative.modules["seq2seq"]
    return module, module.load(str(pegasus_folder))


def test_a_folder_with_a_model_is_saved_in_portable_files(pegasus_folder: Path) -> None:
    names = {path.name for path in pegasus_folder.iterdir()}

    assert {"config.json", "tokenizer.json", "model.safetensors"} <= names
    assert not any(name.endswith((".bin", ".pkl", ".pt")) for name in names)


def test_a_model_generates_and_the_answer_names_its_kind(generative: TextContainer) -> None:
    (summary,) = summaries(generative.invoke(request(ARTICLE), JSON))

    assert summary["method"] == "pegasus"
    assert summary["of_words"] == len(words(ARTICLE))
    # Some 750 words in chunks of at most 127 tokens, none of which is left half empty.
    assert 6 <= summary["chunks"] <= 12


def test_chunks_hold_whole_sentences_and_fit_the_model(chunking: tuple[Any, Any]) -> None:
    seq2seq, model = chunking

    packed = seq2seq.chunks(sentences(ARTICLE), model)

    assert " ".join(packed) == " ".join(sentences(ARTICLE))
    assert all(len(model.tokenizer(chunk)["input_ids"]) <= 128 for chunk in packed)
    assert [s for chunk in packed for s in sentences(chunk)] == sentences(ARTICLE)


def test_a_sentence_longer_than_the_model_reads_is_cut(chunking: tuple[Any, Any]) -> None:
    seq2seq, model = chunking
    endless = " ".join(words(ARTICLE.lower())[:500])

    packed = seq2seq.chunks([endless], model)

    assert " ".join(packed) == endless
    assert all(len(model.tokenizer(chunk)["input_ids"]) <= 128 for chunk in packed)


def test_a_word_longer_than_the_model_reads_is_read_as_far_as_it_goes(
    generative: TextContainer,
) -> None:
    (summary,) = summaries(generative.invoke(request("light-" * 5000), JSON))

    assert summary["chunks"] == 1


def test_chunks_generated_together_read_as_if_each_were_alone(chunking: tuple[Any, Any]) -> None:
    seq2seq, model = chunking
    parts = seq2seq.chunks(sentences(ARTICLE), model)
    words_each = 20

    together, count = seq2seq.generate(sentences(ARTICLE), model, max_words=words_each * len(parts))

    alone = [seq2seq.generate([part], model, max_words=words_each)[0] for part in parts]
    assert count == len(parts)
    assert together == " ".join(" ".join(alone).split())
