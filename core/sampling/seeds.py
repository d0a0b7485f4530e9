"""Lists of seeds as people write them: `0-99`, `1,5,9`, `0-7,100`, `32 random`."""

from __future__ import annotations

import re
import secrets
from collections import Counter

LARGEST_SEED = 2**32 - 1
MOST_SEEDS = 100_000
# More random ones than this are one run of consecutive seeds from a random place, which needs no long list to be kept:
# every seed starts a random stream of its own, so neighbours are as different as any others.
_MOST_SCATTERED = 1_000

_ALLOWED = (
    f"allowed are seeds from 0 to {LARGEST_SEED} as '0-99', '1,5,9' or '32 random', at most {MOST_SEEDS:,} in all"
)


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds that `text` names, in its order. `N random` draws N different ones anew at each call.

    Up to 1,000 random ones are drawn one by one; more are consecutive, from a random first one.

    Raises:
        ValueError: empty, backwards (`9-1`), twice the same, out of range or too many; the message says which.
    """
    cleaned = text.strip().lower()
    if match := re.fullmatch(r"([0-9]+)\s+random(\s+ones?)?", cleaned):
        return _draw_seeds(match[1])
    seeds: list[int] = []
    for part in cleaned.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})\s*(?:-\s*([0-9]{1,10})\s*)?", part)
        if match is None:
            raise ValueError(f"seeds: {part.strip()[:40]!r} is not understood; {_ALLOWED}.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"seeds: '{part.strip()}' runs backwards; write '{last}-{first}'.")
        if last > LARGEST_SEED:
            raise ValueError(f"seeds: {last} is too large; {_ALLOWED}.")
        if len(seeds) + last - first + 1 > MOST_SEEDS:
            raise ValueError(f"seeds: '{text.strip()[:40]}' are too many; {_ALLOWED}.")
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) != len(seeds):
        twice = Counter(seeds).most_common(1)[0][0]
        raise ValueError(f"seeds: {twice} is named twice; name each seed once.")
    return tuple(seeds)


def _draw_seeds(digits: str) -> tuple[int, ...]:
    count = int(digits) if len(digits) < 12 else MOST_SEEDS + 1
    if not 1 <= count <= MOST_SEEDS:
        raise ValueError(f"seeds: {digits[:40]} random ones are refused; {_ALLOWED}.")
    if count > _MOST_SCATTERED:
        first = secrets.randbelow(LARGEST_SEED + 2 - count)
        return tuple(range(first, first + count))
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn.setdefault(secrets.randbelow(LARGEST_SEED + 1))
    return tuple(drawn)


def format_seeds(seeds: tuple[int, ...]) -> str:
    """The shortest text that `parse_seeds` reads back as `seeds`."""
    parts: list[str] = []
    start = 0
    for index in range(1, len(seeds) + 1):
        if index == len(seeds) or seeds[index] != seeds[index - 1] + 1:
            first, last = seeds[start], seeds[index - 1]
            parts.append(str(first) if first == last else f"{first}-{last}")
            start = index
    return ",".join(parts)
