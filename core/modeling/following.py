"""Any network of events, with the facts of the stream beside its own state."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.encoding.sounding import Facts, no_facts
from core.modeling.backend import Tensor, Tree
from core.modeling.interface import FamilyNetwork
from core.modeling.sounding import facts_next, facts_over


def window_state(facts: Facts | Tree | None) -> Tree:
    """The state with which training reads a window: nothing is known of what came before but these facts, or none.

    That there is no network's state marks training: what cannot follow is left in then, and no state comes out.
    """
    return None if facts is None else {"facts": facts, "network": None}


class FollowingNetwork:
    """A network that reads and writes as it did, and follows the facts for others to look at.

    State: `facts`, after the last event, as `core.encoding.sounding` defines them; `network`, the network's own.

    Attributes:
        parameters: how many numbers training adjusts.
        compute_dtype: number format of the products over windows.
    """

    def __init__(self, network: FamilyNetwork) -> None:
        self._network = network
        self.parameters = network.parameters
        self.compute_dtype = network.compute_dtype

    def initial_state(self, batch: int) -> Tree:
        """Nothing has been read."""
        return {"facts": no_facts(batch), "network": self._network.initial_state(batch)}

    def dropout_masks(self, generator: np.random.Generator, batch: int) -> NDArray[Any] | None:
        """The network's."""
        return self._network.dropout_masks(generator, batch)

    def split_masks(self, masks: NDArray[Any], count: int) -> list[NDArray[Any]]:
        """The network's."""
        return self._network.split_masks(masks, count)

    def prepare(self, weights: Tree) -> Tree:
        """What the network's own steps need."""
        return self._network.prepare(weights)

    def sequence(
        self, weights: Tree, events: Tensor, state: Tree | None, masks: Tensor | None = None
    ) -> tuple[Tensor, Tree]:
        """Logits of the event after each one; see `Network.sequence`. `state` may be what `window_state` gives."""
        before = window_state(no_facts(events.shape[0])) if state is None else state
        facts, last = facts_over(events, before["facts"])
        in_training = before["network"] is None
        beside = self._beside(weights, facts)
        logits, after = self._network.sequence(weights, events, before["network"], masks, beside)
        logits = self._known(logits, facts)
        if in_training:
            return logits, None
        return self._without_impossible(logits, events, facts), {"facts": last, "network": after}

    def step(self, prepared: Tree, event: Tensor, state: Tree) -> tuple[Tensor, Tree]:
        """Logits after one event each; see `Network.step`."""
        facts = facts_next(event, state["facts"])
        logits, after = self._network.step(prepared, event, state["network"], self._beside(prepared, facts))
        logits = self._without_impossible(self._known(logits, facts), event, facts)
        return logits, {"facts": facts, "network": after}

    def _beside(self, weights: Tree, facts: Tree) -> Tensor | None:
        """What the network reads beside each event, or None."""
        return None

    def _known(self, logits: Tensor, facts: Tree) -> Tensor:
        """The network's output as logits of the 390 events."""
        return logits

    def _without_impossible(self, logits: Tensor, events: Tensor, facts: Tree) -> Tensor:
        """The logits after each event, without what cannot follow."""
        return logits
