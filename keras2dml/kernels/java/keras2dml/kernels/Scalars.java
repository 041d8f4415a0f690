package keras2dml.kernels;

import org.apache.sysds.runtime.functionobjects.IntegerDivide;
import org.apache.sysds.runtime.functionobjects.Modulus;

/** Operations on numbers as SystemDS has them, where Java's are others. */
public final class Scalars {
	private static final IntegerDivide QUOTIENT = IntegerDivide.getFnObject();
	private static final Modulus REMAINDER = Modulus.getFnObject();

	private Scalars() {}

	public static double power(double x, double y) {
		return y == 2 ? x * x : Math.pow(x, y);
	}

	/** x %/% y */
	public static double quotient(double x, double y) {
		return QUOTIENT.execute(x, y);
	}

	/** x %% y */
	public static double remainder(double x, double y) {
		return REMAINDER.execute(x, y);
	}
}
