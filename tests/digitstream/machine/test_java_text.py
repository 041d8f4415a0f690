"""What Java's programs are given to read, and what they say."""

from __future__ import annotations

import pytest

from digitstream.machine.java_text import lasting_environment, properties_text, reason, utf8_locale


def test_properties_are_ascii_with_everything_else_escaped() -> None:
    assert properties_text("log.dirs=/home/ö\\c/数\U0001f600\n") == (
        b"log.dirs=/home/\\u00f6\\\\c/\\u6570\\ud83d\\ude00\n"
    )


@pytest.mark.parametrize(
    ("environ", "locale"),
    [
        ({}, "C.UTF-8"),
        ({"LANG": "de_DE.UTF-8"}, "de_DE.UTF-8"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "C.UTF-8"),
        ({"LC_CTYPE": "en_US.utf8", "LANG": "C"}, "en_US.utf8"),
        ({"LANG": "de_DE.ISO-8859-1"}, "C.UTF-8"),
    ],
)
def test_java_gets_a_locale_in_which_it_finds_every_file(
    environ: dict[str, str], locale: str
) -> None:
    assert utf8_locale(environ) == {"LC_ALL": locale}


def test_a_lasting_jvm_has_what_java_reads_and_no_secret() -> None:
    environ = {"JAVA_TOOL_OPTIONS": "-Xmx1g", "TZ": "UTC", "PASSWORD": "secret", "LANG": "C"}
    assert lasting_environment(environ) == {
        "JAVA_TOOL_OPTIONS": "-Xmx1g",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }


def test_the_reason_is_what_the_innermost_error_says_not_the_last_line_of_its_trace() -> None:
    trace = """\
Exception in thread "main" java.lang.RuntimeException: No readable meta.properties files found.
\tat org.apache.kafka.metadata.properties.MetaPropertiesEnsemble.verify(MetaProperties.java:493)
Caused by: java.nio.file.AccessDeniedException: /data
\tat java.base/sun.nio.fs.UnixException.translateToIOException(UnixException.java:90)
\t... 3 more"""
    assert reason(trace) == "/data"
    assert reason("line one\nThe port is taken.\n") == "The port is taken"
    assert reason("") == "it said nothing"
