"""Fresh weights, drawn by numpy so that every backend starts from the same bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.encoding.performance import SIZE
from core.modeling.likeness import alike_where_events_are
from core.modeling.shapes import weight_shapes
from core.training.settings import FamilySettings


def initial_weights(settings: FamilySettings) -> dict[str, NDArray[np.float32]]:
    """Fresh weights of a family's network, decided by `settings.seed`.

    The kinds are Keras's own defaults: kernels Glorot uniform, recurrent kernels orthogonal, biases 0 with an LSTM's
    forget gate's at 1, norms' scales 1. Embeddings are wider than Keras's (the events differ from the start), and both
    they and what gives the events' logits are alike for events that are, with the variances of what is uniform within
    1 and of Glorot's kernels. What a residual layer adds begins smaller, by the square root of the number of such
    additions (Radford et al. 2019). What a network reads beside the events begins at 0, and so does what blends a value
    with its own past: first it learns as if these were not there.
    """
    generator = np.random.default_rng([settings.seed, 0])
    shapes = weight_shapes(settings)
    additions = sum(name.endswith(".merge") for name in shapes)
    weights: dict[str, NDArray[np.float32]] = {}
    for name, shape in shapes.items():
        kind = name.rpartition(".")[2]
        if kind in {"bias", "recurrent_bias"}:
            array = np.zeros(shape)
            if name.startswith("lstm"):
                array[shape[0] // 4 : shape[0] // 2] = 1.0
        elif name == "beside.kernel" or kind == "blend":
            array = np.zeros(shape)
        elif kind == "scale":
            array = np.ones(shape)
        elif kind == "embedding":
            array = alike_where_events_are(generator, shape[1])
        elif kind == "recurrent":
            q, r = np.linalg.qr(generator.normal(size=(shape[1], shape[0])))
            array = (q * np.sign(np.diagonal(r))).T
        else:
            taps = shape[0] if len(shape) == 3 else 1
            limit = np.sqrt(6.0 / (taps * (shape[-2] + shape[-1])))
            if kind == "merge":
                limit /= np.sqrt(additions)
            array = generator.uniform(-limit, limit, shape)
            if name == "output.kernel":
                array[:, :SIZE] = limit * alike_where_events_are(generator, shape[0]).T
        weights[name] = array.astype(np.float32)
    return weights
