package keras2dml.kernels.float32;

import java.util.concurrent.atomic.AtomicInteger;

/** A value that is freed when its last owner gives it up. */
abstract class Owned implements Value {
	private final AtomicInteger owners = new AtomicInteger(1);

	@Override
	public final Value own() {
		owners.incrementAndGet();
		return this;
	}

	@Override
	public final void release() {
		int left = owners.decrementAndGet();
		if(left == 0)
			free();
		else if(left < 0)
			throw new IllegalStateException("a value was freed twice");
	}

	abstract void free();
}
