"""Measures against MusPy's own figures on the same notes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evaluation.features import FEATURES, features_of
from core.evaluation.measures import BEATS_PER_BAR, BEATS_PER_SECOND, STEPS_PER_BEAT, grid_steps, muspy_measures
from core.music.measures import measure
from core.music.notes import Notes
from core.music.reading import read_midi


def by_muspy(notes: Notes) -> dict[str, float]:
    """What MusPy says of the same notes on the same grid."""
    import muspy  # it takes seconds to load

    onset, end = grid_steps(notes)
    track = muspy.Track(
        notes=[
            muspy.Note(time=int(first), pitch=int(pitch), duration=int(last - first), velocity=int(velocity))
            for first, last, pitch, velocity in zip(onset, end, notes.pitch, notes.velocity, strict=True)
        ]
    )
    music = muspy.Music(resolution=STEPS_PER_BEAT, tracks=[track])
    names = [name for name in muspy_measures(notes) if name != "groove_consistency"]
    figures = {name: float(getattr(muspy, name)(music)) for name in names}
    figures["groove_consistency"] = float(muspy.groove_consistency(music, STEPS_PER_BEAT * BEATS_PER_BAR))
    return figures


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(1, 90), st.integers(30, 90), st.integers(1, 127)),
        min_size=1,
        max_size=40,
    )
)
def test_made_up_pieces_have_the_figures_that_muspy_gives(rows):
    onset, length, pitch, velocity = np.array(rows).T
    steps = STEPS_PER_BEAT * BEATS_PER_SECOND
    notes = Notes.of(onset / steps, length / steps, pitch, velocity)
    assert muspy_measures(notes) == pytest.approx(by_muspy(notes), nan_ok=True)


@pytest.mark.slow
def test_real_pieces_have_the_figures_that_muspy_gives(shared_data: Path):
    with zipfile.ZipFile(shared_data / "vienna4x22-midi.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".mid"))[::40]
        pieces = [read_midi(archive.read(name)).notes for name in names]
    assert len(pieces) > 2
    for notes in pieces:
        assert muspy_measures(notes) == pytest.approx(by_muspy(notes), nan_ok=True)


def test_those_that_need_no_grid_agree_with_the_figures_of_takes():
    generator = np.random.default_rng(3)
    notes = Notes.of(np.cumsum(generator.random(80)), generator.random(80), generator.integers(30, 90, 80), [64] * 80)
    ours, other = muspy_measures(notes), measure(notes)
    for name in ("pitch_class_entropy", "scale_consistency"):
        assert ours[name] == pytest.approx(getattr(other, name))
    assert ours["polyphony"] == pytest.approx(other.polyphony, rel=0.05)


def test_features_of_no_notes_say_nothing_rather_than_something():
    found = features_of(Notes.empty())
    assert set(found) == set(FEATURES)
    assert np.isnan(found["polyphony"]).all()
    assert np.isnan(found["pitch_class_histogram"]).all()


def test_a_distribution_of_one_piece_sums_to_one():
    found = features_of(Notes.of([0, 0.5, 1.0], [0.5, 0.5, 0.5], [60, 64, 67], [64, 64, 64]))
    for name, feature in FEATURES.items():
        assert found[name].ndim == 1
        if feature.vector:
            assert found[name].sum() == pytest.approx(1)
    assert found["mean_interval"] == pytest.approx([3.5])
    assert found["mean_inter_onset"] == pytest.approx([0.5])
