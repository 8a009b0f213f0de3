"""Pages of the manual, printed."""

from importlib import metadata

from lmkit.io import installation


def test_pages_by_command_and_topic(lmkit):
    assert lmkit("man").lines[1].startswith("       lmkit - language modelling")
    for words in (["ngram", "fit"], ["ngram-fit"], ["lmkit-ngram-fit"], ["lmkit", "ngram", "fit"]):
        assert lmkit("man", *words).lines[:2] == [
            "NAME",
            "       lmkit-ngram-fit - fit a smoothed n-gram model to a text or to counts",
        ]
    assert "lmkit-sampling - " in lmkit("man", "sampling").text


def test_a_page_that_is_not_there(fails):
    for name in ("../ppl", "nix", "sampling.7"):
        assert "no manual page of" in fails(2, "man", name).stderr
    assert "topics: " in fails(2, "man", "nix").stderr


def test_pages_where_they_were_installed(lmkit, monkeypatch, tmp_path, fails):
    monkeypatch.setattr(installation.lmkit, "__file__", str(tmp_path / "lmkit" / "__init__.py"))
    monkeypatch.setattr(metadata, "files", lambda _name: [])
    assert "no manual pages are installed" in fails(69, "man").stderr
    installed = metadata.PackagePath("../share/man/man7/lmkit-x.7")
    installed.dist = metadata.PathDistribution(tmp_path / "lib" / "lmkit_cli.dist-info")
    (tmp_path / "share/man/man7").mkdir(parents=True)
    (tmp_path / "lib").mkdir()
    (tmp_path / "share/man/man7/lmkit-x.7").write_text(".SH NAME\nx\n")
    monkeypatch.setattr(metadata, "files", lambda _name: [installed])
    assert lmkit("man", "x").text == "NAME\n       x\n"
