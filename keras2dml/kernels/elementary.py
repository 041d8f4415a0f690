"""Generates the Java of exp, log and tanh on vectors.

Java's own differ in the last bit between its interpreter and its compilers, so that a training
would depend on when a loop is compiled. These consist of operations that IEEE 754 defines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_OPERATORS = "jdk.incubator.vector.VectorOperators"
_EXP, _LOG = (
    "e to the power of x: 2 to the power of a whole number n, times a Taylor series.",
    "The natural logarithm: n times that of 2, and the series of 2 artanh(s), s = (m - 1)/(m + 1).",
)


@dataclass(frozen=True)
class _Format:
    """A format of numbers, and how many terms of each series it takes."""

    number: str
    vector: str
    bits: str
    suffix: str
    mantissa: int
    bias: int
    exp_terms: int
    log_terms: int
    lowest: float
    highest: float

    def literal(self, value: float) -> str:
        """A constant of this format."""
        return f"{value!r}{self.suffix}"

    @property
    def ln2(self) -> tuple[str, str]:
        """The logarithm of 2, and what this format leaves of it."""
        if self.number == "float":
            return "0x1.62e43p-1f", "-0x1.05c61p-29f"
        return "0x1.62e42fefa39efp-1", "0x1.abc9e3b39803fp-56"


_SINGLE = _Format("float", "Float", "Int", "f", 23, 127, 7, 6, -104, 89)
_DOUBLE = _Format("double", "Double", "Long", "d", 52, 1023, 13, 12, -746, 710)


def elementary(*, single: bool) -> str:
    """The class `Elementary` in single or double precision."""
    form = _SINGLE if single else _DOUBLE
    vector, bits, number = f"{form.vector}Vector", f"{form.bits}Vector", form.number
    magic = form.literal(1.5 * 2.0**form.mantissa)
    word = "int" if single else "long"
    high, low = form.ln2
    powers = [form.literal(1 / math.factorial(k)) for k in range(form.exp_terms, 1, -1)]
    roots = [form.literal(1 / (2 * k + 1)) for k in range(form.log_terms - 1, 0, -1)]
    package = "float32" if single else "float64"
    as_bits = f"reinterpretAs{form.bits}s()"
    as_numbers = f"reinterpretAs{form.vector}s()"
    raw = f"{form.vector}.{number}ToRaw{form.bits}Bits"
    zero, broadcast = form.literal(0), f"{vector}.broadcast(Lanes.SPECIES"
    operators = ("EQ", "GE", "LSHL", "LSHR", "LT")
    imports = "\n".join(f"import static {_OPERATORS}.{name};" for name in operators)
    least = f"{form.vector}.MIN_NORMAL"
    lift, lifted = form.literal(2.0 ** (form.mantissa + 2)), form.literal(form.mantissa + 2.0)
    return f"""package keras2dml.kernels.{package};

import jdk.incubator.vector.{vector};
import jdk.incubator.vector.{bits};
import jdk.incubator.vector.VectorMask;

{imports}

/** Functions of vectors whose bits do not depend on how Java runs them. Generated. */
final class Elementary {{
	private static final {number} MAGIC = {magic}, LOG2E = {form.literal(math.log2(math.e))};
	private static final {number} LN2 = {high}, REST = {low};
	private static final {vector} MINUS_LN2 = {broadcast}, -LN2);
	private static final {vector} MINUS_REST = {broadcast}, -REST);
	/** The bits of the square root of a half, from which on a mantissa counts, and of one. */
	private static final {word} ROOT = {raw}({form.literal(math.sqrt(0.5))}), BIAS = {raw}(1);

	private Elementary() {{}}

	/** {_EXP} */
	static {vector} exp({vector} x) {{
		{vector} in = x.max({form.literal(form.lowest)}).min({form.literal(form.highest)});
		{vector} shifted = in.mul(LOG2E).add(MAGIC);
		{vector} whole = shifted.sub(MAGIC);
		{bits} n = shifted.{as_bits}.sub({raw}(MAGIC));
		{vector} power = series(remainder(in, whole)).add(1);
		{bits} half = n.add({2 * form.bias + 2}).lanewise(LSHR, 1).sub({form.bias + 1});
		return power.mul(powerOfTwo(half)).mul(powerOfTwo(n.sub(half)));
	}}

	/** The hyperbolic tangent: e/(e + 2) for e = exp(2 x) - 1, which is exact near 0, too. */
	static {vector} tanh({vector} x) {{
		{vector} in = x.max({form.literal(-44)}).min({form.literal(44)}).mul(2);
		{vector} shifted = in.mul(LOG2E).add(MAGIC);
		{vector} whole = shifted.sub(MAGIC);
		{vector} power = powerOfTwo(shifted.{as_bits}.sub({raw}(MAGIC)));
		{vector} e = series(remainder(in, whole)).fma(power, power.sub(1));
		return e.div(e.add(2));
	}}

	/** {_LOG} */
	static {vector} log({vector} x) {{
		VectorMask<{form.vector}> small = x.compare(LT, {least});
		{vector} in = x.blend(x.mul({lift}), small);
		{bits} words = in.{as_bits};
		{bits} scale = words.add(BIAS - ROOT).lanewise(LSHR, {form.mantissa});
		{bits} exponent = scale.sub({form.bias}).lanewise(LSHL, {form.mantissa});
		{vector} m = words.sub(exponent).{as_numbers};
		{vector} n = scale.add({raw}(MAGIC)).{as_numbers}.sub(MAGIC).sub({form.literal(form.bias)});
		n = n.blend(n.sub({lifted}), small);
		{vector} s = m.sub(1).div(m.add(1)), twice = s.add(s);
		{vector} log = twice.fma(artanh(s.mul(s)), n.mul(REST)).add(twice).add(n.mul(LN2));
		log = log.blend(x, x.compare(EQ, {form.vector}.POSITIVE_INFINITY));
		log = log.blend({form.vector}.NEGATIVE_INFINITY, x.compare(EQ, {zero}));
		return log.blend({form.vector}.NaN, x.compare(GE, {zero}).not());
	}}

	private static {vector} remainder({vector} x, {vector} whole) {{
		return whole.fma(MINUS_REST, whole.fma(MINUS_LN2, x));
	}}

	/** exp(r) - 1 for |r| up to half of the logarithm of 2. */
	private static {vector} series({vector} r) {{
		{vector} sum = {_horner(vector, "r", powers)};
		return sum.fma(r.mul(r), r);
	}}

	/** artanh(s)/s - 1, of the square of s; apart from `log`: Java inlines short methods. */
	private static {vector} artanh({vector} z) {{
		{vector} sum = {_horner(vector, "z", roots)};
		return sum.mul(z);
	}}

	private static {vector} powerOfTwo({bits} n) {{
		return n.add({form.bias}).lanewise(LSHL, {form.mantissa}).{as_numbers};
	}}
}}
"""


def _horner(vector: str, variable: str, coefficients: list[str]) -> str:
    """A polynomial, from the coefficient of its highest power to that without one."""
    first, *rest = (f"{vector}.broadcast(Lanes.SPECIES, {value})" for value in coefficients)
    return first + "".join(f".fma({variable}, {value})" for value in rest)
