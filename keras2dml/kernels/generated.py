"""The Java that is generated: a loop for each operation on cells, and the tiles of products."""

from __future__ import annotations

from collections.abc import Mapping

ROWS = 6
"""Rows of a tile. With two vectors a row it fills the sixteen registers of AVX2."""
VECTORS = 2

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
    "EXP": ("x.lanewise(VectorOperators.EXP)", "(float) Math.exp(x)"),
    "LOG": ("x.lanewise(VectorOperators.LOG)", "(float) Math.log(x)"),
    "TANH": ("x.lanewise(VectorOperators.TANH)", "(float) Math.tanh(x)"),
    "SIGMOID": (
        "ONE.div(x.neg().lanewise(VectorOperators.EXP).add(ONE))",
        "(float) (1 / (1 + Math.exp(-x)))",
    ),
    "SPROP": ("x.mul(ONE.sub(x))", "x * (1 - x)"),
    "POW2": ("x.mul(x)", "x * x"),
    "MULT2": ("x.add(x)", "x + x"),
    "NOT": ("ZERO.blend(ONE, x.compare(VectorOperators.EQ, ZERO))", "x == 0 ? 1 : 0"),
    "SIGN": (None, "Math.signum(x)"),
    "SIN": ("x.lanewise(VectorOperators.SIN)", "(float) Math.sin(x)"),
    "COS": ("x.lanewise(VectorOperators.COS)", "(float) Math.cos(x)"),
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
    if vector is not None and "VectorOperators." in vector and "compare" not in vector:
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


def tiles() -> str:
    """The class `Tiles`: up to ROWS rows times VECTORS vectors of sums, in registers.

    One loop a method: the compiler keeps vectors in registers no longer where there are two.
    """
    methods = [_tile(rows, table) for table in ("a", "b") for rows in range(1, ROWS + 1)]
    cases = {
        table: "\n".join(
            f"\t\t\tcase {rows}: {table}{rows}({_CALLED[table]}); break;"
            for rows in range(1, ROWS + 1)
        )
        for table in ("a", "b")
    }
    return f"""package keras2dml.kernels.float32;

import jdk.incubator.vector.FloatVector;

/** Tiles of a product: c += a * b for a few rows and {VECTORS} vectors of columns. Generated. */
final class Tiles {{
	static final int ROWS = {ROWS};
	private static final int L = Lanes.COUNT;
	static final int COLS = {VECTORS} * L;

	static int rounded(int cols) {{
		return (cols + COLS - 1) / COLS * COLS;
	}}

	/** How many tiles there are of so many rows, as even as they can be. */
	static int count(int rows) {{
		return (rows + ROWS - 1) / ROWS;
	}}

	/** The first row of a tile. */
	static int first(int tile, int rows) {{
		return (int) ((long) tile * rows / count(rows));
	}}

	/** Factor a of step k and row i: a[ai + at[ti + k] + i * step]; b of it from bi + k * ldb. */
	static void a(int rows, {_PARAMETERS["a"]}) {{
		switch(rows) {{
{cases["a"]}
		}}
	}}

	/** Factor a of step k and row i: a[ai + k * step + i]; b of it from bi + at[ti + k]. */
	static void b(int rows, {_PARAMETERS["b"]}) {{
		switch(rows) {{
{cases["b"]}
		}}
	}}
{"".join(methods)}}}
"""


_PARAMETERS = {
    "a": "int n, float[] a, int ai, int[] at, int ti, int step,"
    " float[] b, int bi, int ldb, float[] c, int ci, int ldc",
    "b": "int n, float[] a, int ai, int step, float[] b, int bi, int[] at, int ti,"
    " float[] c, int ci, int ldc",
}
_CALLED = {
    "a": "n, a, ai, at, ti, step, b, bi, ldb, c, ci, ldc",
    "b": "n, a, ai, step, b, bi, at, ti, c, ci, ldc",
}


def _tile(rows: int, table: str) -> str:
    sums = [(row, vector) for row in range(rows) for vector in range(VECTORS)]
    lines = [f"\n\tprivate static void {table}{rows}({_PARAMETERS[table]}) {{"]
    if table == "a":
        lines += [f"\t\tfinal int o{row} = {row} * step;" for row in range(rows)]
    load = "FloatVector.fromArray(Lanes.SPECIES, {}, {})"
    lines += [
        f"\t\tFloatVector c{row}{vector} = "
        + load.format("c", f"ci + {row} * ldc + {vector} * L")
        + ";"
        for row, vector in sums
    ]
    lines.append("\t\tfor(int k = 0; k < n; k++) {")
    lines.append(f"\t\t\tint p = {'ai + at[ti + k]' if table == 'a' else 'bi + at[ti + k]'};")
    start = "bi" if table == "a" else "p"
    lines += [
        f"\t\t\tFloatVector b{vector} = {load.format('b', f'{start} + {vector} * L')};"
        for vector in range(VECTORS)
    ]
    for row in range(rows):
        place = f"p + o{row}" if table == "a" else f"ai + {row}"
        lines.append(
            f"\t\t\tFloatVector a{row} = FloatVector.broadcast(Lanes.SPECIES, a[{place}]);"
        )
        lines += [
            f"\t\t\tc{row}{vector} = a{row}.fma(b{vector}, c{row}{vector});"
            for vector in range(VECTORS)
        ]
    lines.append("\t\t\tbi += ldb;" if table == "a" else "\t\t\tai += step;")
    lines.append("\t\t}")
    lines += [
        f"\t\tc{row}{vector}.intoArray(c, ci + {row} * ldc + {vector} * L);" for row, vector in sums
    ]
    return "\n".join([*lines, "\t}\n"])
