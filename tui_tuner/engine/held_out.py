"""The rows that are never trained: their loss, and the answers that the model gives to them as it learns."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.data.dataset import HeldOutQuestion, LabelledData
from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.rendering.template_choice import PromptRenderer
from tui_tuner.data.rows import Message, RowRef
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.engine.evaluation import evaluate
from tui_tuner.engine.generation import Answer, answer_greedily
from tui_tuner.engine.model import TrainingModel
from tui_tuner.errors import TrainingError
from tui_tuner.events import EvalFinished, SampleGenerated
from tui_tuner.plan import RunPlan

EXACT_MATCH = "exact_match"
MAX_NAMED_ROWS = 5
AUTO_SAMPLES = 3
EXACT_MATCH_MARGIN = 16
"""Tokens that an answer may be longer than the longest expected one before it is cut: it has failed by then."""


@dataclass(slots=True, kw_only=True)
class HeldOut:
    """Looks at the model from outside, and remembers the best loss."""

    model: TrainingModel
    tokenizer: TextTokenizer
    stop_ids: tuple[int, ...]
    examples: Sequence[LabelledExample]
    micro_batch_size: int
    sample_questions: tuple[HeldOutQuestion, ...]
    """Prompts from the recipe expect nothing: their `expected` is empty."""
    exact_match_questions: tuple[HeldOutQuestion, ...]
    sample_tokens: int
    best_loss: float | None = None

    def evaluate(self, step: int) -> EvalFinished:
        """Loss and token accuracy. Raises TrainingError naming the rows where the loss is not finite."""
        result = evaluate(self.model, self.examples, self.micro_batch_size)
        if not math.isfinite(result.loss):
            raise self._not_finite(step, result.loss)
        is_best = self.best_loss is None or result.loss < self.best_loss
        self.best_loss = result.loss if is_best else self.best_loss
        return EvalFinished(
            step=step,
            loss=result.loss,
            metrics={"token_accuracy": result.token_accuracy},
            rows=result.rows,
            trained_tokens=result.trained_tokens,
            is_best=is_best,
        )

    def with_exact_match(self, measured: EvalFinished) -> EvalFinished:
        """The same with the share of exact answers, where the recipe asks for it."""
        if not self.exact_match_questions:
            return measured
        return measured.model_copy(update={"metrics": {**measured.metrics, EXACT_MATCH: self._exact_match()}})

    def samples(self, step: int) -> Iterator[SampleGenerated]:
        """The same questions, answered greedily each time."""
        answers = self._answers(self.sample_questions, self.sample_tokens)
        for index, (question, answer) in enumerate(zip(self.sample_questions, answers, strict=True)):
            yield SampleGenerated(
                step=step,
                index=index,
                prompt=question.prompt,
                text=self._text(answer),
                expected=question.expected or None,
                stopped=answer.stopped,
            )

    def _exact_match(self) -> float:
        """Share of held-out rows whose greedy answer is the expected text, word for word, and ends by itself."""
        expected = [question.expected for question in self.exact_match_questions]
        limit = max(len(self.tokenizer.encode(text).ids) for text in expected) + EXACT_MATCH_MARGIN
        answers = self._answers(self.exact_match_questions, limit)
        hits = sum(
            answer.stopped and self._text(answer).strip() == wanted.strip()
            for answer, wanted in zip(answers, expected, strict=True)
        )
        return hits / len(expected)

    def _not_finite(self, step: int, loss: float) -> TrainingError:
        losses = ((one, evaluate(self.model, [one], 1).loss) for one in self.examples)
        rows = row_names([one.ref for one, alone in losses if not math.isfinite(alone)])
        return TrainingError(
            f"Step {step}: the held-out loss is {loss} ({rows}).",
            "Look at these rows." if step == 0 else "Lower optimizer.learning_rate, or look at these rows.",
        )

    def _answers(self, questions: Sequence[HeldOutQuestion], max_tokens: int) -> list[Answer]:
        if not questions:
            return []
        prompts = [question.prompt_ids for question in questions]
        return answer_greedily(self.model.module, prompts, self.stop_ids, max_tokens)

    def _text(self, answer: Answer) -> str:
        return self.tokenizer.decode(answer.token_ids, skip_special_tokens=True)


def watch_held_out(plan: RunPlan, data: LabelledData, model: TrainingModel, tokenizer_folder: Path) -> HeldOut:
    """Choose what is asked: the recipe's prompts or the first held-out rows, and the rows for exact match."""
    training = plan.recipe.training
    tokenizer = load_text_tokenizer(tokenizer_folder)
    if training.sample_prompts == "auto":
        samples = data.questions[:AUTO_SAMPLES]
    else:
        prompts = PromptRenderer(data.template, tokenizer)
        samples = tuple(_question(prompt, prompts) for prompt in training.sample_prompts)
    return HeldOut(
        model=model,
        tokenizer=tokenizer,
        stop_ids=data.end_of_turn_ids,
        examples=data.evaluation,
        micro_batch_size=plan.schedule.micro_batch_size,
        sample_questions=samples,
        exact_match_questions=data.questions[: training.exact_match_rows],
        sample_tokens=training.sample_tokens,
    )


def _question(prompt: str, prompts: PromptRenderer) -> HeldOutQuestion:
    prompt_ids = prompts.prompt_ids([Message(role="user", content=prompt)])
    return HeldOutQuestion(prompt=prompt, prompt_ids=tuple(prompt_ids), expected="")


def row_names(refs: Sequence[RowRef]) -> str:
    """The first few rows, in words."""
    if not refs:
        return "no single row alone"
    more = f" and {len(refs) - MAX_NAMED_ROWS} more" if len(refs) > MAX_NAMED_ROWS else ""
    return f"{'row' if len(refs) == 1 else 'rows'} {', '.join(map(str, refs[:MAX_NAMED_ROWS]))}{more}"
