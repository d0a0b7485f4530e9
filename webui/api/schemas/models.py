"""Models."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from core.fields import setting
from core.models.trainings import Model
from core.ready.shipped import card_of
from webui.api.schemas.common import ApiInput, ApiOutput, Listing, Moment, SearchQuery


class ModelsQuery(SearchQuery):
    """Which models."""

    reference: str = setting(
        "", "Reference", "The one of this number, name or start of a content hash.", max_length=200
    )


class CheckpointQuery(ApiInput):
    """Which of a model's checkpoints."""

    which: Literal["best", "last"] = setting(
        "best", "Which", "The best by its held-out figure, or the last.", choices={"best": "best", "last": "last"}
    )


class ModelOutput(ApiOutput):
    """Architecture, weights, encoding and the settings that made them."""

    id: int
    name: str
    owner: str
    family: str
    encoding: str
    settings: dict[str, Any]
    figures: dict[str, Any]
    parameters: int
    content_hash: str
    origin: str
    training_id: int | None = Field(
        description="The training that made it, or that made the model that it is an uploaded copy of; null where that "
        "was not here."
    )
    dataset_id: int | None = Field(description="What that training was on; null where that is not here, or deleted.")
    dataset_name: str = Field(description="What it was trained on; empty where nobody here knows.")
    card: str = Field(
        description="Data, licence, figures and limits of the model that comes with Cadenza, as Markdown."
    )
    created_at: Moment

    @classmethod
    def of(cls, model: Model) -> Self:
        """A model as the API shows it."""
        columns = cls.model_fields.keys() - {"card"}
        return cls(**{name: getattr(model, name) for name in columns}, card=card_of(model.content_hash))


class ModelListing(Listing[ModelOutput]):
    """A page of models."""
