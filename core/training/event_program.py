"""What one optimiser step over events computes; compiled once for all trainings of a process that compute the same."""

from __future__ import annotations

from collections.abc import Hashable

from keras import ops

from core.kept import Kept
from core.modeling.backend import Tensor, Tree, value_and_gradients
from core.modeling.following import window_state
from core.modeling.network import Network
from core.modeling.parallel import Devices, Step
from core.modeling.shapes import architecture_key, hidden_matrices
from core.training.loss import event_nats
from core.training.muon import muon
from core.training.optimizer import adam, clip_by_global_norm, running_average
from core.training.settings import EventSettings

# Whoever tries three seeds or five rates trains one network in turns, and a Starter's step takes 4 to 9 s to compile.
_kept = Kept[Step](4)


def compiled_step(network: Network, settings: EventSettings, devices: Devices) -> Step:
    """One step of a training.

    Args:
        network: what `build_network` makes of the settings.
        settings: how it is trained.
        devices: the same object for all that are to share what is compiled.
    """

    def compiled() -> Step:
        program = StepProgram(network, settings)
        return devices.compile(program.gradients, program.update)

    return _kept.of((devices, step_key(network, settings)), compiled)


def step_key(network: Network, settings: EventSettings) -> Hashable:
    """All that decides what a step computes, besides its arguments and their shapes."""
    return (
        architecture_key(settings),
        network.compute_dtype,
        settings.dropout,
        settings.optimizer,
        settings.weight_decay,
        settings.clip_norm,
    )


class StepProgram:
    """The two halves of a step as pure functions: what `Devices.compile` takes.

    Its trees: `weights`, `first` and `second` moments, and the `average` of the weights where there is one.
    """

    def __init__(self, network: Network, settings: EventSettings) -> None:
        self._network = network
        self._decay = settings.weight_decay
        self._clip_norm = settings.clip_norm
        self._matrices = muon_matrices(settings)

    def gradients(self, trees: Tree, data: Tree) -> tuple[Tensor, Tree]:
        """The loss in nats per event, and its gradient by each weight.

        Args:
            trees: see the class.
            data: `events` and `targets`, int32 `[batch, time]`; `counted`, the events of the whole batch; `facts` and
                `masks` where there are any.
        """

        def mean_nats(weights: Tree) -> tuple[Tensor, tuple[()]]:
            state = window_state(data.get("facts"))
            logits, _ = self._network.sequence(weights, data["events"], state, data.get("masks"))
            return ops.sum(event_nats(logits, data["targets"])) / data["counted"], ()

        (loss, _), gradients = value_and_gradients(mean_nats, trees["weights"])
        return loss, gradients

    def update(self, trees: Tree, gradients: Tree, scalars: Tree) -> Tree:
        """The trees after a step.

        Args:
            trees, gradients: as above.
            scalars: float32: the learning `rate`, Adam's bias `correction`, the `share` that the average keeps.
        """
        gradients, _ = clip_by_global_norm(gradients, self._clip_norm)
        weights, first, rate, decay = trees["weights"], trees["first"], scalars["rate"], self._decay
        matrices, momenta = muon(weights, gradients, first, self._matrices, rate, decay, self._network.compute_dtype)
        others = {name: weight for name, weight in weights.items() if name not in matrices}
        others, moments, second = adam(others, gradients, first, trees["second"], rate, scalars["correction"], decay)
        after = {
            "weights": {**weights, **others, **matrices},
            "first": {**first, **moments, **momenta},
            "second": second,
        }
        if "average" in trees:
            after["average"] = running_average(trees["average"], after["weights"], scalars["share"])
        return after


def muon_matrices(settings: EventSettings) -> dict[str, int]:
    """The weights that Muon takes care of, as `hidden_matrices` tells them; of all others AdamW does."""
    return hidden_matrices(settings) if settings.optimizer == "muon" else {}
