# One image for every service of ours: which one it is, its command says.
FROM python:3.12.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless libopenblas0-pthread libgomp1 \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 digitstream && install -d -o digitstream /app /data
USER digitstream
WORKDIR /app

COPY --chown=digitstream requirements.lock .
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY --chown=digitstream . .
ENV PATH=/app/.venv/bin:$PATH DIGITSTREAM_HOME=/data PYTHONUNBUFFERED=1
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && python -c "from digitstream import jars, machine; machine.fetched(jars.CONNECTOR)"

ENTRYPOINT []
CMD ["digitstream", "--help"]
