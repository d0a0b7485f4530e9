"""What a person chooses for a generation, and the settings of one take that follow from it. Light: no Keras."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from core.fields import PersonSettings, setting
from core.sampling.seeds import parse_seeds

LONGEST_NOTES = 20_000
LONGEST_SECONDS = 7_200
MOST_TEMPERATURES = 10
MOST_TAKES = 100_000


class PrimerSettings(PersonSettings):
    """Where a primer comes from: the first `notes` notes of music known by its content's digest."""

    sha256: str = setting(..., "Content", "SHA-256 of the primer's MIDI file.", min_length=64, max_length=64)
    notes: int = setting(25, "Primer notes", "Notes taken from the start.", unit="notes", ge=1, le=LONGEST_NOTES)


class SharedSettings(PersonSettings):
    """What all takes of a generation share."""

    top_k: int = setting(
        0, "Top k", "Choose among the k likeliest events only; 0 means all.", advanced=True, ge=0, le=390
    )
    top_p: float = setting(
        1.0,
        "Top p",
        "Choose among the likeliest events that together have this probability; 0.95 helps after short training.",
        advanced=True,
        gt=0,
        le=1,
    )
    min_p: float = setting(
        0.0,
        "Min p",
        "Rule out events less likely than this share of the likeliest one; 0 rules out none.",
        advanced=True,
        ge=0,
        lt=1,
    )
    repetition_guard: float = setting(
        0.0,
        "Repetition guard",
        "How strongly a pitch is avoided that was struck again and again; 0 not at all, 0.2 is mild.",
        advanced=True,
        ge=0,
        le=5,
    )
    lowest_pitch: int = setting(0, "Lowest pitch", "No note lies below; 60 is middle C.", advanced=True, ge=0, le=127)
    highest_pitch: int = setting(127, "Highest pitch", "No note lies above.", advanced=True, ge=0, le=127)
    longest_note: float = setting(
        8.0,
        "Longest note",
        "What sounds longer is released; small models forget to now and then.",
        unit="s",
        advanced=True,
        ge=0.05,
        le=60,
    )
    density: float = setting(
        0.0,
        "Density",
        "Lean towards so many notes a second; 0 leaves it to the model.",
        unit="notes/s",
        advanced=True,
        ge=0,
        le=50,
    )
    pace: float = setting(
        0.0,
        "Pace",
        "Lean towards so many moments with a note or chord a second; 0 leaves it to the model.",
        unit="per s",
        advanced=True,
        ge=0,
        le=50,
    )
    length_unit: Literal["notes", "seconds"] = setting(
        "notes", "Length in", choices={"notes": "notes", "seconds": "seconds"}
    )
    length: float = setting(
        120, "Length", f"Up to {LONGEST_NOTES:,} notes or {LONGEST_SECONDS:,} seconds.", ge=1, le=LONGEST_NOTES
    )
    may_end_early: bool = setting(False, "May end early", "A take may end where the model ends the piece.")
    primer: PrimerSettings | None = setting(None, "Primer", "Music that the take continues.")
    join_primer: bool = setting(
        False, "Begin with the primer", "The take is the primer and what follows; the length counts what follows."
    )
    follow_primer: bool = setting(
        False, "Keep the primer's pace", "Lean towards the primer's notes and moments a second."
    )
    program: int = setting(0, "Instrument", "General MIDI program, 0 is the grand piano.", ge=0, le=127)
    velocity: int = setting(
        0, "Velocity", "Loudness of every note; 0 keeps what the model plays.", advanced=True, ge=0, le=127
    )
    tempo_factor: float = setting(1.0, "Tempo", "2 plays twice as fast.", unit="×", advanced=True, ge=0.25, le=4)

    @model_validator(mode="after")
    def _length_fits(self) -> Self:
        if self.length_unit == "notes" and self.length != int(self.length):
            raise ValueError(f"length: {self.length:g} notes is refused; a whole number of notes is needed.")
        if self.length_unit == "seconds" and self.length > LONGEST_SECONDS:
            raise ValueError(f"length: {self.length:g} seconds is refused; allowed is 1 to {LONGEST_SECONDS}.")
        return self

    @model_validator(mode="after")
    def _pitches_fit(self) -> Self:
        if self.lowest_pitch > self.highest_pitch:
            raise ValueError(
                f"highest_pitch: {self.highest_pitch} is refused; it must be {self.lowest_pitch}, the lowest, or more."
            )
        return self

    @property
    def truncates(self) -> bool:
        """Whether unlikely events are ruled out."""
        return self.top_k > 0 or self.top_p < 1

    @property
    def shapes(self) -> bool:
        """Whether the model's choice is leant on: unlikely or repeated events, density, pace."""
        return self.min_p > 0 or self.repetition_guard > 0 or self.density > 0 or self.pace > 0 or self.follow_primer


class TakeSettings(SharedSettings):
    """Everything that, with the model and the seed, decides the bytes of a take."""

    temperature: float = setting(1.0, "Temperature", "Below 1 is safer, above 1 bolder.", ge=0.05, le=5)


class GenerationSettings(SharedSettings):
    """A generation: what its takes share, its seeds, and a sweep of temperatures."""

    seeds: str = setting("0-7", "Seeds", "One take per seed: 0-99, or 1,5,9, or 32 random.", max_length=200_000)
    temperatures: tuple[float, ...] = setting(
        (1.0,), "Temperatures", "Several make a sweep: every seed at each.", min_length=1, max_length=MOST_TEMPERATURES
    )

    @field_validator("seeds")
    @classmethod
    def _seeds_are_readable(cls, text: str) -> str:
        parse_seeds(text)
        return text

    @field_validator("temperatures", mode="before")
    @classmethod
    def _split_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, bool) or (isinstance(value, list | tuple) and any(isinstance(v, bool) for v in value)):
            raise ValueError("temperatures: True and False are refused; allowed is 0.05 to 5.")
        return (value,) if isinstance(value, int | float) else value

    @field_validator("temperatures")
    @classmethod
    def _temperatures_in_range(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for value in values:
            if not 0.05 <= value <= 5:
                raise ValueError(f"temperatures: {value:g} is refused; allowed is 0.05 to 5.")
        if len(set(values)) != len(values):
            raise ValueError("temperatures: each may be named once only.")
        return values

    def plan(self) -> list[tuple[int, float]]:
        """(seed, temperature) of every take in order: all seeds at the first temperature, then at the next."""
        seeds = parse_seeds(self.seeds)
        return [(seed, temperature) for temperature in self.temperatures for seed in seeds]

    def of_take(self, temperature: float) -> TakeSettings:
        """The settings of one take at `temperature`."""
        values = self.model_dump(exclude={"seeds", "temperatures"})
        return TakeSettings.model_validate({**values, "temperature": temperature})
