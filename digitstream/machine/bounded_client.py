"""Kafka's Java client with bounds, which Spark reads with, so that no record can fill its memory.

Kafka's client creates an object for each header, and reserves the memory that a record claims to
take, before any other code sees the record; no setting limits either. So Spark gets a copy of its
jar with three changes in the class that reads records: see docs/decisions/bounded-records.md.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from contract import files
from contract.wire import bounds
from contract.wire.values import times
from digitstream.machine.jars import JarsUnavailable
from digitstream.machine.java import Java

_CLIENT = "kafka-clients-"
_CLASS = "org.apache.kafka.common.record.DefaultRecord"
_CONTENT_SHA256 = "b9992436a5e5dbb7a93432266e59cf48a704593308e98cd8d2223f46d801f20b"
"""Digest of the names and contents in the copy of kafka-clients 3.4.1. They are the same on every
machine and from every Java; how zlib packs them is not.
"""

_BY_STREAM = f"(Ljava/io/DataInput;JJILjava/lang/Long;)L{_CLASS.replace('.', '/')};"
_ENTRY = f"{_CLASS.replace('.', '/')}.class"
_PACKAGES = (
    "java.io",
    "java.nio",
    "org.apache.kafka.common",
    "org.apache.kafka.common.header",
    "org.apache.kafka.common.header.internals",
    "org.apache.kafka.common.record",
    "org.apache.kafka.common.utils",
)

_SKIP = """
static void skip(DataInput input, int count) throws IOException {
    while (count > 0) {
        int skipped = input.skipBytes(count);
        if (skipped == 0) { input.readByte(); skipped = 1; }
        count -= skipped;
    }
}
"""

_FIRST = """
static ByteBuffer first(DataInput input, int size, int most) throws IOException {
    if (size < 0) return null;
    byte[] bytes = new byte[Math.min(size, most)];
    input.readFully(bytes);
    skip(input, size - bytes.length);
    return ByteBuffer.wrap(bytes);
}
"""

# Of a record in a compressed batch. Its fields say where it ends: brokers go by them, and take
# records whose first number, the size of all fields together, is any other.
_READ_COMPRESSED = """
{
    int size = ByteUtils.readVarint($1);
    byte attributes = $1.readByte();
    long timestamp = $3 + ByteUtils.readVarlong($1);
    if ($5 != null) timestamp = $5.longValue();
    int delta = ByteUtils.readVarint($1);
    int sequence = RecordBatch.NO_SEQUENCE;
    if ($4 >= 0) sequence = DefaultRecordBatch.incrementSequence($4, delta);
    int room = %(bytes)d + 1;
    ByteBuffer key = first($1, ByteUtils.readVarint($1), room);
    if (key != null) room -= key.remaining();
    ByteBuffer value = first($1, ByteUtils.readVarint($1), %(bytes)d + 1);
    int count = ByteUtils.readVarint($1);
    if (count < 0) throw new InvalidRecordException("Found invalid number of headers " + count);
    Header[] headers = new Header[Math.min(count, %(headers)d + 1)];
    for (int i = 0; i < count; i++) {
        int length = ByteUtils.readVarint($1);
        if (length < 0) throw new InvalidRecordException("Invalid header key size " + length);
        if (i < headers.length) {
            ByteBuffer name = first($1, length, room);
            room -= name.remaining();
            ByteBuffer content = first($1, ByteUtils.readVarint($1), room);
            if (content != null) room -= content.remaining();
            headers[i] = new RecordHeader(name, content);
        } else {
            skip($1, length);
            skip($1, ByteUtils.readVarint($1));
        }
    }
    long offset = $2 + delta;
    return new DefaultRecord(size, attributes, offset, timestamp, sequence, key, value, headers);
}
"""

# Of a record as it lies in what was fetched, whose size brokers check.
_SOME_HEADERS = """
static Header[] someHeaders(ByteBuffer buffer, int count) {
    Header[] headers = readHeaders(buffer, %(headers)d + 1);
    for (int i = headers.length; i < count; i++) {
        int length = ByteUtils.readVarint(buffer);
        if (length < 0) throw new InvalidRecordException("Invalid header key size " + length);
        buffer.position(buffer.position() + length);
        length = ByteUtils.readVarint(buffer);
        if (length > 0) buffer.position(buffer.position() + length);
    }
    return headers;
}
"""

# Spark's times overflow where Kafka's do not.
_CLAMP = "$4 = Math.min(Math.max($4, %(first)dL), %(last)dL);"

_NUMBERS = {
    "bytes": bounds.CUT_BYTES,
    "headers": bounds.CUT_HEADERS,
    "first": times.FIRST_MS,
    "last": times.LAST_MS,
}
_READ_COMPRESSED, _SOME_HEADERS, _CLAMP = (
    code % _NUMBERS for code in (_READ_COMPRESSED, _SOME_HEADERS, _CLAMP)
)


def ensure_bounded(jars: list[Path], java: Java, folder: Path) -> list[Path]:
    """The jars, with Kafka's client replaced by a copy with bounds, which is cached in `folder`.

    Raises JarsUnavailable if the copy cannot be made.
    """
    return [_copy(jar, java, folder) if jar.name.startswith(_CLIENT) else jar for jar in jars]


def _copy(original: Path, java: Java, folder: Path) -> Path:
    changes = "".join((_SKIP, _FIRST, _READ_COMPRESSED, _SOME_HEADERS, _CLAMP))
    digest = hashlib.sha256(original.read_bytes() + changes.encode()).hexdigest()
    place = folder / f"kafka-client-bounded-{digest[:12]}" / f"{original.stem}-bounded.jar"
    if _is_whole(place):
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as staging:
            draft = Path(staging) / place.name
            _write(original, draft, _patch_class(original, java))
            if not _is_whole(draft):
                message = "the copy is not as expected"
                raise ValueError(message)
            draft.replace(place)
    except Exception as exc:
        message = (
            f"Kafka's client {original} could not be given bounds ({exc}). Spark must not read "
            f"records without them. Remove {original.parent}, see that {folder} can be written, "
            f"and run the command again."
        )
        raise JarsUnavailable(message) from exc
    return place


def _is_whole(copy: Path) -> bool:
    """Whether a copy exists and holds what it should."""
    digest = hashlib.sha256()
    try:
        files.check_regular(copy)
        with zipfile.ZipFile(copy) as jar:
            for name in jar.namelist():
                digest.update(f"{name}\0".encode())
                digest.update(hashlib.sha256(jar.read(name)).digest())
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False
    return digest.hexdigest() == _CONTENT_SHA256


def _write(original: Path, place: Path, code: bytes) -> None:
    """Copy a jar with other code for the one class."""
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(place, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, code if entry.filename == _ENTRY else old.read(entry))


def _patch_class(original: Path, java: Java) -> bytes:
    """The bytecode of the class with its three changes."""
    with start_jvm(java, [_of_spark("javassist")]) as jvm:
        pool = jvm.javassist.ClassPool()
        pool.appendSystemPath()
        pool.insertClassPath(str(original))
        for package in _PACKAGES:
            pool.importPackage(package)
        record = pool.get(_CLASS)
        for source in (_SKIP, _FIRST, _SOME_HEADERS):
            record.addMethod(jvm.javassist.CtNewMethod.make(source, record))
        record.getMethod("readFrom", _BY_STREAM).setBody(_READ_COMPRESSED)
        headers = record.getDeclaredMethod("readHeaders")
        headers.insertBefore(f"if ($2 > {bounds.CUT_HEADERS + 1}) return someHeaders($1, $2);")
        [constructor] = record.getDeclaredConstructors()
        constructor.insertBeforeBody(_CLAMP)
        return bytes(record.toBytecode())


@contextmanager
def start_jvm(java: Java, jars: Sequence[Path], *options: str) -> Iterator[Any]:
    """Run a JVM with these jars while the body does; yields py4j's view of it."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        port, token = launch_gateway(
            jarpath=str(_of_spark("py4j")),
            classpath=os.pathsep.join(map(str, jars)),
            javaopts=list(options),
            java_path=str(java.executable),
            die_on_exit=True,
            enable_auth=True,
            redirect_stdout=nowhere,
            redirect_stderr=nowhere,
        )
        gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token))
        try:
            yield gateway.jvm
        finally:
            gateway.shutdown()


def _of_spark(name: str) -> Path:
    """The jar of this name that comes with pyspark."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        message = f"pyspark is not installed, whose {name} is needed"
        raise ModuleNotFoundError(message)
    [jar] = (Path(spec.origin).parent / "jars").glob(f"{name}-[0-9]*.jar")
    return jar
