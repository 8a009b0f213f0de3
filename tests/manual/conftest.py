"""What the manual generates, once for all of its tests."""

from pathlib import Path

import pytest

from lmkit.manual.__main__ import generate
from lmkit.manual.command_tree import nodes as command_nodes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def generated():
    return generate(ROOT)


@pytest.fixture(scope="session")
def nodes():
    return {node.name: node for node in command_nodes()}


@pytest.fixture(scope="session")
def spellings():
    """All spellings of a node's options."""
    return lambda node: {spelling for option in node.options for spelling in option.spellings}
