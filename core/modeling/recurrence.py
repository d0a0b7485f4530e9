"""The LSTM's recurrence, with a gradient that gathers all weight gradients in one product after the loop."""

from __future__ import annotations

from keras import ops

from core.modeling.backend import Tensor, custom_gradient, scan
from core.modeling.layers import product


def lstm_cell(z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One LSTM step after its products.

    Args:
        z: `[batch, 4 * units]`, the four gates' inputs side by side: input, forget, candidate, output.
        c: `[batch, units]`, the cell's memory.

    Returns:
        New `(h, c)`, each `[batch, units]` (Hochreiter and Schmidhuber 1997, with Gers's forget gate).
    """
    i, f, g, o = ops.split(z, 4, axis=-1)
    c = quick_sigmoid(f) * c + quick_sigmoid(i) * ops.tanh(g)
    return quick_sigmoid(o) * ops.tanh(c), c


def quick_sigmoid(x: Tensor) -> Tensor:
    """The logistic function by way of tanh, which XLA computes without a division by an exponential.

    On two CPU cores that took up to a fifth off a step of the article's network, and in some runs nothing.
    """
    return 0.5 * ops.tanh(0.5 * x) + 0.5


@custom_gradient
def lstm_sequence(inputs: Tensor, h: Tensor, c: Tensor, recurrent: Tensor) -> Tensor:
    """All steps of one LSTM layer.

    Args:
        inputs: `[time, batch, 4 * units]`, the inputs' products with the kernel, bias added.
        h: `[batch, units]` output before the first step.
        c: `[batch, units]` memory before the first step.
        recurrent: `[units, 4 * units]`; its number format is that of all products, everything else is float32.

    Returns:
        `(outputs [time, batch, units], h, c)` with `h` and `c` after the last step.
    """
    units = recurrent.shape[0]
    first = (h, c)

    def forward(carry: Tensor, z: Tensor) -> Tensor:
        h, c = carry
        i, f, g, o = ops.split(z + product(h, recurrent), 4, axis=-1)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        c = f * c + i * g
        h = o * ops.tanh(c)
        return (h, c), (h, c, ops.concatenate([i, f, g, o], axis=-1))

    last, (outputs, memories, gates) = scan(forward, first, inputs)

    def gradient(*upstream: Tensor) -> Tensor:
        d_outputs, d_h, d_c = upstream[0] if len(upstream) == 1 else upstream
        before_h = ops.concatenate([first[0][None], outputs[:-1]], axis=0)
        before_c = ops.concatenate([first[1][None], memories[:-1]], axis=0)
        transposed = ops.transpose(recurrent)

        def backward(carry: Tensor, step: Tensor) -> Tensor:
            d_h, d_c = carry
            d_output, memory, before, gate = step
            i, f, g, o = ops.split(gate, 4, axis=-1)
            squashed = ops.tanh(memory)
            d_h = d_h + d_output
            d_c = d_c + d_h * o * (1.0 - squashed * squashed)
            d_z = ops.concatenate(
                [
                    d_c * g * i * (1.0 - i),
                    d_c * before * f * (1.0 - f),
                    d_c * i * (1.0 - g * g),
                    d_h * squashed * o * (1.0 - o),
                ],
                axis=-1,
            )
            return (product(d_z, transposed), d_c * f), d_z

        (d_h, d_c), d_inputs = scan(backward, (d_h, d_c), (d_outputs, memories, before_c, gates), reverse=True)
        d_z = ops.cast(ops.reshape(d_inputs, (-1, 4 * units)), recurrent.dtype)
        d_recurrent = product(ops.transpose(ops.reshape(before_h, (-1, units))), d_z)
        return d_inputs, d_h, d_c, ops.cast(d_recurrent, recurrent.dtype)

    return (outputs, *last), gradient
