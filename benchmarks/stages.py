"""All that shall be measured, in the order of the table: which program measures which stages."""

from __future__ import annotations

READ = "read MIDI into note columns, one core"
IMPORT = "import a zip of MIDI files into rows"
IMPORT_TIME = "import of all files, time"
IMPORT_MEMORY = "import, peak memory of its processes together"
IMPORT_LINEAR = "import, time per file at 10,000 files against 1,000"
TRAIN_TUTORIAL = "train the article's network, 10 epochs from cold"
TRAIN_LSTM_32 = "train LSTM(512), batch 32 × 128"
TRAIN_LSTM_64 = "train LSTM(512), batch 64 × 128"
GENERATE_TUTORIAL_1 = "generate with the article's network, 1 sequence"
GENERATE_TUTORIAL_256 = "generate with the article's network, 256 sequences"
GENERATE_LSTM_1 = "generate with LSTM(512), 1 sequence"
GENERATE_LSTM_64 = "generate with LSTM(512), 64 sequences"
GENERATE_LSTM_256 = "generate with LSTM(512), 256 sequences"
OVERHEAD = "a generation of 1,000 seeds × 500 notes, request to files, rows and zip"
TAKE = "one take of 100 notes from a warm worker, request to its first byte"
TICKETS_SQLITE = "5,000 units that do nothing, SQLite"
TICKETS_POSTGRESQL = "5,000 units that do nothing, PostgreSQL"
AUDIO = "audio, one core"
ORIGINALITY_200 = "search for copies in all of MAESTRO's training pieces, a take of 200 notes"
ORIGINALITY_1000 = "search for copies in all of MAESTRO's training pieces, a take of 1,000 notes"
ORIGINALITY_20000 = "search for copies in all of MAESTRO's training pieces, a take of 20,000 notes"
ORIGINALITY_BUILD = "index of MAESTRO's training pieces for that search, time"
ORIGINALITY_MEMORY = "index of MAESTRO's training pieces for that search, memory"
PAGES = "pages with 100,000 jobs and 1,000,000 takes"
LISTENERS = "300 open pages listening for updates, other requests"
LISTENERS_MEMORY = "300 open pages listening for updates, memory of the web server"
START_PAGE = "start: cadenza up to the first page"
START_READY = "start: cadenza up to workers that have loaded Keras"

GROWTH_TAKES = "a generation of 10,000 takes against 1,000, cost of each take"
GROWTH_NOTES = "takes of 10,000 notes against 1,000, cost of each note"
MEMORY = "a worker's memory over 200 generations"
GPU_TRAIN = "on a GPU: train LSTM(512), batch 64 × 1,024"
GPU_GENERATE = "on a GPU: generate with LSTM(512), 4,096 sequences"

PROGRAMS: dict[str, tuple[str, ...]] = {
    "bench_read": (READ,),
    "bench_import": (IMPORT, IMPORT_TIME, IMPORT_MEMORY, IMPORT_LINEAR),
    "bench_train_tutorial": (TRAIN_TUTORIAL,),
    "bench_train_lstm": (TRAIN_LSTM_32, TRAIN_LSTM_64),
    "bench_generate_tutorial": (GENERATE_TUTORIAL_1, GENERATE_TUTORIAL_256),
    "bench_generate_lstm": (GENERATE_LSTM_1, GENERATE_LSTM_64, GENERATE_LSTM_256),
    "bench_overhead": (OVERHEAD,),
    "bench_growth": (GROWTH_TAKES, GROWTH_NOTES),
    "bench_memory": (MEMORY,),
    "bench_tickets": (TAKE, TICKETS_SQLITE, TICKETS_POSTGRESQL),
    "bench_audio": (AUDIO,),
    "bench_originality": (
        ORIGINALITY_200,
        ORIGINALITY_1000,
        ORIGINALITY_20000,
        ORIGINALITY_BUILD,
        ORIGINALITY_MEMORY,
    ),
    "bench_pages": (PAGES,),
    "bench_listeners": (LISTENERS, LISTENERS_MEMORY),
    "bench_gpu": (GPU_TRAIN, GPU_GENERATE),
    "bench_start": (START_PAGE, START_READY),
}
"""Program to its stages."""

BY_NAME_ONLY = ("bench_families",)
"""Programs that take too long for a run of all; `bench_families` gives a table of its own instead of rows."""
