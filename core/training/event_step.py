"""One optimiser step of a family over events after the other, on as many devices as there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from core.modeling.backend import Tree, to_numpy
from core.modeling.device_memory import is_out_of_memory, out_of_memory_errors, unless_memory_is_full
from core.modeling.network import Network
from core.modeling.parallel import Devices, training_devices
from core.training.event_program import compiled_step, muon_matrices
from core.training.memory import batch_does_not_fit, weights_do_not_fit
from core.training.optimizer import averaging_share, bias_correction, warmup_cosine, zero_moments
from core.training.resume import Arrays
from core.training.settings import EventSettings
from core.training.windows import Batch

# Keeps the dropout's random numbers apart from those of the weights and the batches.
_DROPOUT = 2


class EventStep:
    """Weights, moments and average live on the devices as one dict of trees: what a resume point has to hold."""

    def __init__(self, network: Network, settings: EventSettings, devices: Devices | None = None) -> None:
        """`devices` are all of the machine's unless some are given."""
        self._network = network
        self._settings = settings
        self._steps = settings.steps
        self._devices = training_devices(settings.batch_size) if devices is None else devices
        self._compiled = compiled_step(network, settings, self._devices)

    @property
    def devices(self) -> int:
        """How many devices share each batch."""
        return self._devices.count

    def begin(self, weights: Arrays) -> Tree:
        """The trees before the first step. Raises as `place`."""
        matrices = muon_matrices(self._settings)  # which have no second moments
        second = {name: array for name, array in weights.items() if name not in matrices}
        trees = {"weights": weights, "first": zero_moments(weights), "second": zero_moments(second)}
        return self.place({**trees, "average": weights} if self._settings.average else trees)

    def place(self, trees: dict[str, Arrays]) -> Tree:
        """Trees of a resume point, on the devices.

        Raises:
            TrainingError: the devices' memory is too small for them.
        """
        with unless_memory_is_full(weights_do_not_fit(self._network.parameters)):
            return self._devices.place(trees)

    def measured(self, trees: Tree) -> Tree:
        """The weights that are measured and stored: the average where there is one."""
        return self._devices.single(trees["average" if "average" in trees else "weights"])

    def host(self, trees: Tree) -> dict[str, Arrays]:
        """Copies of all trees, to be stored."""
        return {
            name: {key: to_numpy(array) for key, array in tree.items()}
            for name, tree in self._devices.single(trees).items()
        }

    def lay_schedule_over(self, steps: int) -> None:
        """Let the learning rate's schedule end after so many steps, whatever the settings say."""
        self._steps = steps

    def rate(self, step: int) -> float:
        """The learning rate of step `step` (from 0)."""
        settings = self._settings
        return warmup_cosine(step, self._steps, settings.warmup_steps, settings.learning_rate)

    def advance(
        self, trees: Tree, batch: Batch, step: int, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[Tree, float]:
        """Step `step` (from 0): the trees after it and the batch's mean loss in nats per event.

        `meanwhile` is called when the device has got its work and, where that is a GPU, has not yet done it.

        Raises:
            TrainingError: the devices' memory is too small; the message names a batch that fits.
        """
        try:
            return self._run(trees, batch, step, meanwhile)
        except out_of_memory_errors() as error:
            if not is_out_of_memory(error):
                raise
        rows, window = batch.events.shape
        raise batch_does_not_fit(rows, window, "events", lambda most: self._try_some(trees, batch, step, most))

    def _run(
        self, trees: Tree, batch: Batch, step: int, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[Tree, float]:
        settings = self._settings
        scalars = {
            "rate": np.float32(self.rate(step)),
            "correction": np.float32(bias_correction(step + 1)),
            "share": np.float32(averaging_share(step, settings.average)),
        }
        trees, loss = self._compiled(trees, self._parts(batch, step), scalars)
        meanwhile()
        return trees, float(to_numpy(loss))

    def _parts(self, batch: Batch, step: int) -> list[dict[str, Any]]:
        """The batch's arrays, cut for the devices."""
        count = self._devices.parts
        counted = np.array(batch.counted, np.float32)
        parts: list[dict[str, Any]] = [
            {"events": part.events, "targets": part.targets, "counted": counted}
            | ({} if part.facts is None else {"facts": part.facts})
            for part in batch.split(count)
        ]
        generator = np.random.default_rng([self._settings.seed, _DROPOUT, step])
        masks = self._network.dropout_masks(generator, batch.events.shape[0])
        if masks is not None:
            for part, own in zip(parts, self._network.split_masks(masks, count), strict=True):
                part["masks"] = own
        return parts

    def _try_some(self, trees: Tree, batch: Batch, step: int, most: int) -> int:
        """The step with at most so many windows of the batch, as many for each device; how many those are."""
        smaller = batch.first(most // self.devices * self.devices)
        if not smaller.counted:
            return 0
        self._run(trees, smaller, step)
        return int(smaller.events.shape[0])
