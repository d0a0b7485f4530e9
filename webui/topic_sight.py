"""Which topics of the live feed one may hear: others' work must not be told of where it is not shown."""

from __future__ import annotations

from core.people.rights import Actor, Right
from core.records.database import Database
from webui.access import KINDS

_MOST_REMEMBERED = 10_000


class TopicSight:
    """Decides about topics such as "generation:5" for one listener, and remembers whose things are whose."""

    def __init__(self, database: Database, actor: Actor) -> None:
        self._database = database
        self._actor = actor
        self._owners: dict[str, str | None] = {}

    def shows(self, topic: str) -> bool:
        """Whether the listener may hear of `topic`. Lists' names and kinds that are everybody's always."""
        noun, _, number = topic.partition(":")
        kind = KINDS.get(f"{noun}_id")
        if kind is None or kind.shown or not number.isdigit() or self._actor.may(Right.CHANGE_OTHERS):
            return True
        if self._actor.sees_all and not kind.always_private:
            return True
        if topic not in self._owners:
            if len(self._owners) >= _MOST_REMEMBERED:
                self._owners.clear()
            with self._database.reading(all_rows=True) as session:
                self._owners[topic] = session.scalar(kind.owner(int(number)))
        return self._owners[topic] == self._actor.name
