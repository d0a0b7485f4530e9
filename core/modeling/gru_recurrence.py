"""The GRU's recurrence, with a gradient that gathers all weight gradients in one product after the loop."""

from __future__ import annotations

from keras import ops

from core.modeling.backend import Tensor, custom_gradient, scan
from core.modeling.layers import product


def gru_cell(inputs: Tensor, recurrent: Tensor, h: Tensor) -> Tensor:
    """One GRU step after its products (Cho et al. 2014; the reset gate after the product, as in cuDNN and Keras).

    Args:
        inputs: `[batch, 3 * units]`, the input's product: update, reset, candidate; bias added.
        recurrent: `[batch, 3 * units]`, the product of `h`, recurrent bias added.
        h: `[batch, units]`.

    Returns:
        New `h`.
    """
    input_z, input_r, input_g = ops.split(inputs, 3, axis=-1)
    own_z, own_r, own_g = ops.split(recurrent, 3, axis=-1)
    z = ops.sigmoid(input_z + own_z)
    g = ops.tanh(input_g + ops.sigmoid(input_r + own_r) * own_g)
    return z * h + (1.0 - z) * g


@custom_gradient
def gru_sequence(inputs: Tensor, h: Tensor, recurrent: Tensor, recurrent_bias: Tensor) -> Tensor:
    """All steps of one GRU layer.

    Args:
        inputs: `[time, batch, 3 * units]`, the inputs' products with the kernel, bias added.
        h: `[batch, units]` before the first step.
        recurrent: `[units, 3 * units]`; its number format is that of all products. recurrent_bias: `[3 * units]`.

    Returns:
        `(outputs [time, batch, units], h)` with `h` after the last step.
    """
    units = recurrent.shape[0]
    first = h

    def forward(h: Tensor, x: Tensor) -> Tensor:
        own = product(h, recurrent) + recurrent_bias
        input_z, input_r, input_g = ops.split(x, 3, axis=-1)
        own_z, own_r, own_g = ops.split(own, 3, axis=-1)
        z, r = ops.sigmoid(input_z + own_z), ops.sigmoid(input_r + own_r)
        g = ops.tanh(input_g + r * own_g)
        h = z * h + (1.0 - z) * g
        return h, (h, ops.concatenate([z, r, g, own_g], axis=-1))

    last, (outputs, gates) = scan(forward, first, inputs)

    def gradient(*upstream: Tensor) -> Tensor:
        d_outputs, d_h = upstream[0] if len(upstream) == 1 else upstream
        before = ops.concatenate([first[None], outputs[:-1]], axis=0)
        transposed = ops.transpose(recurrent)

        def backward(d_h: Tensor, step: Tensor) -> Tensor:
            d_output, h, gate = step
            z, r, g, own_g = ops.split(gate, 4, axis=-1)
            d_h = d_h + d_output
            d_g = d_h * (1.0 - z) * (1.0 - g * g)
            d_z = d_h * (h - g) * z * (1.0 - z)
            d_r = d_g * own_g * r * (1.0 - r)
            d_own = ops.concatenate([d_z, d_r, d_g * r], axis=-1)
            return d_h * z + product(d_own, transposed), (ops.concatenate([d_z, d_r, d_g], axis=-1), d_own)

        d_h, (d_inputs, d_own) = scan(backward, d_h, (d_outputs, before, gates), reverse=True)
        d_own = ops.reshape(d_own, (-1, 3 * units))
        d_recurrent = product(ops.transpose(ops.reshape(before, (-1, units))), ops.cast(d_own, recurrent.dtype))
        return d_inputs, d_h, ops.cast(d_recurrent, recurrent.dtype), ops.sum(d_own, axis=0)

    return (outputs, last), gradient
