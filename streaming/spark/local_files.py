"""Access to files on this machine's disk without the shell commands that Hadoop runs."""

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
    """Settings for a session on this machine; none if the file system's jar is not among the jars.

    The jar must be on the class path before the session starts.
    """
    bare = next((str(jar) for jar in jars if jar.name.startswith(_BARE_FILE_SYSTEM)), None)
    return {**_CONF, "spark.driver.extraClassPath": bare} if bare else {}
