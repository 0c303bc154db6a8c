"""120 files of every format, each with a fact in a known place."""

from __future__ import annotations

from documents.known import mails, office, prints, tables, texts, web, word
from documents.known.recipe import KnownFile, Recipe, Subject

__all__ = ["KnownFile", "Recipe", "Subject", "known_files"]


def known_files() -> list[KnownFile]:
    """Make all files; each asks about a subject of its own."""
    recipes = [recipe for module in (texts, web, tables, word, office, prints, mails) for recipe in module.RECIPES]
    return [recipe.file(number) for number, recipe in enumerate(recipes)]
