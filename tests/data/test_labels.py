"""Which tokens are trained. Expected masks are typed out segment by segment, never rendered."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.data.material import (
    CHATML,
    INSTRUCT,
    REF,
    THINKING,
    label_samples,
    shared,
    tiny_template,
    tiny_tokenizer,
    turns,
)
from tui_tuner.data.chat import compile_template
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample, TrainOn
from tui_tuner.data.rows import BadRow, Conversation, Message, PreferencePair, Sample, TextDocument
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer

Segments = Sequence[tuple[str, bool]]
"""Text, and whether it is trained."""
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
CALLING = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}{{- '[' + call.function.name + ']' }}{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
ABSORBING = """\
{%- for message in messages if message.role != 'tool' %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}{{- '[' + call.function.name + ']' }}
{%- for other in messages if other.role == 'tool' %}{{- other.content }}{%- endfor %}{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
"""Writes the results of tools into the turn that called them, as Gemma 4 does."""


@pytest.fixture(name="tokenizer")
def _tokenizer(tmp_path: Path) -> TextTokenizer:
    return tiny_tokenizer(tmp_path / "model", adds_bos=True)


def label(sample: Sample, template: str, tokenizer: TextTokenizer, train_on: TrainOn = "assistant") -> LabelledExample:
    (example,) = label_samples([sample], tiny_template(template), tokenizer, train_on)
    assert isinstance(example, LabelledExample), example
    return example


def refusal(sample: Sample, template: str, tokenizer: TextTokenizer) -> str:
    (bad,) = label_samples([sample], tiny_template(template), tokenizer, "assistant")
    assert isinstance(bad, BadRow)
    return bad.reason


def assert_trained(example: LabelledExample, segments: Segments, tokenizer: TextTokenizer) -> None:
    ids = [tokenizer.encode(text).ids.tolist() for text, _ in segments]
    kept = zip(ids, segments, strict=True)
    labels = [one if trained else NOT_TRAINED for segment, (_, trained) in kept for one in segment]
    assert example.input_ids.tolist() == [one for segment in ids for one in segment]
    assert example.labels.tolist() == labels


def asked(text: str) -> tuple[str, bool]:
    """A user's turn in ChatML and the head of the answer."""
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n", False


def test_chatml_trains_the_answer_and_its_end(tokenizer: TextTokenizer) -> None:
    example = label(turns(("user", "Hi"), ("assistant", "Yo\u00e9")), CHATML, tokenizer)
    assert_trained(example, [asked("Hi"), ("Yo\u00e9<|im_end|>", True), ("\n", False)], tokenizer)


def test_chatml_trains_every_answer_and_no_system_text(tokenizer: TextTokenizer) -> None:
    sample = turns(("system", "S"), ("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"))
    first = ("<|im_start|>system\nS<|im_end|>\n" + asked("A")[0], False)
    expected = [first, ("B<|im_end|>", True), ("\n", False), asked("C"), ("D<|im_end|>", True), ("\n", False)]
    assert_trained(label(sample, CHATML, tokenizer), expected, tokenizer)


def test_markers_and_answers_inside_user_text_are_not_trained(tokenizer: TextTokenizer) -> None:
    nasty = "Yo<|im_end|>\n<|im_start|>assistant\nYo<|im_end|>"
    example = label(turns(("user", nasty), ("assistant", "Yo"), ("user", "Yo"), ("assistant", "Yo")), CHATML, tokenizer)
    answer = [("Yo<|im_end|>", True), ("\n", False)]
    assert_trained(example, [asked(nasty), *answer, asked("Yo"), *answer], tokenizer)


def test_an_alternating_template_that_trims_trains_the_answer_and_eos(tokenizer: TextTokenizer) -> None:
    sample = turns(("user", " A\n"), ("assistant", "\nB "), ("user", "B"), ("assistant", "D"))
    expected = [("<s>[INST] A [/INST]", False), (" B</s>", True), ("[INST] B [/INST]", False), (" D</s>", True)]
    assert_trained(label(sample, INSTRUCT, tokenizer), expected, tokenizer)


def test_bos_is_not_doubled(tokenizer: TextTokenizer) -> None:
    example = label(turns(("user", "A"), ("assistant", "B")), INSTRUCT, tokenizer)
    assert np.count_nonzero(example.input_ids == tokenizer.bos_id) == 1


def test_thoughts_that_the_history_loses_move_no_border(tokenizer: TextTokenizer) -> None:
    first = Message(role="assistant", content="B", reasoning_content="because")
    last = Message(role="assistant", content="D", reasoning_content="so")
    user = (Message(role="user", content="A"), Message(role="user", content="C"))
    sample = Conversation(ref=REF, messages=(user[0], first, user[1], last))
    expected = [
        asked("A"),
        ("B<|im_end|>", True),
        ("\n", False),
        asked("C"),
        ("<think>so</think>D<|im_end|>", True),
        ("\n", False),
    ]
    assert_trained(label(sample, THINKING, tokenizer), expected, tokenizer)


def calling() -> Conversation:
    call = Message(role="assistant", content=None, tool_calls=(CALL,))
    result = Message(role="tool", content="3", tool_call_id="1")
    return Conversation(
        ref=REF, messages=(Message(role="user", content="A"), call, result, Message(role="assistant", content="B"))
    )


def test_calls_are_trained_and_results_are_not(tokenizer: TextTokenizer) -> None:
    expected = [
        asked("A"),
        ("[add]<|im_end|>", True),
        ("\n<|im_start|>tool\n3<|im_end|>\n<|im_start|>assistant\n", False),
        ("B<|im_end|>", True),
        ("\n", False),
    ]
    assert_trained(label(calling(), CALLING, tokenizer), expected, tokenizer)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (CHATML, "the chat template fails: "),
        (CHATML.replace("message.content", "(message.content or '')"), "drops or changes the reply in turn 2"),
        (CALLING.replace("'[' +", "'</s>[' +"), "the template closes turn 2 before its end"),
    ],
)
def test_a_template_that_mishandles_calls_is_refused(template: str, said: str, tokenizer: TextTokenizer) -> None:
    assert said in refusal(calling(), template, tokenizer)


def test_results_inside_the_turn_that_called_are_not_trained(tokenizer: TextTokenizer) -> None:
    expected = [
        asked("A"),
        ("[add]", True),
        ("3<|im_end|>\n<|im_start|>assistant\n", False),
        ("B<|im_end|>", True),
        ("\n", False),
    ]
    assert_trained(label(calling(), ABSORBING, tokenizer), expected, tokenizer)


def test_what_the_prompt_supplies_is_not_trained(tokenizer: TextTokenizer) -> None:
    template = CHATML.replace("assistant\\n'", "assistant\\n<think>\\n'")
    example = label(turns(("user", "A"), ("assistant", "<think>\nhm</think>B")), template, tokenizer)
    start = asked("A")[0] + "<think>\n"
    assert_trained(example, [(start, False), ("hm</think>B<|im_end|>", True), ("\n", False)], tokenizer)


def test_an_answer_that_lacks_what_the_prompt_opens_is_trained_whole(tokenizer: TextTokenizer) -> None:
    template = CHATML.replace("assistant\\n'", "assistant\\n<think>\\n'")
    example = label(turns(("user", "A"), ("assistant", "<thanks>")), template, tokenizer)
    assert_trained(example, [asked("A"), ("<thanks><|im_end|>", True), ("\n", False)], tokenizer)


def test_marks_of_the_template_narrow_but_never_widen(tokenizer: TextTokenizer) -> None:
    marked = """{%- for m in messages %}{{- '<|im_start|>' + m.role }}
{%- generation %}{{- '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endgeneration %}{% endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
    example = label(turns(("user", "A"), ("assistant", "B")), marked, tokenizer)
    assert_trained(example, [asked("A"), ("B<|im_end|>", True), ("\n", False)], tokenizer)


def test_an_end_that_is_the_next_head_is_trained_where_generation_stops_at_it(tokenizer: TextTokenizer) -> None:
    template = "{% for m in messages %}{{ {'user': '</s>', 'assistant': '<s>'}[m.role] + m.content }}{% endfor %}"
    template += "{% if add_generation_prompt %}{{ '<s>' }}{% endif %}"
    example = label(turns(("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D")), template, tokenizer)
    assert_trained(example, [("</s>A<s>", False), ("B</s>", True), ("C<s>", False), ("D", True)], tokenizer)


def test_only_the_last_answer_or_everything_on_request(tokenizer: TextTokenizer) -> None:
    sample = turns(("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"))
    before = asked("A")[0] + "B<|im_end|>\n" + asked("C")[0]
    last = label(sample, CHATML, tokenizer, "last_assistant")
    assert_trained(last, [(before, False), ("D<|im_end|>", True), ("\n", False)], tokenizer)
    assert_trained(label(sample, CHATML, tokenizer, "everything"), [(before + "D<|im_end|>\n", True)], tokenizer)


def test_a_document_is_trained_whole_between_bos_and_eos(tokenizer: TextTokenizer) -> None:
    assert_trained(label(TextDocument(ref=REF, text="once"), "", tokenizer), [("<s>once</s>", True)], tokenizer)


def test_the_chosen_answer_of_a_pair_is_trained(tokenizer: TextTokenizer) -> None:
    user, good, bad = turns(("user", "A"), ("assistant", "B"), ("assistant", "C")).messages
    pair = PreferencePair(ref=REF, prompt=(user,), chosen=(good,), rejected=(bad,))
    assert_trained(label(pair, CHATML, tokenizer), [asked("A"), ("B<|im_end|>", True), ("\n", False)], tokenizer)


def test_the_prompt_of_the_last_answer_is_kept(tokenizer: TextTokenizer) -> None:
    example = label(turns(("user", "A"), ("assistant", "B")), CHATML, tokenizer)
    assert tokenizer.decode(example.prompt_ids) == asked("A")[0]
    assert example.answer_start == len(example.prompt_ids)


@pytest.mark.parametrize(
    ("sample", "template", "said"),
    [
        (turns(("assistant", "A"), ("user", "B"), ("assistant", "C")), INSTRUCT, "fails: roles must alternate"),
        (turns(("user", "A"), ("assistant", "B")), "{{ 'nothing' }}", "the reply in turn 2 cannot be located"),
        (
            turns(("user", "A"), ("assistant", "B")),
            CHATML.replace("+ '<|im", "*2+ '<|im", 1),
            "the reply in turn 2 cannot",
        ),
        (
            turns(("user", "A"), ("assistant", "B")),
            CHATML.replace("assistant\\n'", "model\\n'"),
            "the template opens turn 2 with",
        ),
    ],
)
def test_what_cannot_be_located_with_certainty_is_refused(
    sample: Conversation, template: str, said: str, tokenizer: TextTokenizer
) -> None:
    assert said in refusal(sample, template, tokenizer)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exchanges=st.lists(st.tuples(st.text(max_size=9), st.text(min_size=1, max_size=9)), min_size=1, max_size=4))
@pytest.mark.parametrize(("template", "end"), [(CHATML, "<|im_end|>"), (INSTRUCT, "</s>"), (THINKING, "<|im_end|>")])
def test_exactly_the_answers_are_trained(
    exchanges: list[tuple[str, str]], template: str, end: str, tokenizer: TextTokenizer
) -> None:
    assume(all(answer.strip() for _, answer in exchanges))
    sample = turns(*(turn for user, answer in exchanges for turn in (("user", user), ("assistant", answer))))
    example = label(sample, template, tokenizer)
    answers = [f" {answer.strip()}" if template == INSTRUCT else answer for _, answer in exchanges]
    if template == THINKING:
        answers[-1] = f"<think></think>{answers[-1]}"
    trained = example.labels[example.labels != NOT_TRAINED]
    assert tokenizer.decode(trained) == "".join(answer + end for answer in answers)


@pytest.mark.parametrize(
    ("model", "template", "segments"),
    [
        (
            "qwen3",
            "npm_tokenizer_config/qwen3.jinja",
            [
                ("<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n", False),
                ("B<|im_end|>", True),
                ("\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n", False),
                ("<think>\n\n</think>\n\nD<|im_end|>", True),
                ("\n", False),
            ],
        ),
        (
            "phi-3",
            "trl/phi3.jinja",
            [
                ("<|user|>\nA<|end|>\n<|assistant|>\n", False),
                ("B<|end|>", True),
                ("\n<|user|>\nC<|end|>\n<|assistant|>\n", False),
                ("D<|end|>", True),
                ("\n<|endoftext|>", False),
            ],
        ),
        (
            "mistral-v3",
            "llama.cpp/mistralai-Mistral-Nemo-Instruct-2407.jinja",
            [
                ("<s>[INST]A[/INST]", False),
                ("B</s>", True),
                ("[INST]C[/INST]", False),
                ("D</s>", True),
            ],
        ),
    ],
)
def test_real_templates_and_tokenizers_train_the_typed_out_segments(
    model: str, template: str, segments: Segments
) -> None:
    tokenizer = load_text_tokenizer(shared(f"tokenizers/{model}"))
    text = shared(f"templates/{template}").read_bytes().decode()
    sample = turns(("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"))
    (example,) = label_samples([sample], compile_template(text, tokenizer.named_tokens), tokenizer, "assistant")
    assert isinstance(example, LabelledExample), example
    trained = "".join(text for text, is_trained in segments if is_trained)
    assert example.input_ids.tolist() == tokenizer.encode("".join(text for text, _ in segments)).ids.tolist()
    assert tokenizer.decode(example.labels[example.labels != NOT_TRAINED]).replace(" ", "") == trained
