"""Completion for shells: commands, flags, and the names of containers.

Whoever makes a container chooses its name, and shells evaluate what they complete: only names of
plain characters are offered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.cli.flags import SHELLS, parsers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Snapshot

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")

_BASH = """\
# Completion of tallyman for bash.
_tallyman() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} words= word
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    words="{commands}"
  else
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    if [[ ${{COMP_WORDS[1]}} == explain && $cur != -* ]]; then
      words=$(tallyman names 2>/dev/null)
    fi
  fi
  while read -r word; do
    [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$word")
  done <<<"${{words// /$'\\n'}}"
}}
complete -F _tallyman tallyman"""

_ZSH = """\
#compdef tallyman
# Completion of tallyman for zsh.
_tallyman() {{
  local -a found
  if ((CURRENT == 2)); then
    found=({commands})
  else
    case $words[2] in
{cases}
    esac
    if [[ $words[2] == explain && $words[CURRENT] != -* ]]; then
      found=(${{(f)"$(tallyman names 2>/dev/null)"}})
    fi
  fi
  compadd -a found
}}
compdef _tallyman tallyman"""

_FISH = """\
# Completion of tallyman for fish.
complete -c tallyman -f
complete -c tallyman -n __fish_use_subcommand -a "{commands}"
{cases}
complete -c tallyman -n "__fish_seen_subcommand_from explain" -a "(tallyman names 2>/dev/null)\""""


def script(shell: str) -> str:
    """Return the completion for bash, zsh or fish."""
    _, commands = parsers()
    flags = {
        name: [flag for flag in parser.known_flags() if flag.startswith("--")]
        for name, parser in commands.items()
    } | {"completion": [*SHELLS]}
    listed = " ".join(commands)
    if shell == "fish":
        return _FISH.format(commands=listed, cases="\n".join(_fish(flags)))
    line = '      {}) words="{}" ;;' if shell == "bash" else "      {}) found=({}) ;;"
    cases = "\n".join(line.format(name, " ".join(each)) for name, each in flags.items())
    return (_BASH if shell == "bash" else _ZSH).format(commands=listed, cases=cases)


def _fish(flags: Mapping[str, list[str]]) -> list[str]:
    return [
        f'complete -c tallyman -n "__fish_seen_subcommand_from {name}" '
        + (f"-l {flag.removeprefix('--')}" if flag.startswith("--") else f"-a {flag}")
        for name, each in flags.items()
        for flag in each
    ]


def names(snapshot: Snapshot) -> list[str]:
    """Return the names of all containers that a shell can complete."""
    found = {container.name for container in snapshot.containers.values()}
    return sorted(name for name in found if _PLAIN.fullmatch(name))
