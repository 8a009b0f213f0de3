"""The command that adds a package where lmkit was installed."""

import importlib.metadata
import shutil
import sys

import pytest

from lmkit.io import installation


@pytest.fixture(autouse=True)
def installed(monkeypatch, tmp_path):
    """An environment of its own, whose metadata has two requirements."""
    listed = [
        "torch>=2.6; extra == 'torch'",
        "torch==2.13.0; extra == 'test'",
        "backports-zstd>=1; python_version < '3'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: listed)
    folder = tmp_path / "lmkit-cli"
    folder.mkdir()
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))
    return folder


def test_requirements(monkeypatch):
    assert installation.requirement("torch") == "torch>=2.6"
    assert installation.requirement("backports.zstd") == "backports.zstd>=1"
    assert installation.requirement("distributed") == "distributed"

    def missing(name):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert installation.requirement("torch") == "torch"


def test_pipx(installed):
    (installed / "pipx_metadata.json").write_text("{}")
    assert installation.adding("torch") == "pipx inject lmkit-cli 'torch>=2.6'"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('directory = "/src"', "/src"), ('path = "/a b.whl"', "'/a b.whl'"), ('editable = "/src"', "--editable /src"),
        ('git = "https://host/x?rev=v1"', "git+https://host/x@v1"), ('url = "https://host/x.whl"', "https://host/x.whl"),
    ],
)  # fmt: skip
def test_tools_of_uv_keep_what_is_beside_them(source, words, installed):
    receipt = f'[tool]\nrequirements = [{{ name = "lmkit-cli", {source} }}, {{ name = "jinja2", specifier = ">=3" }}]\n'
    (installed / "uv-receipt.toml").write_text(receipt)
    assert installation.adding("torch") == f"uv tool install {words} --with 'jinja2>=3' --with 'torch>=2.6'"


@pytest.mark.parametrize(
    "receipt", [None, "[", "[tool]\nrequirements = []", '[tool]\nrequirements = [{name = "lmkit-cli"}]']
)
@pytest.mark.parametrize(
    ("programs", "has_pip", "command"),
    [
        ({"pip": "/usr/bin/pip"}, True, "{python} -m pip install 'torch>=2.6'"),
        ({"pip": "{bin}/pip"}, True, "pip install 'torch>=2.6'"),
        ({"uv": "/usr/bin/uv"}, False, "uv pip install --python {python} 'torch>=2.6'"),
        ({"pip": "/usr/bin/pip"}, False, "pip --python {python} install 'torch>=2.6'"),
    ],
)
def test_environments(receipt, programs, has_pip, command, installed, monkeypatch):
    if receipt is not None:
        (installed / "uv-receipt.toml").write_text(receipt)
    found = {name: place.format(bin=installed / "bin") for name, place in programs.items()}
    monkeypatch.setattr(shutil, "which", found.get)
    monkeypatch.setattr(installation, "find_spec", lambda name: True if has_pip else None)
    assert installation.adding("torch") == command.format(python=sys.executable)
