"""Loading what a worker needs before it says that it is ready."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from core.errors import CadenzaError
from core.models.jobs import JobKind, Queue
from worker.tasks.registry import FUNCTIONS, function_of

_KINDS = {
    Queue.TRAINING: (JobKind.TRAINING,),
    Queue.GENERATION: (JobKind.GENERATION, JobKind.EVALUATION),
    Queue.LIGHT: (JobKind.IMPORT, JobKind.AUDIO),
}
_HEAVY = {Queue.TRAINING, Queue.GENERATION}
_logger = logging.getLogger(__name__)


def check_can_serve(queues: Sequence[Queue]) -> None:
    """Refuse queues whose work needs what is not installed here.

    Raises:
        CadenzaError: there is no Keras for a queue that trains or generates.
    """
    if _HEAVY & set(queues) and find_spec("keras") is None:
        names = ", ".join(sorted(queue.value for queue in _HEAVY & set(queues)))
        raise CadenzaError(
            f"A worker for the queue {names} needs TensorFlow, which is not installed here. "
            "Install cadenza[cpu] or cadenza[gpu], or serve the queue light alone."
        )


def warm_up(queues: Sequence[Queue], functions: Mapping[JobKind, str] = FUNCTIONS) -> str:
    """Load the code of every kind of unit of `queues`, TensorFlow included; the device that they will use."""
    for queue in queues:
        for kind in _KINDS[queue]:
            try:
                function_of(kind, functions)
            except (ImportError, LookupError) as error:
                # The unit itself will fail with the same words, where a person sees them.
                _logger.warning("units of kind %s cannot run here: %s", kind.value, error)
    if not _HEAVY & set(queues):
        return "CPU"
    from core.modeling.backend import device_kind, use_one_thread

    if Queue.GENERATION in queues:
        use_one_thread()
    return device_kind()
