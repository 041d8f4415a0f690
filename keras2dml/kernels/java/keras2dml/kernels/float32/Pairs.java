package keras2dml.kernels.float32;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import keras2dml.kernels.Window;

/** Maxima of two by two pixels, and their gradient. */
final class Pairs {
	private static final int L = Lanes.COUNT;
	/** The first of each pair in a vector, or in a second one, and each number twice: of the first half, or the second. */
	private static final VectorShuffle<Float> EVEN = VectorShuffle.fromOp(Lanes.SPECIES, i -> 2 * i % L);
	private static final VectorShuffle<Float> ODD = VectorShuffle.fromOp(Lanes.SPECIES, i -> (2 * i + 1) % L);
	private static final VectorShuffle<Float> TWICE = VectorShuffle.fromOp(Lanes.SPECIES, i -> i / 2);
	private static final VectorShuffle<Float> SWAPPED = VectorShuffle.fromOp(Lanes.SPECIES, i -> i ^ 1);
	private static final VectorMask<Float> SECOND_HALF = VectorMask.fromLong(Lanes.SPECIES, -1L << L / 2);
	private static final VectorMask<Float> FIRSTS = VectorMask.fromLong(Lanes.SPECIES, 0x5555555555555555L);

	private Pairs() {}

	static boolean suit(Window w) {
		return w.R == 2 && w.S == 2 && w.strideH == 2 && w.strideW == 2 && w.padH == 0 && w.padW == 0 && w.H % 2 == 0 && w.W % 2 == 0;
	}

	/** Maxima of pairs of rows of some width. */
	static void forward(float[] x, int from, float[] out, int to, int pairs, int width) {
		for(int row = 0; row < pairs; row++, from += 2 * width, to += width / 2)
			forward(x, from, from + width, out, to, width / 2);
	}

	private static void forward(float[] x, int top, int bottom, float[] out, int to, int count) {
		int j = 0;
		if(Lanes.FAST)
			for(; j <= count - L; j += L) {
				FloatVector a = load(x, top + 2 * j).max(load(x, bottom + 2 * j));
				FloatVector b = load(x, top + 2 * j + L).max(load(x, bottom + 2 * j + L));
				FloatVector evens = a.rearrange(EVEN).blend(b.rearrange(EVEN), SECOND_HALF);
				FloatVector odds = a.rearrange(ODD).blend(b.rearrange(ODD), SECOND_HALF);
				evens.max(odds).intoArray(out, to + j);
			}
		for(; j < count; j++)
			out[to + j] = Math.max(Math.max(x[top + 2 * j], x[top + 2 * j + 1]), Math.max(x[bottom + 2 * j], x[bottom + 2 * j + 1]));
	}

	/** The gradient of the first of the largest. */
	static void backward(float[] x, float[] out, int from, float[] gradient, int at, int pairs, int width) {
		for(int row = 0; row < pairs; row++, from += 2 * width, at += width / 2)
			backward(x, out, from, from + width, gradient, at, width);
	}

	private static void backward(float[] x, float[] out, int top, int bottom, float[] gradient, int at, int width) {
		int j = 0;
		if(Lanes.FAST)
			for(; j <= width - L; j += L) {
				FloatVector a = load(x, top + j), b = load(x, bottom + j), both = a.max(b);
				FloatVector most = both.max(both.rearrange(SWAPPED)), g = load(gradient, at + j / 2).rearrange(TWICE);
				VectorMask<Float> above = a.compare(VectorOperators.EQ, most), below = b.compare(VectorOperators.EQ, most);
				FloatVector zero = FloatVector.zero(Lanes.SPECIES);
				FloatVector aboveOnes = zero.blend(1, above), belowOnes = zero.blend(1, below);
				// A second of a pair counts if the first does not; below counts if nothing above does.
				FloatVector aboveFirst = aboveOnes.rearrange(SWAPPED), belowFirst = belowOnes.rearrange(SWAPPED);
				FloatVector chosen = aboveOnes.blend(aboveOnes.mul(aboveFirst.neg().add(1)), FIRSTS.not());
				FloatVector none = aboveOnes.max(aboveFirst).neg().add(1);
				FloatVector lower = belowOnes.blend(belowOnes.mul(belowFirst.neg().add(1)), FIRSTS.not()).mul(none);
				zero.blend(g, chosen.compare(VectorOperators.NE, 0)).intoArray(out, top + j);
				zero.blend(g, lower.compare(VectorOperators.NE, 0)).intoArray(out, bottom + j);
			}
		for(; j < width; j += 2) {
			float a = x[top + j], b = x[top + j + 1], c = x[bottom + j], d = x[bottom + j + 1], g = gradient[at + j / 2];
			float most = Math.max(Math.max(a, b), Math.max(c, d));
			boolean first = a == most, second = !first && b == most, third = !first && !second && c == most;
			out[top + j] = first ? g : 0;
			out[top + j + 1] = second ? g : 0;
			out[bottom + j] = third ? g : 0;
			out[bottom + j + 1] = !first && !second && !third && d == most ? g : 0;
		}
	}

	private static FloatVector load(float[] x, int at) {
		return FloatVector.fromArray(Lanes.SPECIES, x, at);
	}
}
