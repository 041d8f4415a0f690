"""Generates the Java of operations on cells, a loop for each."""

from __future__ import annotations

from collections.abc import Mapping

_ONE_IF = "ZERO.blend(ONE, x.compare(VectorOperators.{}, y))"

# Name of SystemDS: on vectors (None where there is no such operation), and on numbers.
BINARY = {
    "PLUS": ("x.add(y)", "x + y"),
    "MINUS": ("x.sub(y)", "x - y"),
    "MULT": ("x.mul(y)", "x * y"),
    "DIV": ("x.div(y)", "x / y"),
    "MAX": ("x.max(y)", "Math.max(x, y)"),
    "MIN": ("x.min(y)", "Math.min(x, y)"),
    "GREATER": (_ONE_IF.format("GT"), "x > y ? 1 : 0"),
    "GREATEREQUAL": (_ONE_IF.format("GE"), "x >= y ? 1 : 0"),
    "LESS": (_ONE_IF.format("LT"), "x < y ? 1 : 0"),
    "LESSEQUAL": (_ONE_IF.format("LE"), "x <= y ? 1 : 0"),
    "EQUAL": (_ONE_IF.format("EQ"), "x == y ? 1 : 0"),
    "NOTEQUAL": (_ONE_IF.format("NE"), "x != y ? 1 : 0"),
    "MINUS1_MULT": ("ONE.sub(x.mul(y))", "1 - x * y"),
    "AND": (None, "x != 0 && y != 0 ? 1 : 0"),
    "OR": (None, "x != 0 || y != 0 ? 1 : 0"),
    "XOR": (None, "(x != 0) != (y != 0) ? 1 : 0"),
    "POW": (None, "(float) Scalars.power(x, y)"),
    "INTDIV": (None, "(float) Scalars.quotient(x, y)"),
    "MODULUS": (None, "(float) Scalars.remainder(x, y)"),
    "LOG2": (None, "(float) (Math.log(x) / Math.log(y))"),
    "MINUS_NZ": (None, "x == 0 ? 0 : x - y"),
}

UNARY = {
    "COPY": ("x", "x"),
    "ABS": ("x.abs()", "Math.abs(x)"),
    "SQRT": ("x.sqrt()", "(float) Math.sqrt(x)"),
    "EXP": ("Elementary.exp(x)", "(float) Math.exp(x)"),
    "LOG": ("Elementary.log(x)", "(float) Math.log(x)"),
    "TANH": ("Elementary.tanh(x)", "(float) Math.tanh(x)"),
    "SIGMOID": (
        "ONE.div(Elementary.exp(x.neg()).add(ONE))",
        "(float) (1 / (1 + Math.exp(-x)))",
    ),
    "SPROP": ("x.mul(ONE.sub(x))", "x * (1 - x)"),
    "POW2": ("x.mul(x)", "x * x"),
    "MULT2": ("x.add(x)", "x + x"),
    "NOT": ("ZERO.blend(ONE, x.compare(VectorOperators.EQ, ZERO))", "x == 0 ? 1 : 0"),
    "SIGN": (None, "Math.signum(x)"),
    "SIN": (None, "(float) Math.sin(x)"),
    "COS": (None, "(float) Math.cos(x)"),
    "TAN": (None, "(float) Math.tan(x)"),
    "SINH": (None, "(float) Math.sinh(x)"),
    "COSH": (None, "(float) Math.cosh(x)"),
    "ASIN": (None, "(float) Math.asin(x)"),
    "ACOS": (None, "(float) Math.acos(x)"),
    "ATAN": (None, "(float) Math.atan(x)"),
    "FLOOR": (None, "(float) Math.floor(x)"),
    "CEIL": (None, "(float) Math.ceil(x)"),
    "ROUND": (None, "Math.round((double) x)"),
    "ISNA": (None, "x != x ? 1 : 0"),
    "ISNAN": (None, "x != x ? 1 : 0"),
    "ISINF": (None, "x - x != 0 && x == x ? 1 : 0"),
    "LOG_NZ": (None, "x == 0 ? 0 : (float) Math.log(x)"),
}

TERNARY = {
    "PLUS_MULT": ("x.add(y.mul(z))", "x + y * z"),
    "MINUS_MULT": ("x.sub(y.mul(z))", "x - y * z"),
    "IFELSE": ("z.blend(y, x.compare(VectorOperators.NE, ZERO))", "x != 0 ? y : z"),
}

KINDS: Mapping[int, Mapping[str, tuple[str | None, str]]] = {1: UNARY, 2: BINARY, 3: TERNARY}
_OPERANDS = (("x", "a", "ai"), ("y", "b", "bi"), ("z", "c", "ci"))


def cells() -> str:
    """The class `Cells`: operations on cells, each a loop over `n` numbers."""
    loops = [
        _loop(name, vector, number, _OPERANDS[:arity])
        for arity, table in KINDS.items()
        for name, (vector, number) in table.items()
    ]
    names = [name for table in KINDS.values() for name in table]
    switches = [
        f"\t\t\tcase {names.index(name)}: {name}(d, di, "
        + ", ".join(f"{array}, {at}" for _, array, at in _OPERANDS[:arity])
        + ", n); break;"
        for arity, table in KINDS.items()
        for name in table
    ]
    parameters = ", ".join(f"float[] {array}, int {at}" for _, array, at in _OPERANDS)
    listed = ", ".join(f'"{name}"' for name in names)
    return "\n".join(
        [
            "package keras2dml.kernels.float32;",
            "",
            "import jdk.incubator.vector.FloatVector;",
            "import jdk.incubator.vector.VectorOperators;",
            "import keras2dml.kernels.Scalars;",
            "",
            "/** Operations on cells. Generated. */",
            "final class Cells {",
            f"\tstatic final String[] NAMES = {{{listed}}};",
            "\tprivate static final int L = Lanes.COUNT;",
            "\tprivate static final FloatVector ZERO = FloatVector.zero(Lanes.SPECIES);",
            "\tprivate static final FloatVector ONE = FloatVector.broadcast(Lanes.SPECIES, 1);",
            "",
            f"\tstatic void apply(int op, float[] d, int di, {parameters}, int n) {{",
            "\t\tswitch(op) {",
            *switches,
            '\t\t\tdefault: throw new IllegalArgumentException("operation " + op);',
            "\t\t}",
            "\t}",
            *loops,
            "}",
            "",
        ]
    )


def _loop(name: str, vector: str | None, number: str, operands: tuple[tuple[str, ...], ...]) -> str:
    parameters = ", ".join(f"float[] {array}, int {at}" for _, array, at in operands)
    lines = [f"\n\tprivate static void {name}(float[] d, int di, {parameters}, int n) {{"]
    lines.append("\t\tint i = 0;")
    if vector is not None:
        lines.append("\t\tif(Lanes.FAST) for(; i <= n - L; i += L) {")
        lines += [
            f"\t\t\tFloatVector {value} = FloatVector.fromArray(Lanes.SPECIES, {array}, {at} + i);"
            for value, array, at in operands
        ]
        lines += [f"\t\t\t{vector}.intoArray(d, di + i);", "\t\t}"]
    if vector is not None and "Elementary." in vector:
        # A number is the same wherever it is: vectors round these functions otherwise.
        lines += [
            "\t\tif(Lanes.FAST && i < n) {",
            "\t\t\tfloat[] rest = new float[L];",
            "\t\t\tSystem.arraycopy(a, ai + i, rest, 0, n - i);",
            "\t\t\tFloatVector x = FloatVector.fromArray(Lanes.SPECIES, rest, 0);",
            f"\t\t\t{vector}.intoArray(rest, 0);",
            "\t\t\tSystem.arraycopy(rest, 0, d, di + i, n - i);",
            "\t\t\treturn;",
            "\t\t}",
        ]
    lines.append("\t\tfor(; i < n; i++) {")
    lines += [f"\t\t\tfloat {value} = {array}[{at} + i];" for value, array, at in operands]
    lines += [f"\t\t\td[di + i] = {number};", "\t\t}", "\t}"]
    return "\n".join(lines)
