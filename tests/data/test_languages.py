"""Languages by function words."""

import pytest

from lmkit.data.languages import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [("El perro de mi vecina ladra toda la noche y no me deja dormir.", "es"),
     ("The dog of my neighbour barks all night and does not let me sleep.", "en"),
     ("O cão da minha vizinha ladra a noite toda e não me deixa dormir.", "other"),
     ("El gos de la meva veïna borda tota la nit i no em deixa dormir amb els altres.", "other"),
     ("Le chien de ma voisine aboie toute la nuit et ne me laisse pas dormir.", "other"),
     ("Der Hund meiner Nachbarin bellt die ganze Nacht und lässt mich nicht schlafen.", "other"),
     ("猫は一日中寝ている。", "other"), ("Madrid", "other"), ("", "other"), ("x = the(y)", "other")],
)  # fmt: skip
def test_languages(text, language):
    assert language_of(text) == language
