"""The table of families."""

import pytest

from lmkit import registry
from lmkit.architectures.families import FAMILIES, imported


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_classes_of_a_family_are_of_its_kind(kind):
    family = FAMILIES[kind]
    config, model, network = map(imported, family)
    assert config.kind == kind
    assert registry.KINDS[kind] == family.model
    assert hasattr(model, "score_many")
    assert issubclass(network, imported("lmkit.nn.network:Network"))
