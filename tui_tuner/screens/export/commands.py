"""Commands that use what was exported, with the real names in them: to load it, to serve it, to fetch it."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from tui_tuner.exports import ExportFinished, ExportKind, ServeCommand


def use_commands(finished: ExportFinished, base_model: str, login: str) -> tuple[ServeCommand, ...]:
    """The engine's own commands, then PEFT's for an adapter, then those that fetch the folder to another machine."""
    commands = list(finished.commands)
    if finished.export == ExportKind.ADAPTER and base_model:
        commands.insert(1, ServeCommand(program="PEFT", command=_peft(base_model, finished.folder)))
    if finished.export == ExportKind.MERGED:
        commands.append(ServeCommand(program="transformers", command=_transformers(finished.folder)))
    if finished.export != ExportKind.HUB:
        place = f"{login}:{shlex.quote(finished.folder)}"
        name = shlex.quote(Path(finished.folder).parent.parent.name or "export")
        commands.append(ServeCommand(program="rsync", command=f"rsync -avP {place}/ ./{name}/"))
        commands.append(ServeCommand(program="scp", command=f"scp -r {place} ./{name}"))
    return tuple(commands)


def login_of(variables: Mapping[str, str], user: str, host: str) -> str:
    """How this machine is reached: by the address that the present SSH connection came in on, else by its name."""
    parts = variables.get("SSH_CONNECTION", "").split()
    address = parts[2] if len(parts) == 4 else host
    return f"{user}@[{address}]" if ":" in address else f"{user}@{address}"


def _peft(base_model: str, folder: str) -> str:
    return (
        "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n"
        f"base = AutoModelForCausalLM.from_pretrained({base_model!r}, dtype='auto', device_map='auto')\n"
        f"model = PeftModel.from_pretrained(base, {folder!r})"
    )


def _transformers(folder: str) -> str:
    return (
        "from transformers import AutoModelForCausalLM\n"
        f"model = AutoModelForCausalLM.from_pretrained({folder!r}, dtype='auto', device_map='auto')"
    )
