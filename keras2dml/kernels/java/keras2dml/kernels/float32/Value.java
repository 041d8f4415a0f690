package keras2dml.kernels.float32;

/** A matrix, in whatever form its consumers take best. Numbers are plain Doubles. */
interface Value {
	int rows();

	int cols();

	/** The matrix as numbers; this value keeps them, for as long as it is owned. */
	Tensor tensor();

	/** The same value for another owner. */
	Value own();

	/** An owner gives the value up. */
	void release();

	static Tensor tensor(Object value) {
		if(value instanceof Value)
			return ((Value) value).tensor();
		throw new IllegalStateException("a matrix is needed: " + value);
	}

	/** A number, or that of a matrix of one: SystemDS' own if it has it. */
	static double number(Object value) {
		if(value instanceof Source)
			return ((Source) value).at(0, 0);
		return value instanceof Double ? (Double) value : tensor(value).data[0];
	}

	static int integer(Object value) {
		return (int) Math.round(number(value));
	}

	static Object own(Object value) {
		return value instanceof Value ? ((Value) value).own() : value;
	}

	static void release(Object value) {
		if(value instanceof Value)
			((Value) value).release();
	}
}
