"""Makes the page of a unit, or the index of all: one HTML file with text in Spanish and English, tables and figures.

    python unit-page.py UNIT -o page.html --table table.tsv --figure a.svg --command "make -f ..."
    python unit-page.py --index -o index.html UNIT=page.html ...

Texts are texts/UNIT.es.md and texts/UNIT.en.md beside this file, with headings, paragraphs, lists (`- `), code (four
spaces) and `code` in lines; no other markup is known, and all of it is escaped. Needs Python alone.
"""

import argparse
import re
from html import escape
from pathlib import Path

TEXTS = Path(__file__).with_name("texts")
LANGUAGES = {"es": "Español", "en": "English"}
LIGHT = {
    "paper": "#ffffff", "ink": "#111827", "aside": "#4b5563", "grid": "#e5e7eb",
    "c0": "#0072b2", "c1": "#d55e00", "c2": "#009e73", "c3": "#aa4499", "c4": "#b8860b", "c5": "#56b4e9",
    "c6": "#6b7280",
}  # fmt: skip
"""Colours of the figures that `lmkit --plot` draws, by their roles."""
DARK = {
    "paper": "#111827", "ink": "#f3f4f6", "aside": "#b6bcc8", "grid": "#374151",
    "c0": "#56b4e9", "c1": "#ff8f45", "c2": "#2fd0a0", "c3": "#e29bd0", "c4": "#f0c94d", "c5": "#a9d8f5",
    "c6": "#b6bcc8",
}  # fmt: skip
STYLE = """
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1.5rem 4rem; color: var(--ink); background: var(--paper);
  font: 1.15rem/1.55 system-ui, "DejaVu Sans", sans-serif; }
p, ul, pre { max-width: 58rem; } h1 { font-size: 2rem; line-height: 1.2; } h2 { font-size: 1.4rem; margin-top: 2rem; }
pre { overflow-x: auto; padding: .8rem; border-radius: .4rem; } pre, code { background: var(--grid); font-size: .95em; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--grid);
  text-align: left; vertical-align: top; } th { vertical-align: bottom; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0; cursor: pointer;
  text-align: inherit; }
th button::after { content: "\\00a0↕"; color: var(--aside); font-weight: 400; }
th[aria-sort=ascending] button::after { content: "\\00a0▲"; } th[aria-sort=descending] button::after { content: "\\00a0▼"; }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { max-width: 100%; height: auto; }
nav { display: flex; align-items: center; }
nav label { margin-right: 1rem; padding: .3rem .6rem; cursor: pointer; border-bottom: 3px solid transparent; }
#theme { margin-left: auto; font: inherit; font-size: 1.3rem; line-height: 1; padding: .3rem .6rem; color: var(--ink);
  background: none; border: 1px solid var(--aside); border-radius: .4rem; cursor: pointer; }
input.language { position: absolute; opacity: 0; }
input.language:focus-visible + label, :focus-visible { outline: 3px solid var(--c0); outline-offset: 2px; }
body:has(#language-es:checked) [for=language-es], body:has(#language-en:checked) [for=language-en] {
  border-color: var(--c0); font-weight: 600; }
body:has(#language-es:checked) article[lang=en], body:has(#language-en:checked) article[lang=es] { display: none; }
.wide { overflow-x: auto; }
a { color: var(--c0); } li { margin: .3rem 0; }
@media print { #theme { display: none; } }
"""
SCRIPT = """
"use strict";
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column] ? row.cells[column].textContent : "";
    const number = text => text.trim() === "" ? NaN : Number(text.replaceAll(",", "").replace("%", ""));
    body.append(...[...body.rows].sort((a, b) => {
      const [m, n] = [number(key(a)), number(key(b))];
      if (Number.isNaN(m) !== Number.isNaN(n)) return Number.isNaN(m) ? 1 : -1;
      return (down ? -1 : 1) * (Number.isNaN(m) ? key(a).localeCompare(key(b)) : m - n);
    }));
  }));
}
"""


def line(text):
    """Escape a line and mark its `code`."""
    return re.sub(r"`([^`]+)`", lambda found: f"<code>{found[1]}</code>", escape(text, quote=False))


def blocks(text):
    """Yield the HTML of a text's blocks."""
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.startswith("    "):
            inside = "\n".join(row.removeprefix("    ") for row in block.split("\n"))
            yield f"<pre><code>{escape(inside, quote=False)}</code></pre>"
        elif block.startswith("#"):
            marks, _, title = block.partition(" ")
            yield f"<h{len(marks)}>{line(title)}</h{len(marks)}>"
        elif block.startswith("- "):
            items = re.split(r"\n- ", block[2:])
            yield f"<ul>{''.join(f'<li>{line(item)}</li>' for item in items)}</ul>"
        else:
            yield f"<p>{line(block)}</p>"


def is_number(text):
    return re.fullmatch(r"[-+]?[\d.,]+(e[-+]?\d+)?%?", text) is not None


def shown(cell):
    """A cell; of a number with more, four digits."""
    if re.fullmatch(r"-?\d*\.\d{4,}(e[-+]?\d+)?", cell):
        cell = f"{float(cell):.4g}"
    return escape(cell)


def tables(name):
    """The tables of a TSV file, which empty lines part, numbers at the right."""
    parts = re.split(r"\n{2,}", Path(name).read_text(encoding="utf-8").strip("\n"))
    return "".join(table([row.split("\t") for row in part.split("\n")]) for part in parts)


def table(lines):
    """A header and rows as a table."""
    header, *rows = lines
    numeric = [
        any(len(row) > at and row[at] for row in rows)
        and all(is_number(row[at]) for row in rows if len(row) > at and row[at])
        for at in range(len(header))
    ]

    def cells(row, tag):
        row = list(row)
        kinds = [' class="n"' if at < len(numeric) and numeric[at] else "" for at in range(len(row))]
        return "".join(f"<{tag}{kind}>{cell}</{tag.split()[0]}>" for cell, kind in zip(row, kinds, strict=True))

    body = "".join(f"<tr>{cells(map(shown, row), 'td')}</tr>" for row in rows)
    head = cells([f'<button type="button">{escape(name).replace("_", "_<wbr>")}</button>' for name in header], 'th scope="col"')
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(name, number):
    """An SVG file in place; its ids get a prefix of their own, so that figures do not share any, and
    the page has the colours."""
    text = Path(name).read_text(encoding="utf-8")
    text = re.sub(r"<style>.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for own in set(re.findall(r'\bid="([^"]+)"', text)):
        text = re.sub(rf'(\bid="|href="#|url\(#|labelledby="){re.escape(own)}(?=["\)])', rf"\g<1>f{number}-{own}", text)
    return f"<figure>{text}</figure>"


def title_of(unit, language):
    first = (TEXTS / f"{unit}.{language}.md").read_text(encoding="utf-8").split("\n")[0]
    return first.removeprefix("# ")


def colors():
    """The roles of colours, as the reader or the button of the page prefers."""
    light, dark = ("".join(f"--{role}:{color};" for role, color in roles.items()) for roles in (LIGHT, DARK))
    rules = "".join(f".f-{role}{{fill:var(--{role})}}.s-{role}{{stroke:var(--{role})}}" for role in LIGHT)
    return (
        f"\n:root{{color-scheme:light;{light}}}\n"
        f"@media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n{rules}"
    )


def page(title, body, switch):
    return (
        f'<!DOCTYPE html>\n<html lang="es">\n<head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{colors()}{STYLE}</style></head>\n<body>\n{switch}\n<main>{body}</main>\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def switch():
    made = ""
    for language, name in LANGUAGES.items():
        chosen = " checked" if language == "es" else ""
        made += f'<input class="language" type="radio" name="language" id="language-{language}"{chosen}>'
        made += f'<label for="language-{language}" lang="{language}">{name}</label>'
    theme = '<button id="theme" type="button" aria-label="claro u oscuro, light or dark">◐</button>'
    return f'<nav aria-label="idioma, language">{made}{theme}</nav>'


def unit_page(unit, names, figures, command):
    articles = ""
    for language in LANGUAGES:
        text = (TEXTS / f"{unit}.{language}.md").read_text(encoding="utf-8")
        parts = "\n".join(blocks(text)).split("<p>@RESULTS@</p>")
        articles += f'<article lang="{language}">{parts[0]}</article>'
        if language == "es":
            rest = {}
        rest[language] = "".join(parts[1:])
    results = f"<pre><code>{escape(command)}</code></pre>" if command else ""
    results += "".join(map(tables, names)) + "".join(figure(name, number) for number, name in enumerate(figures))
    after = "".join(f'<article lang="{language}">{text}</article>' for language, text in rest.items())
    return page(title_of(unit, "es"), f"{articles}{results}{after}", switch())


def index(pages):
    entries = {language: "" for language in LANGUAGES}
    for entry in pages:
        unit, _, target = entry.partition("=")
        for language in LANGUAGES:
            entries[language] += f'<li><a href="{escape(target)}">{line(title_of(unit, language))}</a></li>'
    heads = {"es": "Experimentos de un curso de modelos de lenguaje", "en": "Experiments of a course on language models"}
    body = "".join(
        f'<article lang="{language}"><h1>{heads[language]}</h1><ul>{entries[language]}</ul></article>'
        for language in LANGUAGES
    )
    return page(heads["es"], body, switch())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", help="the unit, or with --index UNIT=PAGE of each")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--table", action="append", default=[])
    parser.add_argument("--figure", action="append", default=[])
    parser.add_argument("--command", default="")
    parser.add_argument("--index", action="store_true")
    asked = parser.parse_args()
    made = index(asked.names) if asked.index else unit_page(asked.names[0], asked.table, asked.figure, asked.command)
    Path(asked.output).write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
