"""`python -m benchmarks.peers NAME [NUMBER ...]`: peers that work in a process of their own.

What ours asks of its libraries (deterministic operations, threads) must not touch them. They are told when to run by
`benchmarks.processes`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from benchmarks.harness import Side
from benchmarks.models import lstm_checkpoint, tutorial_checkpoint
from benchmarks.music import find_music
from benchmarks.processes import serve
from core.encoding.performance import BEGIN, SIZE
from core.encoding.tutorial import to_triples
from core.music.reading import read_midi

EMBEDDING, UNITS = 128, 512
"""Of LSTM(512) in every row."""
WINDOW = 128
"""Events per window in training."""
RATE, DECAY, CLIP = 0.003, 0.01, 1.0
"""Learning rate, weight decay and gradient clip, on all sides."""


def article_generation(window: int, notes: int) -> Side:
    """The article's way: `predict` on the last notes, once for each note."""
    import tensorflow as tf

    from core.modeling.tutorial import build_keras_model

    checkpoint: Any = tutorial_checkpoint()
    model = build_keras_model(checkpoint.family_settings, checkpoint.weights)
    triples = to_triples(read_midi(find_music().files(1)[0]).notes[:window])
    scale = np.array([128, 1, 1], np.float32)

    def side() -> float:
        last = triples / scale
        generated = []
        start = 0.0
        for _ in range(notes):
            heads = model.predict(np.expand_dims(last, 0), verbose=0)
            pitch = int(tf.squeeze(tf.random.categorical(heads["pitch"] / 1.0, num_samples=1), axis=-1)[0])
            step, duration = max(0.0, float(heads["step"][0, 0])), max(0.0, float(heads["duration"][0, 0]))
            start += step
            generated.append((pitch, step, duration, start, start + duration))
            last = np.append(last[1:], [[pitch / 128, step, duration]], axis=0).astype(np.float32)
        return float(len(generated))

    return side


def keras_training(batch: int, steps: int) -> Side:
    """`fit` with Keras's own layers."""
    import keras

    inputs, targets = _windows(batch, steps)
    layers = [
        keras.Input((WINDOW,), dtype="int32"),
        keras.layers.Embedding(SIZE, EMBEDDING),
        keras.layers.LSTM(UNITS, return_sequences=True),
        keras.layers.Dense(SIZE),
    ]
    model = keras.Sequential(layers)
    model.compile(
        optimizer=keras.optimizers.AdamW(RATE, weight_decay=DECAY, global_clipnorm=CLIP),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def side() -> float:
        model.fit(inputs, targets, batch_size=batch, epochs=1, shuffle=False, verbose=0)
        return float(targets.size)

    return side


def torch_training(batch: int, steps: int) -> Side:
    """A plain PyTorch training step with `torch.nn.LSTM`."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    embedding = torch.nn.Embedding(SIZE, EMBEDDING)
    lstm = torch.nn.LSTM(EMBEDDING, UNITS, batch_first=True)
    output = torch.nn.Linear(UNITS, SIZE)
    weights = [weight for layer in (embedding, lstm, output) for weight in layer.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=DECAY)
    inputs, targets = (torch.from_numpy(part.astype(np.int64)) for part in _windows(batch, steps))

    def side() -> float:
        for first in range(0, len(inputs), batch):
            optimizer.zero_grad(set_to_none=True)
            logits = output(lstm(embedding(inputs[first : first + batch]))[0])
            wanted = targets[first : first + batch]
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, SIZE), wanted.reshape(-1))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, CLIP)
            optimizer.step()
            loss.item()
        return float(targets.numel())

    return side


def torch_generation(sequences: int, events: int) -> Side:
    """No gradient, states kept, the input's product as a table, sampling on the device, all threads."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    weights = {name: torch.from_numpy(array) for name, array in lstm_checkpoint(EMBEDDING, UNITS).weights.items()}
    table = weights["embedding"] @ weights["lstm_0.kernel"] + weights["lstm_0.bias"]

    def side() -> float:
        generator = torch.Generator().manual_seed(0)
        h, c = torch.zeros(sequences, UNITS), torch.zeros(sequences, UNITS)
        event = torch.full((sequences,), BEGIN, dtype=torch.int64)
        drawn = torch.empty(events, sequences, dtype=torch.int64)
        with torch.inference_mode():
            for number in range(events):
                i, f, g, o = torch.addmm(table[event], h, weights["lstm_0.recurrent"]).chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                logits = torch.addmm(weights["output.bias"], h, weights["output.kernel"])
                event = torch.multinomial(torch.softmax(logits, dim=1), 1, generator=generator)[:, 0]
                drawn[number] = event
        return float(drawn.numel())

    return side


def _windows(batch: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    events = np.random.default_rng(0).integers(0, SIZE, (steps * batch, WINDOW + 1)).astype(np.int32)
    return events[:, :-1], events[:, 1:]


_PEERS = {
    "article-generation": article_generation,
    "keras-training": keras_training,
    "torch-training": torch_training,
    "torch-generation": torch_generation,
}

if __name__ == "__main__":
    serve(_PEERS[sys.argv[1]](*map(int, sys.argv[2:])))
