package keras2dml.kernels.float32;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Products of vectors. */
final class Dots {
	private static final int L = Lanes.COUNT;

	private Dots() {}

	static float dot(int n, float[] a, int ai, float[] b, int bi) {
		FloatVector s0 = FloatVector.zero(Lanes.SPECIES), s1 = s0;
		int i = 0;
		for(; i <= n - 2 * L; i += 2 * L) {
			s0 = FloatVector.fromArray(Lanes.SPECIES, a, ai + i).fma(FloatVector.fromArray(Lanes.SPECIES, b, bi + i), s0);
			s1 = FloatVector.fromArray(Lanes.SPECIES, a, ai + i + L)
				.fma(FloatVector.fromArray(Lanes.SPECIES, b, bi + i + L), s1);
		}
		float sum = s0.add(s1).reduceLanes(VectorOperators.ADD);
		for(; i < n; i++)
			sum += a[ai + i] * b[bi + i];
		return sum;
	}
}
