from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.datasets.names import clean_file_name, clean_text, title_of

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=2_000)


@given(ANY_TEXT, st.integers(1, 300))
def test_cleaned_text_is_one_short_line_that_any_database_takes(text: str, longest: int) -> None:
    cleaned = clean_text(text, longest)
    assert len(cleaned) <= longest
    assert "\0" not in cleaned
    assert cleaned == " ".join(cleaned.split())
    cleaned.encode("utf-8")
    assert clean_text(cleaned, longest) == cleaned


@given(ANY_TEXT)
def test_file_names_keep_their_end(text: str) -> None:
    cleaned = clean_file_name(text + "the end.mid")
    assert cleaned.endswith("the end.mid")
    assert 1 <= len(cleaned) <= 300


def test_ordinary_names_stay_as_they_are() -> None:
    assert clean_file_name("Größe/音楽 - №5.mid") == "Größe/音楽 - №5.mid"
    assert clean_file_name("folder\\file.mid") == "folder/file.mid"
    assert clean_file_name("\0") == "unnamed"
    assert clean_file_name(" /a\0/ /b.mid") == "a/b.mid"
    assert clean_text("a\u202eb\ud800c\nd", 10) == "a b c d"


def test_titles_come_from_the_name() -> None:
    assert title_of("a/b/Moonlight_Sonata_1.mid") == "Moonlight Sonata 1"
    assert title_of("a.b.midi") == "a.b"
    assert title_of(".mid") == ".mid"
    assert title_of("") == "Untitled"
