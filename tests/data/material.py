"""Small real things that the data tests share: tokenizers, templates, rows, recipes. Nothing here asserts."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from tui_tuner.data.chat import ChatTemplate, compile_template
from tui_tuner.data.data_survey import survey_data
from tui_tuner.data.labels import LabelledExample, TrainOn, label_rows
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.rows import RowRenderer
from tui_tuner.data.rows import BadRow, Conversation, Message, RowRef, Sample, SourceRow
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.data.turn_endings import turn_endings
from tui_tuner.plan import DataFacts
from tui_tuner.recipe import DataSection, DataSource, ModelSection, ObjectiveSection, Recipe

SHARED = Path(__file__).parents[3] / "shared" / "data"
REF = RowRef("rows.jsonl", 1)

CHATML = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
INSTRUCT = """\
{{- bos_token }}
{%- for message in messages %}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{- raise_exception('roles must alternate') }}{%- endif %}
{%- if message.role == 'user' %}{{- '[INST] ' + message.content | trim + ' [/INST]' }}
{%- else %}{{- ' ' + message.content | trim + eos_token }}{%- endif %}
{%- endfor %}
"""
THINKING = """\
{%- set last = namespace(user=-1) %}
{%- for message in messages %}
{%- if message.role == 'user' %}{%- set last.user = loop.index0 %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' and loop.index0 > last.user %}
{{- '<think>' + (message.reasoning_content or '') + '</think>' }}
{%- endif %}
{{- message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
"""Shows thoughts only behind the last question, so that earlier renderings are no beginnings of later ones."""


def shared(name: str) -> Path:
    """A file of the shared test data; skips where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"shared test data is absent: {name}")
    return path


def write_tokenizer(folder: Path, template: str | None = None, adds_bos: bool = False) -> Path:
    """A tokenizer of single bytes with ChatML's and Llama's tokens: one ASCII character is one token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: number for number, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 256)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, object] = {"bos_token": "<s>", "eos_token": "</s>"}
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def tiny_tokenizer(folder: Path, template: str | None = None, adds_bos: bool = False) -> TextTokenizer:
    return load_text_tokenizer(write_tokenizer(folder, template, adds_bos))


def tiny_template(text: str) -> ChatTemplate:
    return compile_template(text, {"bos_token": "<s>", "eos_token": "</s>"})


def turns(*pairs: tuple[str, str]) -> Conversation:
    return Conversation(ref=REF, messages=tuple(Message(role=role, content=content) for role, content in pairs))


def row(**fields: object) -> SourceRow:
    return SourceRow(ref=REF, fields=fields)


def write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def write_questions(path: Path, count: int) -> Path:
    return write_lines(path, [{"prompt": f"What is {n}?", "completion": f"It is {n}."} for n in range(count)])


def recipe_of(path: Path | str, objective: ObjectiveSection | None = None, **data: object) -> Recipe:
    source = DataSource(path=str(path))
    section = DataSection.model_validate({"sources": (source,), **data})
    return Recipe(model=ModelSection(source="model"), data=section, objective=objective or ObjectiveSection())


def survey(recipe: Recipe, tokenizer_folder: Path | None, context_length: int) -> DataFacts:
    """`survey_data` with renderers of its own."""
    with RenderPool() as renderers:
        return survey_data(recipe, tokenizer_folder, context_length, renderers)


def processor_seconds() -> float:
    """Of this process and of its children that have ended: how busy the machine is does not count."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def label_samples(
    samples: Iterable[Sample], template: ChatTemplate, tokenizer: TextTokenizer, train_on: TrainOn
) -> Iterator[LabelledExample | BadRow]:
    """Label rows in their order with a trusted template, which is rendered in this very process."""
    renderer = RowRenderer(template, turn_endings(tokenizer))
    for sample in samples:
        for labelled in label_rows([renderer.render(sample)], tokenizer, train_on):
            yield labelled if isinstance(labelled, BadRow) else labelled.example
