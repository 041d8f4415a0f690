package keras2dml.kernels.float32;

/** What a call of a function returns: no matrix itself. */
final class Results extends Owned {
	private final Object[] values;

	Results(Object[] values) {
		this.values = values;
	}

	/** One of the values, owned by the caller. */
	Object get(int place) {
		return Value.own(values[place]);
	}

	@Override
	public int rows() {
		return -1;
	}

	@Override
	public int cols() {
		return -1;
	}

	@Override
	public Tensor tensor() {
		throw new IllegalStateException("the results of a function are no matrix");
	}

	@Override
	void free() {
		for(Object value : values)
			Value.release(value);
	}
}
