"""Files on this machine's disk, for which Hadoop forks no shell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_BARE_FILE_SYSTEM = "hadoop-bare-naked-local-fs"
_CONF = {
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager"
    ),
}


def local_files(jars: Sequence[Path]) -> dict[str, str]:
    """Settings of a session on this machine, if the file system that they name is in the jars.

    It has to be on the class path before the session starts.
    """
    bare = next((str(jar) for jar in jars if jar.name.startswith(_BARE_FILE_SYSTEM)), None)
    return {**_CONF, "spark.driver.extraClassPath": bare} if bare else {}
