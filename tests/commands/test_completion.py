"""The completion script of a shell, printed."""

from importlib import metadata
from pathlib import Path

import pytest

from lmkit.commands import completion
from lmkit.io import installation

ROOT = Path(__file__).resolve().parents[2]
PLACES = {
    "bash": "bash-completion/completions/lmkit",
    "zsh": "zsh/site-functions/_lmkit",
    "fish": "fish/vendor_completions.d/lmkit.fish",
}


@pytest.mark.parametrize(("shell", "name"), completion.FILES.items())
def test_the_packaged_script_is_printed(shell, name, lmkit):
    assert lmkit("completion", shell).stdout == (ROOT / "completions" / name).read_bytes()


@pytest.mark.parametrize("shell", completion.FILES)
def test_an_installed_script_is_found_without_a_checkout(shell, lmkit, monkeypatch, tmp_path, fails):
    monkeypatch.setattr(installation.lmkit, "__file__", str(tmp_path / "lmkit" / "__init__.py"))
    monkeypatch.setattr(metadata, "files", lambda _name: [])
    assert "is not installed" in fails(69, "completion", shell).stderr
    installed = metadata.PackagePath(f"../share/{PLACES[shell]}")
    installed.dist = metadata.PathDistribution(tmp_path / "lib" / "lmkit_cli.dist-info")
    (tmp_path / "share" / PLACES[shell]).parent.mkdir(parents=True)
    (tmp_path / "share" / PLACES[shell]).write_text("script\n")
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(metadata, "files", lambda _name: [installed])
    assert lmkit("completion", shell).text == "script\n"


def test_other_shells_are_refused(fails):
    assert "'ksh' is not one of bash, zsh, fish" in fails(2, "completion", "ksh").stderr
