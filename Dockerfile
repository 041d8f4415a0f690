# One image for every service of ours: which one it is, its command says.
FROM python:3.12.11-slim-bookworm AS java
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless libopenblas0-pthread libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 digitstream \
    && install -d -o digitstream /data
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH

# What runs, without what only tests and checks need, without packages' own tests, and without TensorFlow's headers.
FROM java AS packages
COPY requirements.lock pyproject.toml ./
COPY scripts/runtime_lock.py scripts/
RUN python -m venv .venv \
    && python scripts/runtime_lock.py > runtime.lock \
    && pip install --no-cache-dir --no-deps --require-hashes -r runtime.lock \
    && pip check \
    && rm -rf .venv/lib/python*/site-packages/tensorflow/include \
    && find .venv -type d -name tests -prune -exec rm -rf {} +

# The kernels of keras2dml, for which a JDK is needed.
FROM packages AS kernels
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jdk-headless
COPY keras2dml keras2dml
RUN .venv/bin/python -m keras2dml.kernels.build

FROM java
COPY --from=packages /app/.venv .venv
COPY --from=packages /app/runtime.lock requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY contract contract
COPY digitstream digitstream
COPY --from=kernels /app/keras2dml keras2dml
COPY producers producers
COPY streaming streaming
COPY training training
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && python -m compileall -q contract digitstream keras2dml producers streaming training

# The jars that the services use lie in the home of the user; their programs may write there, to /data and to /tmp.
USER digitstream
WORKDIR /home/digitstream
RUN python -c "from digitstream import machine; machine.delta()"
ENV DIGITSTREAM_HOME=/data PYTHONUNBUFFERED=1

ENTRYPOINT []
CMD ["digitstream", "--help"]
