"""Generates the Java of tiles: of products, and of transposes."""

from __future__ import annotations

ROWS = 6
"""Rows of a tile. With two vectors a row it fills the sixteen registers of AVX2."""
VECTORS = 2


def tiles() -> str:
    """The class `Tiles`: up to ROWS rows times VECTORS vectors of sums, in registers.

    One loop a method: the compiler keeps vectors in registers no longer where there are two.
    """
    methods = [_tile(rows, table) for table in ("a", "b") for rows in range(1, ROWS + 1)]
    methods += map(_pack, range(1, ROWS + 1))
    copies = "\n".join(
        f"\t\t\tcase {rows}: pack{rows}(n, a, ai, step, out, oi); break;"
        for rows in range(1, ROWS + 1)
    )
    cases = {
        table: "\n".join(
            f"\t\t\tcase {rows}: {table}{rows}({_CALLED[table]}); break;"
            for rows in range(1, ROWS + 1)
        )
        for table in ("a", "b")
    }
    return f"""package keras2dml.kernels.float32;

import jdk.incubator.vector.FloatVector;

/**
 * Tiles of a product: c = a * b, or c += a * b, for a few rows and {VECTORS} vectors of columns.
 * Generated.
 */
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

	/** Put rows of a beside each other: out[oi + k * rows + i] = a[ai + i * step + k]. */
	static void pack(int rows, {_PACKED}) {{
		switch(rows) {{
{copies}
		}}
	}}
{"".join(methods)}}}
"""


_PACKED = "int n, float[] a, int ai, int step, float[] out, int oi"


_PARAMETERS = {
    "a": "int n, float[] a, int ai, int[] at, int ti, int step,"
    " float[] b, int bi, int ldb, float[] c, int ci, int ldc, boolean add",
    "b": "int n, float[] a, int ai, int step, float[] b, int bi, int[] at, int ti,"
    " float[] c, int ci, int ldc, boolean add",
}
_CALLED = {
    "a": "n, a, ai, at, ti, step, b, bi, ldb, c, ci, ldc, add",
    "b": "n, a, ai, step, b, bi, at, ti, c, ci, ldc, add",
}


def _pack(rows: int) -> str:
    lines = [f"\n\tprivate static void pack{rows}({_PACKED}) {{"]
    lines += [f"\t\tfinal int a{row} = ai + {row} * step;" for row in range(rows)]
    lines.append("\t\tfor(int k = 0; k < n; k++) {")
    lines += [f"\t\t\tout[oi + {rows} * k + {row}] = a[a{row} + k];" for row in range(rows)]
    return "\n".join([*lines, "\t\t}", "\t}\n"])


def _tile(rows: int, table: str) -> str:
    sums = [(row, vector) for row in range(rows) for vector in range(VECTORS)]
    lines = [f"\n\tprivate static void {table}{rows}({_PARAMETERS[table]}) {{"]
    if table == "a":
        lines += [f"\t\tfinal int o{row} = {row} * step;" for row in range(rows)]
    load = "FloatVector.fromArray(Lanes.SPECIES, {}, {})"
    lines += [
        f"\t\tFloatVector c{row}{vector} = FloatVector.zero(Lanes.SPECIES);" for row, vector in sums
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
    places = {(row, vector): f"ci + {row} * ldc + {vector} * L" for row, vector in sums}
    lines.append("\t\tif(add) {")
    lines += [
        f"\t\t\tc{row}{vector}.add({load.format('c', place)}).intoArray(c, {place});"
        for (row, vector), place in places.items()
    ]
    lines += ["\t\t\treturn;", "\t\t}"]
    lines += [
        f"\t\tc{row}{vector}.intoArray(c, {place});" for (row, vector), place in places.items()
    ]
    return "\n".join([*lines, "\t}\n"])


_SIDES = (2, 4, 8, 16)
"""Numbers in a vector, of which a machine has one."""
_SQUARE = "float[] a, int ai, int step, float[] d, int di, int stride"


def squares() -> str:
    """The class `Squares`: the transpose of as many rows as a vector has numbers.

    Each stage swaps the numbers of pairs of rows whose places differ in one bit.
    """
    stages = range(len(_SIDES))
    constant = "\tprivate static final Vector{}<Float> {}{} = {};\n"
    swap = "VectorShuffle.fromOp(Lanes.SPECIES, i -> (i ^ {}) % SIDE)"
    high = "VectorMask.fromLong(Lanes.SPECIES, {}L)"
    constants = [
        constant.format("Shuffle", "SWAP", stage, swap.format(1 << stage))
        + constant.format("Mask", "HIGH", stage, high.format(_high(stage)))
        + constant.format("Mask", "LOW", stage, f"HIGH{stage}.not()")
        for stage in stages
    ]
    cases = "\n".join(
        f"\t\t\tcase {side}: transpose{side}(a, ai, step, d, di, stride); break;" for side in _SIDES
    )
    return f"""package keras2dml.kernels.float32;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/** Transposes of squares. Generated. */
final class Squares {{
	static final int SIDE = Lanes.COUNT;
{"".join(constants)}

	/** d[di + j * stride + i] = a[ai + i * step + j] for SIDE rows and columns. */
	static void transpose({_SQUARE}) {{
		switch(SIDE) {{
{cases}
			default: throw new IllegalStateException("vectors of " + SIDE);
		}}
	}}
{"".join(map(_square, _SIDES))}}}
"""


def _high(stage: int) -> int:
    """The lanes whose number has a bit, as a mask."""
    return sum(1 << lane for lane in range(max(_SIDES)) if lane >> stage & 1)


def _square(side: int) -> str:
    lines = [f"\n\tprivate static void transpose{side}({_SQUARE}) {{"]
    lines += [
        f"\t\tFloatVector r{i} = FloatVector.fromArray(Lanes.SPECIES, a, ai + {i} * step);"
        for i in range(side)
    ]
    rows = [f"r{i}" for i in range(side)]
    for stage in range(side.bit_length() - 1):
        for low in range(side):
            if low >> stage & 1:
                continue
            high = low | 1 << stage
            upper, lower = f"s{stage}r{low}", f"s{stage}r{high}"
            mixed = "\t\tFloatVector {} = {}.blend({}.rearrange(SWAP{}), {}{});"
            lines += [
                mixed.format(upper, rows[low], rows[high], stage, "HIGH", stage),
                mixed.format(lower, rows[high], rows[low], stage, "LOW", stage),
            ]
            rows[low], rows[high] = upper, lower
    lines += [f"\t\t{row}.intoArray(d, di + {i} * stride);" for i, row in enumerate(rows)]
    return "\n".join([*lines, "\t}\n"])
