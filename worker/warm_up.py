"""Loading what a worker needs before it says that it is ready."""

from __future__ import annotations

import socket
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
    """Load the code of every kind of unit of `queues`, TensorFlow included.

    Returns:
        The device that they will use: "cpu", "gpu", or "4 gpus" where trainings share several.

    Raises:
        CadenzaError: some of it cannot be loaded here: the worker would fail every unit of that kind.
    """
    for queue in queues:
        for kind in _KINDS[queue]:
            try:
                function_of(kind, functions)
            except Exception as error:
                # Whatever a module raises when it is loaded, a broken library's own errors too.
                raise CadenzaError(
                    f"Jobs of kind {kind.value} cannot run here: {type(error).__name__}: {error}. Install Cadenza with "
                    f"its requirements again on {socket.gethostname()}, or let this worker not serve {queue.value}."
                ) from error
    if not _HEAVY & set(queues):
        return "CPU"
    from core.modeling.cores import use_one_thread
    from core.modeling.devices import device_kind, gpu_count

    if Queue.GENERATION in queues:
        use_one_thread()
    return f"{gpu_count()} gpus" if Queue.TRAINING in queues and gpu_count() > 1 else device_kind()
