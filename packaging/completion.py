"""Bash's completion, made of the tables that make --help. Pure.

Source: bash(1), "Programmable Completion".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module

from canwharf.cli import VERBS
from canwharf.cli.options import Flag, Option, Row

_SCRIPT = """\
# Bash completion for canwharf, made of the tables that make its --help.
_canwharf() {{
    local word=$2 before=$3 verb= each what=()
    for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case $each in
            {verbs}) verb=$each && break ;;
        esac
    done
    # --option=value is three words to bash.
    [ "$before" = = ] && before=${{COMP_WORDS[COMP_CWORD - 2]}}
    [ "$word" = = ] && word= before=${{COMP_WORDS[COMP_CWORD - 1]}}
    COMPREPLY=()
    case "$verb $before" in
{rows}
    esac
    [ "${{what[0]}}" = -W ] || compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "${{what[@]}}" -- "$word")
}}
complete -F _canwharf canwharf
"""
# What a value is, by what --help calls it; anything else only the caller knows.
_KINDS = {"PATH": "-f", "WHERE": "-f", "DIR": "-d"}


def script() -> str:
    """The script."""
    rows = [line for verb in VERBS for row in _options(verb) for line in _value(verb, row)]
    for verb in VERBS:
        named = [f"--{row.name}" for row in _options(verb) if isinstance(row, Option | Flag)]
        rows.append(f'        "{verb} "*) {_among([*named, "--help"])} ;;')
    rows.append(f"        *) {_among([*VERBS, '--help', '--version'])} ;;")
    return _SCRIPT.format(verbs=" | ".join(VERBS), rows="\n".join(rows))


def _options(verb: str) -> Sequence[Row]:
    rows: Sequence[Row] = import_module(f"canwharf.cli.{verb}").OPTIONS
    return rows


def _value(verb: str, row: Row) -> Iterator[str]:
    """What can stand behind an option."""
    if isinstance(row, Option):
        kind = _KINDS.get(row.metavar)
        what = _among(row.choices) if row.choices else f"what=({kind})" if kind else "return"
        yield f'        "{verb} --{row.name}") {what} ;;'


def _among(words: Sequence[str]) -> str:
    return f"what=(-W '{' '.join(words)}')"
