"""Every word people read, one file per language. A new language is a new file and a line here."""

from bot.languages.catalogue import Catalogue
from bot.languages.english import ENGLISH
from bot.languages.german import GERMAN

__all__ = ["CATALOGUES", "ENGLISH", "GERMAN", "Catalogue", "catalogue"]

CATALOGUES = {words.language: words for words in (ENGLISH, GERMAN)}


def catalogue(locale: str = "") -> Catalogue:
    """Return the words for a Slack locale as ``de-DE``; English where there is no better."""
    return CATALOGUES.get(locale.partition("-")[0].lower(), ENGLISH)
