"""Completions for bash, zsh and fish: a script finds the node that the typed words lead to, and offers what it has."""

import re
from collections.abc import Iterable

from lmkit import command_table
from lmkit.manual import MARK
from lmkit.manual.command_tree import Node, Parameter

BASH = r"""# {MARK}
_lmkit() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command= options= operand= value= word
    COMPREPLY=()
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    ((COMP_CWORD > 1)) && command=${COMP_WORDS[1]}
    case $command in
        {GROUPS}) ((COMP_CWORD > 2)) && command+=" ${COMP_WORDS[2]}" ;;
    esac
    case $command in
{NODES}
    esac
    if [[ " ${COMP_WORDS[*]:1:COMP_CWORD-1} " == *' -- '* ]]; then
        value=$operand
    elif [[ -z $value && $current == -* ]]; then
        value=$options
    fi
    [[ ${value:=$operand} == FILES ]] && return # without replies, file names are offered
    compopt +o default +o bashdefault 2> /dev/null
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen -W "$value" -- "$current")
}
complete -o bashdefault -o default -F _lmkit lmkit
"""
ZSH = r"""#compdef lmkit
# {MARK}
_lmkit() {
    local command=
    local -i typed=0
    local -a verbs offered
    ((CURRENT > 2)) && command=$words[2] typed=1
    case $command in
        ({GROUPS}) ((CURRENT > 3)) && command+=" $words[3]" typed=2 ;;
    esac
    case $command in
{NODES}
    esac
    shift $typed words
    ((CURRENT -= typed))
    (($#offered)) && _arguments -s -S $offered
}
_lmkit "$@"
"""
FISH = r"""# {MARK}
function __lmkit_at --description 'Whether the words so far are just these'
    set -l words (commandline -opc)[2..]
    test "$words" = "$argv"
end
function __lmkit_in --description 'Whether the words so far begin with these'
    set -l words (commandline -opc)[2..]
    set -l count (count $argv)
    test (count $words) -ge $count -a "$words[1..$count]" = "$argv"
end
{NODES}
"""


def scripts(nodes: Iterable[Node]) -> dict[str, str]:
    """The script of each shell, by the name of its file."""
    tree = list(nodes)
    return {
        "lmkit.bash": _script(BASH, map(_bash, tree)),
        "_lmkit": _script(ZSH, map(_zsh, tree)),
        "lmkit.fish": _script(FISH, map(_fish, tree)),
    }


def _script(template: str, nodes: Iterable[str]) -> str:
    filled = template.replace("{MARK}", MARK).replace("{GROUPS}", " | ".join(command_table.GROUPS))
    return filled.replace("{NODES}", "\n".join(nodes))


def _quoted(text: str, quote: str = r"'\''") -> str:
    return "'" + text.replace("'", quote) + "'"


def _gist(text: str) -> str:
    """The first sentence of a help text."""
    return text.replace("`", "").split(". ")[0].rstrip(".")


def _operand(node: Node) -> str:
    return " ".join(node.verbs) or (node.arguments[0].offer if node.arguments else "")


def _bash(node: Node) -> str:
    spellings = " ".join(spelling for option in node.options for spelling in option.spellings)
    lines = [f"{_quoted(node.name)})", f"    options={_quoted(spellings)}", f"    operand={_quoted(_operand(node))}"]
    taking = [option for option in node.options if option.metavar]
    cases = [f"        {' | '.join(option.spellings)}) value={_quoted(option.offer or ' ')} ;;" for option in taking]
    lines += ["    case $previous in", *cases, "    esac"] if cases else []
    return "\n".join(f"        {line}" for line in [*lines, "    ;;"])


def _zsh(node: Node) -> str:
    def action(parameter: Parameter) -> str:
        words = "_files" if parameter.offer == "FILES" else f"({parameter.offer})" if parameter.offer else " "
        return f":{parameter.metavar.strip('[].')}:{words}"

    def gist(text: str) -> str:
        return re.sub(r"[\\:\[\]]", r"\\\g<0>", _gist(text))

    offered = []
    for option in node.options:
        once = "*" if option.repeats else f"({' '.join(option.spellings)})"
        for spelling in option.spellings:
            sign = ("=" if spelling.startswith("--") else "+") if option.metavar else ""
            offered.append(f"{once}{spelling}{sign}[{gist(option.help)}]{action(option) if sign else ''}")
    offered += [f"{'*' if argument.repeats else ''}{action(argument)}" for argument in node.arguments]
    offered += ["1:command:{_describe command verbs}"] if node.verbs else []
    lines = [f"({_quoted(node.name)})"]
    for name, words in (("verbs", [f"{verb}:{gist(text)}" for verb, text in node.verbs.items()]), ("offered", offered)):
        lines += [f"    {name}=(", *(f"        {_quoted(word)}" for word in words), "    )"] if words else []
    return "\n".join(f"        {line}" for line in [*lines, "    ;;"])


def _fish(node: Node) -> str:
    def quoted(text: str) -> str:
        return _quoted(text.replace("\\", "\\\\"), r"\'")

    where = "at" if node.verbs else "in"
    start = f"complete -c lmkit -n {quoted(f'__lmkit_{where} {node.name}'.rstrip())}"
    lines = [f"{start} -a {verb} -d {quoted(_gist(text))}" for verb, text in node.verbs.items()]
    operand = "" if node.verbs else _operand(node)
    if operand != "FILES":
        lines.insert(0, f"{start} -f" + (f" -a {quoted(operand)}" if operand else ""))
    for option in node.options:
        names = " ".join(f"-l {s[2:]}" if s.startswith("--") else f"-s {s[1:]}" for s in option.spellings)
        value = " -r -F" if option.offer == "FILES" else f" -x -a {quoted(option.offer)}" if option.offer else " -x"
        lines.append(f"{start} {names}{value if option.metavar else ''} -d {quoted(_gist(option.help))}")
    return "\n".join(lines)
