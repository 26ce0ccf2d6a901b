"""Takes access tokens out of text before it is written or shown: logs, events, cards, error messages, trackers.

It knows the forms of common tokens and the values of this process's own variables. What it takes out it never keeps.
"""

import os
import re
from collections.abc import Mapping

HIDDEN = "[hidden]"
MIN_VALUE_LENGTH = 12
_NAMES = re.compile(r"(?:TOKEN|API_?KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_FORMS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{8,}|api_org_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{8,}|AKIA[A-Z0-9]{16})"
)
_IN_URL = re.compile(r"(?<=://)[^\s/@\"'\\]{1,512}@")
_NAMED = re.compile(
    r"(?i)\b((?:access_?token|auth_?token|hub_?token|token|api_?key|secret|password|authorization)"
    r"[\"']?\s{0,4}[=:]\s{0,4}[\"']?(?:bearer\s{1,4}|basic\s{1,4})?)([A-Za-z0-9._~+/=-]{16,})"
)


def redacted(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with "[hidden]" where a token was. The same text comes back where there was none; JSON stays JSON."""
    for value in _secret_values(environment):
        text = text.replace(value, HIDDEN)
    text = _FORMS.sub(HIDDEN, text)
    if "://" in text:
        text = _IN_URL.sub(f"{HIDDEN}@", text)
    return _NAMED.sub(rf"\1{HIDDEN}", text)


def holds_secret(text: str) -> bool:
    """Whether something would be taken out."""
    return redacted(text) != text


def _secret_values(environment: Mapping[str, str]) -> list[str]:
    """Longest first, so that no rest of a longer one stays."""
    values = {value for name, value in environment.items() if _NAMES.search(name) and _may_be_secret(value)}
    return sorted(values, key=len, reverse=True)


def _may_be_secret(value: str) -> bool:
    """A number or the path of a file would be taken out of places where it means something else."""
    return len(value) >= MIN_VALUE_LENGTH and not value.isdigit() and not value.startswith(("/", "~"))
