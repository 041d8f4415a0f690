"""Access to the processes of a Spark session: on a local master only from this machine, on a
cluster for clients that know its secret.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.clientserver import ClientServer
from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext, java_gateway
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from keras2dml.errors import InvalidSession
from keras2dml.systemds import java_stderr, jvm

LOOPBACK = "127.0.0.1"
"""The loopback address, which only this machine can reach."""

PROTECTED = {
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.authEngineVersion": "2",
    "spark.network.crypto.saslFallback": "false",
    "spark.io.encryption.enabled": "true",
}
"""Settings for authenticated and encrypted connections, and encrypted shuffle and spill files. A
standalone cluster's master and workers need the same settings."""

# Spark requires the setting, but uses the secret from the environment, which is not displayed.
_SECRET_BYTES = 1 << 16
_SECRET, _SECRET_VARIABLE = "spark.authenticate.secret", "_SPARK_AUTH_SECRET"

# Signals that end a program. PySpark itself shields its JVM from Ctrl-C.
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

# PySpark's error for a JVM that ended before it answered.
_UNREGISTERED = "spark-application-"  # with the time, where a master has given no id
_NO_JVM = "JAVA_GATEWAY_EXITED"

# Environment variable with Spark's own address, whatever this machine's name resolves to.
_ADDRESS_VARIABLE, _NAME_VARIABLE = "SPARK_LOCAL_IP", "SPARK_LOCAL_HOSTNAME"


def is_local(master: str) -> bool:
    """Whether all of Spark runs on this machine."""
    return master.partition("[")[0] in ("local", "local-cluster")


def is_guarded(spark: SparkSession) -> bool:
    """Whether the session's processes can be reached by others, who must know a secret."""
    context = spark.sparkContext
    authenticates = context.getConf().get("spark.authenticate") == "true"
    return authenticates and not is_local(str(context.master))


def connections(master: str, secret_file: Path | None = None) -> dict[str, str]:
    """Spark settings for who may connect to a session on this master.

    A local session listens on the loopback address; with a single process (`local`) Spark generates
    a secret. Others are PROTECTED if a file with the cluster's secret is given.
    """
    loopback = {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
    settings = loopback if is_local(master) else {}
    if master.partition("[")[0] == "local":
        return {**settings, "spark.authenticate": "true"}
    if secret_file is not None:
        return {**settings, **PROTECTED, _SECRET: f"in {_SECRET_VARIABLE}"}
    return settings


def launch(
    app_name: str, master: str, conf: Mapping[str, str], secret_file: Path | None = None
) -> SparkSession:
    """A SparkSession with the settings of `connections`, overridden by this configuration.

    Raises InvalidSession if the file with the cluster's secret cannot be read, this process already
    has a JVM without the secret, the master refuses the connection, or Java has another version.
    """
    builder = SparkSession.builder.appName(app_name).master(master)
    for name, value in {**connections(master, secret_file), **conf}.items():
        builder = builder.config(name, value)
    with _environment(master, secret_file), _left_alone():
        try:
            with jvm.answering():
                spark = builder.getOrCreate()
        except (Py4JJavaError, PySparkRuntimeError) as error:
            if getattr(error, "error_class", None) == _NO_JVM:
                raise InvalidSession(jvm.start_complaint()) from error
            reason = error.java_exception if isinstance(error, Py4JJavaError) else error
            raise _refusal(master, str(reason)) from error
    java_context: Any = spark.sparkContext._jsc
    context = java_context.sc()
    # A context that no master has registered stops soon, in a thread of its own.
    if context.isStopped() or context.applicationId().startswith(_UNREGISTERED):
        spark.stop()
        raise _refusal(master, "it never answered")
    _demand_token(spark)
    return spark


@contextmanager
def _environment(master: str, secret_file: Path | None) -> Iterator[None]:
    """Set the environment with the address and the cluster's secret for a JVM that is started in
    the body.
    """
    variables: dict[str, str | None] = {}
    if is_local(master):
        variables = {_ADDRESS_VARIABLE: LOOPBACK, _NAME_VARIABLE: None}
    if secret_file is not None:
        variables[_SECRET_VARIABLE] = _read_secret(secret_file)
        _check_launched(variables)
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


@contextmanager
def _left_alone() -> Iterator[None]:
    """Let a JVM that is started in the body ignore signals that end a program, as service managers
    send them to all processes of a service: Python ends the JVM. A JVM whose start is interrupted
    is ended at once, as nothing could connect to it any more.
    """
    launcher: Any = java_gateway
    usual = launcher.Popen
    launched: list[Any] = []

    def popen(command: Any, preexec_fn: Callable[[], object] = lambda: None, **options: Any) -> Any:
        def prepare() -> None:
            preexec_fn()
            for number in _ENDING - {signal.SIGINT}:
                signal.signal(number, signal.SIG_IGN)

        with _signals_deferred():
            process = java_stderr.launch(usual, command, preexec_fn=prepare, **options)
            launched.append(process)
        return launched[-1]

    launcher.Popen = popen
    try:
        yield
    except BaseException:
        gateway: Any = SparkContext._gateway
        for process in launched if gateway is None else ():
            process.kill()
            process.wait()
        raise
    finally:
        launcher.Popen = usual


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Defer signals to the end of the body: a handler that raises while a process is launched would
    lose track of the running process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _ENDING}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in received:
            signal.raise_signal(late)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _read_secret(file: Path) -> str:
    """The single line of the file, which is only passed to the JVM's environment."""
    try:
        if not file.is_file():
            raise FileNotFoundError
        with file.open("rb") as opened:
            content = opened.read(_SECRET_BYTES + 1)
        text = content.decode("utf-8").strip() if len(content) <= _SECRET_BYTES else ""
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({type(error).__name__})"
    else:
        if text and text.isprintable():
            return text
        reason = "does not hold a single line of text"
    message = (
        f"The file with the Spark cluster's secret, {file}, {reason}. It must hold the secret of"
        " the cluster's master and workers in a single line. Fix it, or name another file."
    )
    raise InvalidSession(message)


def _check_launched(variables: Mapping[str, str | None]) -> None:
    """Raise InvalidSession if this process already has a JVM without the secret."""
    gateway: Any = SparkContext._gateway
    if gateway is None:
        return
    if gateway.jvm.java.lang.System.getenv(_SECRET_VARIABLE) != variables[_SECRET_VARIABLE]:
        message = (
            "The JVM of this process was started without the secret of the Spark cluster, which"
            " cannot be set later. Create the session in a new process."
        )
        raise InvalidSession(message)


def _refusal(master: str, reason: str) -> InvalidSession:
    """The error for a session that Spark could not create."""
    first = " ".join(reason.splitlines()[0].split())[:200].rstrip(".:")
    remedy = (
        "Its output says why; if the machine was busy, try again."
        if is_local(master)
        else "The master must run, and if it requires a secret we must have the same one. Check its"
        " address and the file with its secret."
    )
    return InvalidSession(
        f"Spark could not create a session on the master {master} ({first}). {remedy}"
    )


def _demand_token(spark: SparkSession) -> None:
    """Let Python's callback server only accept connections from the session's JVM.

    py4j requires a token from clients of the JVM, but not from clients of Python, and its JVM drops
    the token when Python's port is set.
    """
    gateway: Any = spark.sparkContext._gateway
    if not isinstance(gateway, ClientServer):
        return
    token = gateway.gateway_parameters.auth_token
    gateway.python_parameters.auth_token = token
    start_callbacks: Any = java_gateway.ensure_callback_server_started
    start_callbacks(gateway)
    client = JavaObject("GATEWAY_SERVER", gateway._gateway_client).getCallbackClient()
    field = client.getClass().getSuperclass().getDeclaredField("authToken")
    field.setAccessible(True)
    field.set(client, token)
