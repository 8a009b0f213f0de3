"""Models of the hub's cache are where huggingface_hub finds them."""

from pathlib import Path

import pytest

from lmkit.io import hub_cache

huggingface_hub = pytest.importorskip("huggingface_hub")
OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with two revisions of a model, of which `main` is the newer, and a model without an organisation."""
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = Path.home() / ".cache" / "huggingface" / "hub"
    for model, commit in (("org--some.model", OLD), ("org--some.model", NEW), ("gpt2", OLD)):
        snapshot = folder / f"models--{model}" / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text("{}")
    for model, ref, commit in (("org--some.model", "main", NEW), ("org--some.model", "v1", OLD), ("gpt2", "main", OLD)):
        refs = folder / f"models--{model}" / "refs"
        refs.mkdir(exist_ok=True)
        (refs / ref).write_text(commit)
    return folder


@pytest.mark.parametrize(
    ("name", "commit"),
    [
        ("org/some.model", NEW), ("org/some.model@main", NEW), ("org/some.model@v1", OLD),
        (f"org/some.model@{OLD}", OLD), ("gpt2", OLD), ("org/absent", None),
        ("org/some.model@v2", None), ("a/b/c", None), ("", None), ("-", None),
        ("../org", None), ("org/some.model@..", None), ("org/some.model@", None),
    ],
)  # fmt: skip
def test_a_model_is_found_as_by_the_hubs_own_library(cache, name, commit):
    found = hub_cache.find(name)
    assert (found and found.revision) == commit
    if commit is not None:
        model, _, revision = name.partition("@")
        theirs = huggingface_hub.snapshot_download(
            model, revision=revision or None, cache_dir=hub_cache.cache_folder(), local_files_only=True
        )
        assert Path(theirs) == Path(found.folder)


def test_where_the_cache_is(monkeypatch):
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", "/home-of-models")
    assert hub_cache.cache_folder() == "/home-of-models/hub"
    monkeypatch.setenv("HF_HUB_CACHE", "~/models")
    assert hub_cache.cache_folder() == str(Path.home() / "models")


def test_a_damaged_reference_names_nothing(cache):
    for text in ("", "../../secrets", "..", "x" * 5000, "é"):
        (cache / "models--gpt2" / "refs" / "main").write_text(text)
        assert hub_cache.find("gpt2") is None
