"""Numbers of rows in addresses, the same for pages and API."""

from __future__ import annotations

from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter

LARGEST_NUMBER = 2**31 - 1


class NumberConverter(BaseConverter):
    """A row's number in a path, 1 to 2^31 - 1; anything else is no address (404), never an error of the database."""

    regex = r"[0-9]{1,10}"

    def to_python(self, value: str) -> int:
        """The number, if it is in the range that every database can store."""
        number = int(value)
        if not 1 <= number <= LARGEST_NUMBER:
            # Werkzeug would take its own ValidationError for "another method" where an address has several.
            raise NotFound(f"There is nothing of the number {value}; numbers go from 1 to {LARGEST_NUMBER}.")
        return number
