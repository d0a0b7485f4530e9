"""What was measured or found of takes with a primer joined, or in pieces that no training read, counts no more.

Of all else the definitions of today say what those of before said, so it is called of today.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_RESULTS_BEFORE, _RESULTS, _PASSAGES_BEFORE, _PASSAGES = 3, 4, 2, 3

_model = sa.table("model", sa.column("id"), sa.column("dataset_id"), sa.column("settings", _JSON))
_generation = sa.table("generation", sa.column("id"), sa.column("model_id"), sa.column("settings", _JSON))
_take = sa.table("take", sa.column("id"), sa.column("generation_id"))
_evaluation = sa.table(
    "evaluation",
    sa.column("id"),
    sa.column("model_id"),
    sa.column("generation_id"),
    sa.column("version"),
    sa.column("results", _JSON),
)
_passage = sa.table("shared_passage", sa.column("take_id"), sa.column("dataset_id"), sa.column("version"))


def upgrade() -> None:
    """Forget such passages, and let all others, and all other evaluations, of the version before be of today's."""
    connection = op.get_bind()
    limited = {row.id: row.dataset_id for row in connection.execute(sa.select(_model)) if _is_limited(row.settings)}
    primed = set()
    for row in connection.execute(sa.select(_generation)).all():
        old = sa.and_(
            _passage.c.version < _PASSAGES,
            _passage.c.take_id.in_(sa.select(_take.c.id).where(_take.c.generation_id == row.id)),
        )
        if _is_primed(row.settings):
            primed.add(row.id)
            connection.execute(sa.delete(_passage).where(old))
        elif limited.get(row.model_id) is not None:
            connection.execute(sa.delete(_passage).where(old, _passage.c.dataset_id == limited[row.model_id]))
    standing = sa.update(_passage).where(_passage.c.version == _PASSAGES_BEFORE).values(version=_PASSAGES)
    connection.execute(standing)
    before = sa.select(_evaluation).where(_evaluation.c.version == _RESULTS_BEFORE)
    for row in connection.execute(before).all():
        # Of takes that were deleted since nobody knows with what they began.
        of_primed = "music" in row.results and (row.generation_id is None or row.generation_id in primed)
        if not of_primed and not ("originality" in row.results and row.model_id in limited):
            today = sa.update(_evaluation).where(_evaluation.c.id == row.id).values(version=_RESULTS)
            connection.execute(today)


def downgrade() -> None:
    """Let all be of the version before again."""
    for table, today, before in ((_evaluation, _RESULTS, _RESULTS_BEFORE), (_passage, _PASSAGES, _PASSAGES_BEFORE)):
        op.get_bind().execute(sa.update(table).where(table.c.version == today).values(version=before))


def _is_primed(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("join_primer")) and settings.get("primer") is not None


def _is_limited(settings: Mapping[str, Any]) -> bool:
    """Whether its training may have read a part of the training pieces only."""
    return bool(settings.get("files"))
