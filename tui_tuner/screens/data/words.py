"""The lines of words round the panels: what the data is, how far its check is, what follows from it."""

from pathlib import PurePath

from tui_tuner.plan import DataFacts, SourceFacts
from tui_tuner.screens.data.labels import Labels
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.outlook import Outlook
from tui_tuner.units import count, counted, percent, short_count

TEMPLATE_WORDS = {"auto": "the model's own", "plain": "plain", "chatml": "chatml"}


NO_DATA = """\
No data yet.

o   takes a file, a folder, or a data set of the hub
    .jsonl .json .csv .tsv .parquet .txt, each also .gz

Chat turns, prompts and answers, or plain text: the shape is told by the columns."""
NO_MODEL = "Labels are made with the model's tokenizer and chat template.\n\n2  choose a model first"


def head_words(outlook: Outlook, labels: Labels | None) -> list[str]:
    """Files, shape, held-out share and template: what the keys o, e and t change."""
    draft = outlook.draft
    sources = draft.get("data", "sources") or []
    if not sources:
        return ["no data yet"]
    facts = outlook.facts.data.facts if outlook.facts.data else None
    first = source_words(sources[0], facts.sources[0] if facts else None)
    more = f" +{len(sources) - 1}" if len(sources) > 1 else ""
    return [first + more, held_out_words(draft, facts), "template " + template_words(draft, labels)]


def source_words(source: dict[str, object], facts: SourceFacts | None) -> str:
    """A source in short: its file, its shape, the columns that are named otherwise than their fields."""
    name = PurePath(str(source.get("path", ""))).name or str(source.get("path"))
    shape = str(source.get("shape", "auto"))
    if facts is None:
        return name if shape == "auto" else f"{name} ({shape})"
    renamed = [f"{field}={column}" for field, column in facts.columns.items() if field != column]
    return f"{name} ({facts.shape}{': ' + ' '.join(renamed) if renamed else ''})"


def held_out_words(draft: Draft, facts: DataFacts | None) -> str:
    """What is kept for evaluation."""
    others = draft.get("data", "evaluation_sources") or []
    if others:
        return f"held out {PurePath(str(others[0].get('path'))).name}" + (f" +{len(others) - 1}" if others[1:] else "")
    share = draft.get("data", "evaluation_fraction")
    rows = f" ({count(facts.num_evaluation_rows)})" if facts else ""
    if share == 0:
        return "nothing held out"
    return f"held out {'5 %' if share == 'auto' else percent(float(share))}{rows}"


def template_words(draft: Draft, labels: Labels | None) -> str:
    """The chat template in words; what is known of the labels wins."""
    asked = str(draft.get("data", "chat_template"))
    if labels is not None and labels.look is not None and labels.look.state.template:
        words = labels.look.state.template
        return PurePath(words).name if words.endswith(".jinja") else words
    return TEMPLATE_WORDS.get(asked, PurePath(asked).name)


def readout_words(labels: Labels | None, outlook: Outlook, glyphs: Glyphs) -> list[str]:
    """The consequences, the most important first."""
    if labels is None:
        return ["labels are checked when model and data are chosen"]
    words = []
    if labels.is_busy:
        doing = "checking" if labels.stage == "reading" else "fitting longer rows"
        words.append(f"{glyphs.running} {doing} {labels.share_done:.0%}")
    if labels.failure is not None:
        words.append(f"{glyphs.failed} {labels.failure.message}")
    if labels.stage == "stopped":
        words.append(f"{glyphs.stopped} stopped: r goes on")
    if labels.counted is None or not labels.num_rows:
        return words or ["reading…"]
    share = labels.counted.num_trained / max(1, labels.counted.num_tokens)
    if labels.reasons:
        more = f" (+{len(labels.reasons) - 1} more)" if labels.reasons[1:] else ""
        words.append(f"{glyphs.failed} {labels.reasons[0]}{more}")
    words.append(counted(labels.num_rows, "row"))
    words.append(f"{short_count(labels.counted.num_tokens)} tokens, {share:.0%} trained")
    fit = labels.fit
    if fit is not None and fit.rows_left_out:
        words.append(f"{glyphs.cut} {count(fit.rows_left_out)} left out")
    if fit is not None and fit.rows_shortened:
        words.append(f"{glyphs.cut} {count(fit.rows_shortened)} shortened")
    if not labels.is_busy and not labels.reasons and labels.stage == "done":
        words.insert(0, f"{glyphs.done} labels are fit to train")
    if outlook.facts.data and outlook.facts.data.failure:
        words.append(f"{glyphs.attention} {outlook.facts.data.failure.message}")
    return words


def words_instead(outlook: Outlook, labels: Labels | None, glyphs: Glyphs) -> str:
    """What stands in the place of the rows while there are none; empty where rows can be shown."""
    if labels is not None and labels.num_rows:
        return ""
    failure = labels.failure if labels else outlook.facts.data.failure if outlook.facts.data else None
    if not outlook.draft.get("data", "sources"):
        return NO_DATA
    if outlook.base is None:
        return "reading the model…" if outlook.is_reading_model else NO_MODEL
    if failure is not None:
        keys = "r   looks again\no   takes other data\nt   takes another template"
        return f"{glyphs.failed} {failure.message}\n\n{failure.hint}\n\n{keys}".replace("\n\n\n", "\n")
    if labels is None and not outlook.base.facts.folder:
        return "The model's files are not on this machine: fetch them first (2)."
    return "reading…" if labels is None or labels.is_busy else "There is no row."
