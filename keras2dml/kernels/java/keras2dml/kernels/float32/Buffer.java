package keras2dml.kernels.float32;

import java.lang.ref.WeakReference;
import java.util.Deque;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

import keras2dml.kernels.NoKernel;

/** Numbers that one or more matrices consist of; the last owner to give them up frees them for others. */
final class Buffer {
	private static final AtomicLong OWNED = new AtomicLong();
	/** Runs after which what is free is left to the garbage collector, though others have begun. */
	private static final int KEPT = 256;
	private static int runs, since;
	/** What was freed, by size, while something runs; and then, until the garbage collector comes. */
	private static volatile Map<Integer, Deque<float[]>> free;
	private static WeakReference<Map<Integer, Deque<float[]>>> last = new WeakReference<>(null);
	/** Numbers at the end that a vector may read or write beyond a matrix. */
	static final int SLACK = 64;

	final float[] data;
	private final AtomicInteger owners = new AtomicInteger(1);

	private Buffer(float[] data) {
		this.data = data;
		OWNED.addAndGet(data.length);
	}

	/** The numbers of all buffers that somebody owns. */
	static long owned() {
		return OWNED.get();
	}

	/** Room for `count` numbers, which are anything. */
	static Buffer of(long count) {
		return new Buffer(take(count));
	}

	static float[] take(long count) {
		if(count > Integer.MAX_VALUE - (1 << 28))
			throw new TooLarge();
		int size = size((int) count);
		Map<Integer, Deque<float[]>> pool = free;
		Deque<float[]> fitting = pool == null ? null : pool.get(size);
		float[] data = fitting == null ? null : fitting.poll();
		return data != null ? data : new float[size + SLACK];
	}

	static void give(float[] data) {
		Map<Integer, Deque<float[]>> pool = free;
		if(pool != null)
			pool.computeIfAbsent(data.length - SLACK, size -> new ConcurrentLinkedDeque<>()).push(data);
	}

	/** Sizes are few, so that a smaller last batch uses what the others left. */
	private static int size(int count) {
		int step = Math.max(64, Integer.highestOneBit(Math.max(1, count)) >> 3);
		return (count + step - 1) / step * step;
	}

	/** A run begins: what is freed within, and what the run before freed, is used again within. */
	static synchronized void begin() {
		if(runs++ == 0) {
			Map<Integer, Deque<float[]>> pool = last.get();
			free = pool != null ? pool : new ConcurrentHashMap<>();
			since = 0;
		}
		else if(++since % KEPT == 0)
			free = new ConcurrentHashMap<>();
	}

	/** A run ends; after the last one the garbage collector has all that was freed. */
	static synchronized void end() {
		if(--runs == 0) {
			last = new WeakReference<>(free);
			free = null;
		}
	}

	Buffer own() {
		owners.incrementAndGet();
		return this;
	}

	boolean isShared() {
		return owners.get() > 1;
	}

	void release() {
		int left = owners.decrementAndGet();
		if(left == 0) {
			OWNED.addAndGet(-data.length);
			give(data);
		}
		else if(left < 0)
			throw new IllegalStateException("a buffer was freed twice");
	}

	/** A matrix has more numbers than an array holds. */
	static final class TooLarge extends NoKernel {
		private static final long serialVersionUID = 1L;

		TooLarge() {
			super("too large");
		}
	}
}
