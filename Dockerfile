# One image for each kind of part: `web` (small: pages, API, light work, maintenance), `cpu` and `gpu` (all of that and
# TensorFlow). `docker compose build` makes what docker-compose.yml needs.
FROM scratch AS source
COPY pyproject.toml README.md /
COPY core /core
COPY migrations /migrations
COPY webui /webui
COPY worker /worker

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    CADENZA_DATA_DIR=/data CADENZA_LOG_FORMAT=json
# The SoundFont renderer and psycopg bring their libraries; libsndfile comes with soundfile's wheel.
RUN useradd --create-home --uid 10001 cadenza && mkdir /data && chown cadenza /data
WORKDIR /opt/cadenza
COPY requirements requirements
VOLUME /data
STOPSIGNAL SIGTERM

FROM base AS web
RUN pip install --no-deps --require-hashes --requirement requirements/web.txt --requirement requirements/s3.txt
COPY --from=source / ./
RUN pip install --no-deps --no-build-isolation .
USER cadenza
EXPOSE 8420
CMD ["cadenza", "web"]

FROM base AS cpu
RUN pip install --no-deps --require-hashes --requirement requirements/cpu.txt --requirement requirements/s3.txt
COPY --from=source / ./
RUN pip install --no-deps --no-build-isolation .
USER cadenza
CMD ["cadenza", "worker", "--queue", "training", "--queue", "generation"]

# TensorFlow brings CUDA's libraries itself; the host gives the driver (NVIDIA Container Toolkit).
FROM base AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install --no-deps --require-hashes --requirement requirements/gpu.txt --requirement requirements/s3.txt
COPY --from=source / ./
RUN pip install --no-deps --no-build-isolation .
USER cadenza
CMD ["cadenza", "worker", "--queue", "training", "--queue", "generation", "--gpus", "auto"]
