"""Which function runs a unit of which kind. Modules are loaded when first needed, so a light worker stays light."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from core.models.jobs import JobKind
from worker.unit_context import UnitContext

# Returns only when the unit is done; one that stops early lets `UnitInterrupted` pass.
UnitFunction = Callable[[UnitContext], None]

FUNCTIONS: dict[JobKind, str] = {
    JobKind.IMPORT: "worker.tasks.importing:run",
    JobKind.TRAINING: "worker.tasks.training:run",
    JobKind.GENERATION: "worker.tasks.generation:run",
    JobKind.EVALUATION: "worker.tasks.evaluation:run",
    JobKind.AUDIO: "worker.tasks.audio:run",
}


def function_of(kind: JobKind, functions: Mapping[JobKind, str] = FUNCTIONS) -> UnitFunction:
    """The function that runs a unit of `kind`.

    Raises:
        LookupError: no function is known for this kind.
        ImportError: its module cannot be loaded here, such as without TensorFlow.
    """
    try:
        module, name = functions[kind].split(":")
    except KeyError:
        raise LookupError(f"no function runs jobs of kind {kind.value!r}") from None
    function: UnitFunction = getattr(import_module(module), name)
    return function
