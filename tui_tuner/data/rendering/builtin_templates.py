"""The chat templates that tuner brings along. Both are exported with an adapter, so they are plain Jinja."""

CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")

CHATML = """\
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

_PLAIN = """\
{%- if eos_token is not defined %}
{{- raise_exception('the plain template closes answers with EOS, and no tokenizer_config.json names it') }}
{%- endif %}
{%- for message in messages %}
{%- if message['content'] is not string %}
{{- raise_exception('the plain template renders text only; this conversation has tool calls') }}
{%- endif %}
{%- if message['role'] == 'system' %}
{{- message['content'] + '\\n\\n' }}
{%- elif message['role'] == 'user' %}
{{- '### User:\\n' + message['content'] + '\\n\\n' }}
{%- elif message['role'] == 'assistant' %}
{{- '### Assistant:\\n' + message['content'] + eos_token + '\\n\\n' }}
{%- else %}
{{- raise_exception('the plain template has no role ' + message['role']) }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '### Assistant:\\n' }}
{%- endif %}
"""


def plain_template(adds_bos: bool) -> str:
    """Headings in plain text, each answer closed by the tokenizer's own EOS. BOS only where the tokenizer wants one."""
    return "{{- bos_token }}\n" + _PLAIN if adds_bos else _PLAIN
