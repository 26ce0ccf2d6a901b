"""The checks of a row's tokens, made behind the labelling. They change nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.second_method import compare_methods
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample, LabelledRow
from tui_tuner.data.lengths.cutting import breaks_off, num_answers
from tui_tuner.data.tokenizer import EncodedText, TextTokenizer
from tui_tuner.data.turns import LocatedTurns, TurnSpan


def row_findings(row: LabelledRow, tokenizer: TextTokenizer) -> Iterator[Finding]:
    """All that was found in an audited row: in its text, by comparing both methods, and in its tokens."""
    yield from row.rendered.findings
    if row.rendered.second is not None:
        located = LocatedTurns(text=row.rendered.text, turns=row.rendered.turns)
        difference = compare_methods(located, row.rendered.second, row.encoded)
        if difference is not None:
            yield difference
    yield from check_borders(row.rendered.turns, row.encoded)
    if row.rejected is None:
        yield from check_tokens(row.example, tokenizer)
        return
    yield from check_pair(row.example, row.rejected.example, tokenizer)
    for finding in row_findings(row.rejected, tokenizer):
        yield replace(finding, detail=f"rejected: {finding.detail}")


def check_borders(turns: Sequence[TurnSpan], encoded: EncodedText) -> Iterator[Finding]:
    """Turns begin and end between tokens, or else what is trained is not what the prompt leaves to be written."""
    words_of = ("the prompt and of the answer", "the answer and of what follows")
    for turn in turns:
        for border, words in zip((turn.start, turn.end), words_of, strict=True):
            token = int(np.searchsorted(encoded.ends, border, side="right"))
            if token < len(encoded) and encoded.starts[token] < border:
                yield Finding("token_crosses_border", f"token {token} holds a part of {words}", turn.message)


def check_tokens(example: LabelledExample, tokenizer: TextTokenizer) -> tuple[Finding, ...]:
    """BOS, EOS and trained tokens of a labelled row, before anything is cut."""
    return tuple(_token_findings(example, tokenizer))


def check_pair(chosen: LabelledExample, rejected: LabelledExample, tokenizer: TextTokenizer) -> tuple[Finding, ...]:
    """Both answers of a pair stand behind the same tokens, differ, and end in a trained end-of-turn token."""
    findings = [
        Finding(one.check, f"{name}: {one.detail}", one.message)
        for name, example in (("chosen", chosen), ("rejected", rejected))
        for one in (*check_tokens(example, tokenizer), *_last_token(example, tokenizer))
    ]
    better, worse = chosen.input_ids[: chosen.answer_start], rejected.input_ids[: rejected.answer_start]
    if not np.array_equal(better, worse):
        shortest = min(len(better), len(worse))
        parts = np.flatnonzero(better[:shortest] != worse[:shortest])
        token = int(parts[0]) if parts.size else shortest
        findings.append(Finding("preference_prefix", f"the prompts differ from token {token} on"))
    elif np.array_equal(chosen.input_ids, rejected.input_ids):
        findings.append(Finding("equal_pair", "chosen and rejected answer are the same tokens"))
    return tuple(findings)


def check_fit(
    full: LabelledExample, kept: LabelledExample | None, num_turns_dropped: int = 0, *, why: str = ""
) -> tuple[Finding, ...]:
    """What a row lost to the max length; `kept` is None where it was left out, and `why` says then why that was."""
    if kept is None:
        return (Finding("row_left_out", f"{full.num_tokens:,} tokens; {why}"),)
    tokens = f"{kept.num_tokens:,} of {full.num_tokens:,} tokens are kept"
    if num_turns_dropped:
        turns = "the oldest turn is" if num_turns_dropped == 1 else f"the {num_turns_dropped} oldest turns are"
        return (Finding("row_cut", f"{turns} dropped; {tokens}"),)
    findings = [Finding("row_cut", f"the end is cut off; {tokens}")]
    if breaks_off(full, kept):
        findings.append(Finding("answer_cut", f"an answer breaks off at token {kept.num_tokens:,}"))
        if num_answers(kept) == 1 and kept.labels[0] == NOT_TRAINED:
            findings.append(Finding("fragment_left", "all that is trained of the row is an answer that breaks off"))
    return tuple(findings)


def _token_findings(example: LabelledExample, tokenizer: TextTokenizer) -> Iterator[Finding]:
    ids, bos = example.input_ids, tokenizer.bos_id
    if bos is not None and len(ids) > 1 and ids[0] == bos and ids[1] == bos:
        yield Finding("doubled_bos", f"tokens 0 and 1 are both {bos}")
    if tokenizer.adds_bos and bos is not None and len(ids) and ids[0] != bos:
        yield Finding("missing_bos", f"the first token is {int(ids[0])}, not BOS {bos}")
    if example.num_trained == 0:
        yield Finding("no_trained_token", "no token of this row is trained")
    if example.kind == "document" and len(ids) and (tokenizer.eos_id is None or ids[-1] != tokenizer.eos_id):
        yield Finding("text_without_eos", "the document does not end in EOS")


def _last_token(example: LabelledExample, tokenizer: TextTokenizer) -> Iterator[Finding]:
    trained = example.labels[example.labels != NOT_TRAINED]
    closing = {*tokenizer.stop_ids, *tokenizer.special_tokens.values()}
    if trained.size and int(trained[-1]) not in closing:
        yield Finding("end_of_turn_missing", f"the last trained token is {int(trained[-1])}, which closes nothing")
