package keras2dml.kernels.float32;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** The vectors of this machine. */
final class Lanes {
	static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
	static final int COUNT = SPECIES.length();
	/** Whether the JVM compiles vectors to instructions: a JVM with its first compiler alone makes an object of each. */
	static final boolean FAST = !System.getProperty("java.vm.info", "").contains("emulated-client") && COUNT >= 2;

	private Lanes() {}
}
