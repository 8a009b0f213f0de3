"""Options of sampling: they are those of the filters that there are."""

from lmkit.commands.options import generation, sampling
from lmkit.commands.options.sampling import FilterOptions, SamplingOptions
from lmkit.commands.prompt import tree
from lmkit.generation.filters import FILTERS


def test_every_filter_has_an_option_that_is_off():
    assert [name.replace("_", "-") for name in sampling.FILTERS] == list(FILTERS)
    assert {name: getattr(FilterOptions(), name.replace("-", "_")) for name in FILTERS} == {
        name: found.off for name, found in FILTERS.items()
    }
    assert FilterOptions().filtering.used == []


def test_filters_are_listed_in_the_help_of_commands_that_draw():
    for sections in (generation.SECTIONS, tree.SECTIONS):
        assert set(sampling.FILTERS) < set(sections["Sampling"])


def test_drawing_options_are_known_by_what_was_typed():
    assert not any(SamplingOptions().drawing().values())
    drawing = SamplingOptions(top_p=0.5, greedy=True).drawing()
    assert [name for name, typed in drawing.items() if typed] == ["--greedy", "--top-p"]
