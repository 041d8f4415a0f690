package keras2dml.kernels.float32;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** The vectors of this machine, of up to 512 bits. */
final class Lanes {
	static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED.vectorBitSize() > 512 ? FloatVector.SPECIES_512
		: FloatVector.SPECIES_PREFERRED;
	static final int COUNT = SPECIES.length();
	/** Whether the JVM compiles vectors to instructions: a JVM with its first compiler alone makes an object of each. */
	static final boolean FAST = !System.getProperty("java.vm.info", "").contains("emulated-client") && COUNT >= 2;

	/** Up to here each whole number is one of ours. */
	static final double WHOLE = Float.SIZE == 32 ? 1L << 24 : 1L << 53;

	private Lanes() {}

	/** A number of a script as one of ours: a whole number, which may count something, exactly, or not here. */
	static float number(double value) {
		float ours = (float) value;
		if(Math.abs(value) > WHOLE && ours != value && value == Math.rint(value) && Math.abs(value) < 1L << 53)
			throw new Buffer.TooLarge();
		return ours;
	}

	/** Numbers from 1 to a count are ours. */
	static void checkCount(long count) {
		if(count > WHOLE)
			throw new Buffer.TooLarge();
	}
}
