"""What a program that XLA compiled for a GPU does, read from its text: kernels, their bytes and their products."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "s32": 4, "u32": 4, "f32": 4}
_BYTES |= {"s64": 8, "u64": 8, "f64": 8}
# These name values that others made.
_NO_KERNELS = {"parameter", "get-tuple-element", "tuple", "bitcast", "constant", "after-all", "partition-id"}
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = (\([^=]*?\)|\S+) ([\w\-]+)\((.*)")
_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) .*\{$")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One step of the program.

    Attributes:
        bytes: of all that it reads and writes, each value once, as if no cache held any; of what is sliced, the whole.
        flops: of its matrix products; of a library's own kernels, such as fused attention, none.
    """

    bytes: int
    flops: float


@dataclass(frozen=True, slots=True)
class Cost:
    """All kernels of a program that runs straight through."""

    kernels: list[Kernel]
    fused_attentions: int

    @property
    def bytes(self) -> int:
        """Of all kernels."""
        return sum(kernel.bytes for kernel in self.kernels)

    @property
    def flops(self) -> float:
        """Of all kernels."""
        return sum(kernel.flops for kernel in self.kernels)


def cost_of(text: str) -> Cost:
    """Read an optimised HLO module, as `Compiled.as_text()` gives it.

    Raises:
        ValueError: the program has a loop, of whose steps the text does not tell what they read of what they are
            given; or a line is not understood.
    """
    entry, computations = _computations(re.sub(r"/\*index=\d+\*/", "", text))
    shapes: dict[str, str] = {}
    kernels = []
    for name, shape, operation, rest in computations[entry]:
        shapes[name] = shape
        if operation in _NO_KERNELS:
            continue
        if operation == "while":
            raise ValueError(f"the program has a loop, {name}")
        arguments = re.findall(r"%([\w.\-]+)", rest.split(")")[0])
        moved = _size(shape) + sum(_size(shapes.get(argument, "")) for argument in arguments)
        products = sum(_flops(called, computations) for called in _called(rest))
        if "__cublas$lt$matmul" in rest:
            products += _product(shape, shapes[arguments[0]], rest, r'"lhs_contracting_dimensions":\["([0-9",]+)"\]')
        kernels.append(Kernel(moved, products))
    return Cost(kernels, text.count('custom_call_target="__cudnn$fmha'))


Instruction = tuple[str, str, str, str]  # name, shape, operation, the rest of the line


def _computations(text: str) -> tuple[str, dict[str, list[Instruction]]]:
    found: dict[str, list[Instruction]] = {}
    entry = current = ""
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            current = head[2]
            found[current] = []
            entry = current if head[1] else entry
        elif current and (instruction := _INSTRUCTION.match(line)):
            found[current].append((instruction[1], instruction[2], instruction[3], instruction[4]))
        elif current and " = " in line:
            raise ValueError(f"not understood: {line.strip()[:200]}")
    return entry, found


def _called(rest: str) -> list[str]:
    return re.findall(r"calls=%?([\w.\-]+)", rest)


def _flops(name: str, computations: dict[str, list[Instruction]]) -> float:
    """Of the products in one computation and those that it calls."""
    shapes = {own: shape for own, shape, _, _ in computations.get(name, [])}
    total = 0.0
    for _, shape, operation, rest in computations.get(name, []):
        if operation == "dot":
            left = shapes[re.findall(r"%([\w.\-]+)", rest)[0]]
            total += _product(shape, left, rest, r"lhs_contracting_dims=\{([0-9,]+)\}")
        total += sum(_flops(called, computations) for called in _called(rest))
    return total


def _product(result: str, left: str, rest: str, contracting: str) -> float:
    """Of one matrix product, from the shapes of its result and left side, and what names the axes summed over."""
    axes = re.search(contracting, rest)
    assert axes is not None
    summed = prod(_axes(left)[int(axis)] for axis in re.findall(r"\d+", axes[1]))
    return 2.0 * prod(_axes(result)) * summed


def _axes(shape: str) -> list[int]:
    found = re.search(r"\[([0-9,]*)\]", shape)
    return [int(axis) for axis in found[1].split(",") if axis] if found else []


def _size(shape: str) -> int:
    """Bytes of an array, or of all arrays of a tuple."""
    return sum(
        _BYTES[kind] * prod(int(axis) for axis in axes.split(",") if axis)
        for kind, axes in re.findall(r"\b([a-z]+[0-9]*)\[([0-9,]*)\]", shape)
        if kind in _BYTES
    )
