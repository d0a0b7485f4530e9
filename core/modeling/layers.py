"""Small pieces that several families are made of."""

from __future__ import annotations

from collections.abc import Mapping

from keras import ops

from core.modeling.backend import Tensor, Tree, custom_gradient, random_uniform

_EPSILON = 1e-6


def cast_weights(weights: Tree, dtype: str) -> dict[str, Tensor]:
    """The weights in the number format of the products; norms, what blends events, embedding and output keep theirs."""
    kept = ("embedding", "output.kernel", "output.bias")
    return {
        name: weight if name in kept or name.endswith((".scale", ".blend")) else ops.cast(weight, dtype)
        for name, weight in weights.items()
    }


def embed(weights: Mapping[str, Tensor], events: Tensor, dtype: str = "float32") -> Tensor:
    """Each event's vector, `[..., units]`.

    The gradient is a product with the events as ones and zeros: adding up rows one by one would either take its time or
    differ from run to run on a GPU.
    """

    @custom_gradient
    def look_up(table: Tensor) -> Tensor:
        def gradient(*upstream: Tensor) -> Tensor:
            flat = ops.reshape(ops.cast(upstream[0], dtype), (-1, table.shape[1]))
            chosen = ops.one_hot(ops.reshape(events, (-1,)), table.shape[0], dtype=dtype)
            return ops.cast(ops.matmul(ops.transpose(chosen), flat), "float32")

        return ops.take(table, events, axis=0), gradient

    return ops.cast(look_up(weights["embedding"]), dtype)


def read_beside(flow: Tensor, beside: Tensor | None) -> Tensor:
    """What stands for each event, `[..., width]`, with what is read beside it where there is something."""
    return flow if beside is None else flow + ops.cast(beside, flow.dtype)


def rms_norm(flow: Tensor, scale: Tensor) -> Tensor:
    """Divide each vector by its root mean square (Zhang and Sennrich 2019), computed in float32; keeps the format."""
    wide = ops.cast(flow, "float32")
    mean_square = ops.mean(ops.square(wide), axis=-1, keepdims=True)
    return ops.cast(wide * ops.rsqrt(mean_square + _EPSILON) * scale, flow.dtype)


def dropped(flow: Tensor, key: Tensor | None, number: int, share: float) -> Tensor:
    """Dropout of single values (Srivastava et al. 2014), scaled so that the mean stays.

    Args:
        flow: any shape.
        key: int32 `[2]`, this training step's random key; None drops nothing.
        number: which of the network's dropouts this is; each has random numbers of its own.
        share: probability of a value to be dropped.
    """
    if key is None or share == 0:
        return flow
    kept = random_uniform(key + ops.convert_to_tensor([0, number], "int32"), flow.shape) >= share
    return ops.where(kept, flow / (1.0 - share), ops.zeros_like(flow))


def output_logits(weights: Mapping[str, Tensor], flow: Tensor) -> Tensor:
    """Logits float32 `[..., 390]` of the last layer's values, normalised first."""
    flow = rms_norm(ops.cast(flow, "float32"), weights["output.scale"])
    return ops.matmul(flow, weights["output.kernel"]) + weights["output.bias"]


def product(values: Tensor, kernel: Tensor) -> Tensor:
    """The matrix product in the kernel's number format, as float32."""
    return ops.cast(ops.matmul(ops.cast(values, kernel.dtype), kernel), "float32")
