"""Spark SQL expressions that read the parts of a record exactly as the contract's codecs do."""

from __future__ import annotations

from contract.wire import headers
from contract.wire.values import times


def once(value: str, name: str, then: str) -> str:
    """The expression `then`, in which `name` stands for `value`, which is computed once."""
    return f"transform(array({value}), {name} -> {then})[0]"


def text(value: str) -> str:
    """Bytes as text; null where they are not UTF-8, which other readers of the tables reject."""
    whole = "if(encode(decode(b, 'UTF-8'), 'UTF-8') = b, decode(b, 'UTF-8'), null)"
    return once(value, "b", whole)


def header(name: str) -> str:
    """The value of the header with this name as text; null unless there is exactly one."""
    same_name = f"filter(headers, h -> h.key = '{name}')"
    return text(once(same_name, "f", "if(size(f) = 1, f[0].value, null)"))


_RFC_3339 = (
    r"^(?!0000)\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?"
    r"(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)\\z"
)


def time(text: str) -> str:
    """The timestamp of an RFC 3339 text, as `contract.wire.values.times` reads it, else null."""
    zone = "if(endswith(t, 'Z'), 'Z', right(t, 6))"
    # A leap second becomes the second after it; only six digits of a fraction count.
    leap, fraction = "substr(t, 18, 2) = '60'", "substr(t, 20, length(t) - 19 - length(zone))"
    seconds = f"if({leap}, '59', substr(t, 18, 2))"
    plain = f"concat(left(t, 17), {seconds}, left({fraction}, 7), 'Z')"
    ahead = "int(concat(left(zone, 1), substr(zone, 2, 2) * 60 + substr(zone, 5, 2)))"
    moment = (
        f"unix_micros(try_cast({plain} AS TIMESTAMP)) + if({leap}, 1000000, 0) "
        f"- if(zone = 'Z', 0, {ahead}) * 60000000L"
    )
    nearest = f"least(greatest(m, {times.EARLIEST_US}), {times.LATEST_US})"
    within = f"if(m IS NULL, null, timestamp_micros({nearest}))"
    parsed_time = once(zone, "zone", once(moment, "m", within))
    return once(f"upper({text})", "t", f"if(t RLIKE '{_RFC_3339}', {parsed_time}, null)")


def has_attributes() -> str:
    """Whether an event has all its attributes, as `contract.wire.headers` reads them."""
    version = header(headers.SPECVERSION)
    no_version = f"NOT exists(headers, h -> h.key = '{headers.SPECVERSION}')"
    return " AND ".join(
        [
            *(f"{header(name)} <> ''" for name in headers.REQUIRED),
            f"{time(header(headers.TIME))} IS NOT NULL",
            f"({no_version} OR {version} = '{headers.VERSION}')",
        ]
    )


def readable(columns: dict[str, str]) -> tuple[str, ...]:
    """The columns where `readable` is true; elsewhere the record is in `unread`."""
    fields = (f"if(readable, {value}, null) AS {name}" for name, value in columns.items())
    raw = "if(readable, null, named_struct('key', key, 'value', value, 'headers', headers))"
    own = ("partition AS record_partition", "offset AS record_offset", "timestamp AS record_time")
    return (*fields, *own, f"{raw} AS unread")


def spelled(name: str, pattern: str) -> str:
    """The value of a header as text; null unless the pattern matches all of it."""
    return once(header(name), "n", rf"if(n RLIKE '^{pattern}\\z', n, null)")


# In PERMISSIVE mode a member of another type is null; without this option 'x' would also be text.
_STRICT = "map('allowSingleQuotes', 'false')"


def parsed(value: str, schema: str) -> str:
    """A JSON text parsed by a schema."""
    return f"from_json({value}, '{schema}', {_STRICT})"


def class_of(value: str, name: str, as_text: str) -> str:
    """The class in the member `name` of a JSON text, a number in its canonical spelling, as
    `contract.wire.values.fields.label` reads it, else null. `as_text` is that member, read as text.

    Most classes are digits or a word. Only what may be a number in another spelling, or not a class
    at all, is parsed again.
    """

    def read_as(kind: str) -> str:
        return f"{parsed(value, f'{name} {kind}')}.{name}"

    whole = "c = floor(c) AND c >= -9223372036854775808D AND c < 9223372036854775808D"
    number = once(
        read_as("DOUBLE"),
        "c",
        f"if(c IS NULL, {as_text}, if({whole}, cast(cast(c AS BIGINT) AS STRING), null))",
    )
    integer = f"coalesce(cast({read_as('BIGINT')} AS STRING), {number})"
    other = " OR ".join(
        f"{read_as(kind)} IS NOT NULL" for kind in ("MAP<STRING, STRING>", "ARRAY<STRING>")
    )
    return (
        f"CASE WHEN {as_text} RLIKE '^(0|[1-9][0-9]{{0,17}})\\\\z' THEN {as_text} "
        f"WHEN {as_text} RLIKE '^-?[0-9]' THEN {integer} "
        f"WHEN {as_text} IN ('true', 'false') "
        f"THEN if({read_as('BOOLEAN')} IS NULL, {as_text}, null) "
        f"WHEN {as_text} RLIKE '^[{{\\\\[]' THEN if({other}, null, {as_text}) "
        f"ELSE {as_text} END"
    )
