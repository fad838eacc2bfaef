"""Texts of the report in both languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATES = Path(__file__).parents[1] / "templates"
LANGUAGES = ("nl", "en")
MISSING = "\u2013"

Text = dict[str, str]


@cache
def page_texts() -> dict[str, Any]:
    """Read the texts of the page and the shared texts."""
    found: dict[str, Any] = yaml.safe_load((TEMPLATES / "texts.yml").read_text(encoding="utf-8"))
    return found


class Texts:
    """Texts of one part of the report.

    Parameters
    ----------
    **own : Text
        Texts by key, in every language.
    """

    def __init__(self, **own: Text) -> None:
        self.own = own

    def __call__(self, key: str, **values: Text | str) -> Text:
        """Return a text with its placeholders filled in; keys that the part lacks come from the shared texts.

        Raises
        ------
        KeyError
            If there is no such text, or a placeholder has no value.
        """
        template = self.own[key] if key in self.own else page_texts()["shared"][key]
        return per_language(
            lambda language: template[language].format_map(
                {name: value if isinstance(value, str) else value[language] for name, value in values.items()}
            )
        )


shared = Texts()


def per_language(write: Callable[[str], str]) -> Text:
    """Return a text from a function of the language."""
    return {language: write(language) for language in LANGUAGES}


def same(text: str) -> Text:
    """Return a text that is the same in every language."""
    return dict.fromkeys(LANGUAGES, text)


def localize(value: Any, language: str) -> Any:
    """Return a structure with each of its texts reduced to one language."""
    if isinstance(value, dict):
        if value.keys() == set(LANGUAGES):
            return value[language]
        return {key: localize(inner, language) for key, inner in value.items()}
    return [localize(inner, language) for inner in value] if isinstance(value, (list, tuple)) else value


def name_of(row: Mapping[str, Any], column: str) -> Text:
    """Return the name in a pair of columns, such as ``destination_name_nl`` and ``_en``."""
    return per_language(lambda language: row[f"{column}_{language}"])


def in_sentence(code: str, name: Text) -> Text:
    """Return a country's name with its article: the United States, Belgium."""
    article = page_texts()["articles"].get(code, same(""))
    return per_language(lambda language: f"{article[language]} {name[language]}".strip())


def lower_first(text: Text) -> Text:
    """Return a text with a lower-case first letter, for use inside a sentence."""
    return per_language(lambda language: text[language][:1].lower() + text[language][1:])


def join(texts: Iterable[Text], separator: str = ", ") -> Text:
    """Return texts joined by a separator; a dash if there are none."""
    listed = list(texts)
    return per_language(lambda language: separator.join(text[language] for text in listed) or MISSING)
