"""Lists of takes by index alone, stars and remarks, tables, audio asked for twice."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from core.errors import InputError, NotFoundError
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobKind
from core.records.database import Database
from core.services.generations import delete_generation
from core.services.takes import (
    TAKE_ORDERS,
    TakeFilter,
    annotate_take,
    find_takes,
    get_take,
    neighbours,
    request_audio,
    star_take,
    take_file_name,
    takes_csv,
)
from tests.tools.web_content import WebContent


@pytest.fixture
def many(content: WebContent) -> int:
    """A generation of 300 takes whose figures are often equal, among others."""
    model = content.model()
    content.generation(model, seeds="0-3")
    number = content.generation(model, seeds="0-299", made=0)
    keys = ("seconds", "notes_per_second", "pitch_class_entropy", "polyphony")
    rows = [
        {
            "generation_id": number, "index": n, "seed": 7 * n % 300, "temperature": 1.0, "midi_key": f"k{n}",
            "midi_bytes": 1, "sha256": f"{n:064x}", "notes_count": n % 4, **dict.fromkeys(keys, n % 7 / 2),
            "measures": {}, "starred": n % 10 == 0, "defect": "stuck" if n % 50 == 1 else "",
        }
        for n in range(300)
    ]  # fmt: skip
    with content.database.transaction() as session:
        session.execute(insert(Take), rows)
        session.get_one(Generation, number).takes_done = 300
    return number


@pytest.mark.parametrize("descending", [False, True])
def test_every_order_is_complete_and_stable(content: WebContent, many: int, descending: bool) -> None:
    for sort, column in TAKE_ORDERS.items():
        with content.database.reading() as session:
            pages = [
                find_takes(session, many, sort=sort, descending=descending, page=page, per_page=48)
                for page in range(1, 9)
            ]
        keys = [(getattr(take, column.key), take.index) for page in pages for take in page.items]
        assert keys == sorted(keys, reverse=descending)
        assert len(keys) == len(set(keys)) == pages[0].total == 300
        assert len(pages[-1].items) == 0


def test_filters_count_what_they_show(content: WebContent, many: int) -> None:
    with content.database.reading() as session:
        for values, total in (
            ({"starred": True}, 30),
            ({"starred": False}, 270),
            ({"defect": True}, 6),
            ({"defect": False}, 294),
            ({"starred": True, "defect": True}, 0),
            ({"flagged": False, "starred": True}, 30),
            ({"flagged": True}, 0),
        ):
            page = find_takes(session, many, TakeFilter(**values), sort="notes", per_page=500)
            assert len(page.items) == page.total == total
        with pytest.raises(InputError, match="sort: 'id; DROP' is unknown; allowed are index, seed, notes"):
            find_takes(session, many, sort="id; DROP")


def test_no_order_scans_or_sorts_all_takes(sqlite_url: str, store: Any) -> None:
    database = Database(sqlite_url)
    content = WebContent(database, store)
    number = content.generation(content.model())
    asked: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: asked.append((args[2], args[3])))
    choices: list[dict[str, Any]] = [{"sort": sort, "descending": down} for sort in TAKE_ORDERS for down in (0, 1)]
    filters = [{"starred": True}, {"defect": True}, {"defect": False}, {"flagged": True}, {"flagged": False}]
    choices += [{"only": TakeFilter(**each)} for each in filters]
    with database.reading() as session:
        for choice in choices:
            find_takes(session, number, **choice)
        neighbours(session, get_take(session, content.take_ids(number)[3]))
    with database.engine.connect() as connection:
        for statement, values in asked.copy():
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            steps = [row[3] for row in plan]
            assert not any(step.startswith("SCAN") for step in steps), (statement, steps)
            unsorted = "starred" in statement.partition("WHERE")[2] or "defect !=" in statement
            assert unsorted or not any("TEMP B-TREE" in step for step in steps), (statement, steps)
    assert len(asked) > 2 * len(TAKE_ORDERS)


def test_a_page_costs_the_same_whatever_is_in_it(content: WebContent, many: int, statements: list[str]) -> None:
    counts = []
    for per_page in (1, 300):
        statements.clear()
        with content.database.reading() as session:
            page = find_takes(session, many, per_page=per_page)
            assert [take_file_name(take) for take in page.items]
        counts.append(len([statement for statement in statements if statement != "BEGIN"]))
    assert counts[0] == counts[1] <= 2


def test_stars_and_remarks(content: WebContent, at_once: Callable[..., list[Any]]) -> None:
    number = content.generation(content.model())
    take = content.take_ids(number)[0]
    with content.database.transaction() as session:
        assert star_take(session, take, True).starred
        assert annotate_take(session, take, "  a\0 b\ud800 é \n").note == "a b é"
        with pytest.raises(InputError, match="note: 2001 characters are refused; allowed is at most 2000"):
            annotate_take(session, take, "x" * 2001)

    def star() -> None:
        with content.database.transaction() as session:
            star_take(session, take, False)

    starred, deleted = at_once(star, lambda: delete_generation(content.database, content.store, number))
    assert deleted is None
    assert starred is None or isinstance(starred, NotFoundError)


def test_the_table_holds_no_formulas(content: WebContent) -> None:
    number = content.generation(content.model(name='=HYPERLINK("http://x")'), seeds="0-5")
    remarks = ["=1+1", " @SUM(A1)", "+1", "\uff1d1", 'plain, "quoted"\nlines; é', "-"]
    with content.database.transaction() as session:
        for take, remark in zip(content.take_ids(number), remarks, strict=True):
            annotate_take(session, take, remark)
        takes = session.scalars(select(Take).where(Take.generation_id == number).order_by(Take.index)).all()
        table = takes_csv(session.get_one(Generation, number), takes)
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["seed"] for row in rows] == list("012345")
    assert [row["file"] for row in rows] == [take_file_name(take) for take in takes]
    assert rows[4]["note"] == remarks[4]
    for row in rows:
        assert not any(value.lstrip(" ")[:1] in tuple("=+@\uff1d") for value in row.values() if value)
        assert float(row["polyphony"]) > 0
        assert (row["temperature"], row["length"], row["length_unit"]) == ("1.0", "60.0", "notes")


def test_audio_asked_for_at_once_is_one_job(content: WebContent, at_once: Callable[..., list[Any]]) -> None:
    take = content.take_ids(content.generation(content.model()))[0]

    def ask(extension: str) -> int:
        with content.database.transaction() as session:
            job = request_audio(session, content.store, take, extension)
            assert job is not None
            return job.id

    numbers = at_once(*[lambda: ask("mp3")] * 4, lambda: ask("wav"))
    assert len(set(numbers[:4])) == 1
    assert numbers[4] not in numbers[:4]
    content.finish_job(numbers[0])
    assert ask("mp3") not in numbers
    with content.database.reading() as session:
        assert len(session.scalars(select(Job.id).where(Job.kind == JobKind.AUDIO)).all()) == 3
        assert session.execute(text("SELECT count(*) FROM unit")).scalar_one() == 4
        with pytest.raises(InputError, match="format: 'exe' is unknown; allowed are wav, mp3"):
            request_audio(session, content.store, take, "exe")
