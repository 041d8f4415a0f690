package keras2dml.kernels.float32;

import java.util.concurrent.atomic.AtomicInteger;

/** What a call of a function returns: no matrix itself. */
final class Results implements Value {
	private final Object[] values;
	private final AtomicInteger owners = new AtomicInteger(1);

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
	public Results own() {
		owners.incrementAndGet();
		return this;
	}

	@Override
	public void release() {
		if(owners.decrementAndGet() == 0)
			for(Object value : values)
				Value.release(value);
	}
}
