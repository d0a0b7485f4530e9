"""Whether accounts are on: as soon as there is a person, and from then on for good."""

from __future__ import annotations

import time

from core.people.accounts import accounts_are_on
from core.records.database import Database

_LOOK_EVERY_SECONDS = 2.0


class AccountsSwitch:
    """Remembers the answer: for good once accounts are on, for a moment while they are not."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._on = False
        self._looked = float("-inf")

    @property
    def on(self) -> bool:
        """Whether people have to sign in."""
        if not self._on and time.monotonic() - self._looked > _LOOK_EVERY_SECONDS:
            with self._database.reading() as session:
                self._on = accounts_are_on(session)
            self._looked = time.monotonic()
        return self._on

    def look_again(self) -> None:
        """Forget what was remembered: somebody was just added."""
        self._looked = float("-inf")
