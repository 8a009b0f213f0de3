"""Write the manual pages and completions into the repository."""

import sys
from pathlib import Path

from lmkit.manual import MARK
from lmkit.manual.command_pages import page, page_name
from lmkit.manual.command_tree import nodes
from lmkit.manual.completions import scripts
from lmkit.manual.topic_pages import topic_page


def generate(root: Path) -> dict[str, str]:
    """Return every generated file of a checkout: its path, relative to `root`, and its text."""
    tree = nodes()
    topics = sorted(root.glob("docs/lmkit-*.md"))
    names = [topic.stem for topic in topics]
    return {
        **{f"man/man1/{page_name(node.name)}.1": page(node, names) for node in tree},
        **{f"man/man7/{topic.stem}.7": topic_page(topic.stem, topic.read_text("utf-8"), names) for topic in topics},
        **{f"completions/{name}": text for name, text in scripts(tree).items()},
    }


def main() -> None:
    """Write the generated files; remove pages whose command or topic is gone."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        sys.exit(f"lmkit.manual: {root} has no pyproject.toml: not a checkout of lmkit, so nothing is written")
    files = generate(root)
    for path in root.glob("man/man?/*"):
        if str(path.relative_to(root)) not in files and MARK in path.read_text(encoding="utf-8"):
            path.unlink()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
