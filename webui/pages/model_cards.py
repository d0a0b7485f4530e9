"""Model cards as parts of pages."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markupsafe import Markup

_SMALLEST_HEADING = 6


def card_as_html(card: str) -> Markup:
    """A card's Markdown as HTML, its headings one level lower, below those of the page; raw HTML in it stays text."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(card)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, _SMALLEST_HEADING)}"
    return Markup(reader.renderer.render(tokens, reader.options, {}))  # noqa: S704 - the reader escaped what it read
