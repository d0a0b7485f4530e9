"""Compose with each stored model of a folder, `FOLDER SEED...`, and print the digests of the takes' logits as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from core.loading import loading

with loading():
    from core.modeling.checkpoints import Checkpoint
    from core.music.notes import Notes
    from core.sampling.composer import Composer
    from core.sampling.settings import TakeSettings


def main(folder: Path, seeds: list[int]) -> None:
    """Print one JSON object: model name to digests in the order of the given seeds."""
    generator = np.random.default_rng(8)
    primer = Notes.of(
        np.cumsum(generator.choice([0.0, 0.25, 0.5], 30)),
        generator.choice([0.2, 0.6], 30),
        generator.permutation(np.arange(50, 80)),
        generator.choice([40, 90], 30),
    )
    result = {}
    for name in sorted(path.name for path in folder.iterdir()):
        digests: dict[int, str] = {}
        composer = Composer(Checkpoint.from_bytes((folder / name).read_bytes()))
        composer.compose(
            [(seed, 1.0) for seed in seeds],
            TakeSettings(length=12),
            primer,
            lambda *_: None,
            lambda: False,
            on_logits=lambda index, values, to=digests: to.update({index: _digest(values)}),
        )
        result[name] = [digests[index] for index in range(len(seeds))]
    print(json.dumps(result))


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]])
