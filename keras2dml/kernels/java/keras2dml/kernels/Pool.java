package keras2dml.kernels;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import java.util.function.Supplier;

/** Threads that share the parts of an operation; they park while there is none. */
public final class Pool {
	private static final int SPINS = 2000;
	private static Pool current = new Pool(Runtime.getRuntime().availableProcessors());

	/** Whether a thread computes alone: others do as much as there is to do. */
	private static final ThreadLocal<Boolean> ALONE = ThreadLocal.withInitial(() -> false);

	private final Thread[] helpers;
	private volatile Job job;
	private final AtomicInteger busy = new AtomicInteger();

	private Pool(int threads) {
		helpers = new Thread[Math.max(0, threads - 1)];
	}

	/** How many threads compute from now on. */
	public static synchronized void resize(int threads) {
		if(current.helpers.length != Math.max(0, threads - 1)) {
			current.end();
			current = new Pool(threads);
		}
	}

	public static int threads() {
		return current.helpers.length + 1;
	}

	/** Run each of the parts once, on any thread; returns when all are done. */
	public static void each(int parts, IntConsumer part) {
		current.share(parts, part);
	}

	/** The result of a computation whose parts all run on this thread. */
	public static <T> T alone(Supplier<T> computation) {
		ALONE.set(true);
		try {
			return computation.get();
		}
		finally {
			ALONE.remove();
		}
	}

	private void share(int parts, IntConsumer part) {
		// A part that shares its own work, and a second caller, compute alone.
		if(parts <= 1 || helpers.length == 0 || ALONE.get() || !busy.compareAndSet(0, 1)) {
			for(int i = 0; i < parts; i++)
				part.accept(i);
			return;
		}
		try {
			Job mine = new Job(part, parts);
			job = mine;
			for(int i = 0; i < Math.min(helpers.length, parts - 1); i++)
				wake(i);
			mine.work();
			mine.join();
		}
		finally {
			job = null;
			busy.set(0);
		}
	}

	private void wake(int i) {
		Thread helper = helpers[i];
		if(helper == null || !helper.isAlive()) {
			helper = new Thread(this::serve, "keras2dml-kernel-" + (i + 1));
			helper.setDaemon(true);
			helpers[i] = helper;
			helper.start();
		}
		LockSupport.unpark(helper);
	}

	private volatile boolean ended;

	private void end() {
		ended = true;
		for(Thread helper : helpers)
			LockSupport.unpark(helper);
	}

	private void serve() {
		long last = 0;
		while(!ended)
			last = serve(last);
	}

	/** Work on a job that is not the one of this number, or park; a thread that parks holds no job, nor its matrices. */
	private long serve(long last) {
		for(int i = 0; i < SPINS; i++) {
			Job next = job;
			if(next != null && next.number != last) {
				next.work();
				return next.number;
			}
			Thread.onSpinWait();
		}
		LockSupport.park(this);
		return last;
	}

	private static final class Job {
		private static final AtomicLong COUNT = new AtomicLong();
		private final long number = COUNT.incrementAndGet();
		private final IntConsumer part;
		private final int parts;
		private final AtomicInteger next = new AtomicInteger(), done = new AtomicInteger();
		private final Thread caller = Thread.currentThread();
		private volatile Throwable failure;

		Job(IntConsumer part, int parts) {
			this.part = part;
			this.parts = parts;
		}

		void work() {
			for(int i; (i = next.getAndIncrement()) < parts;) {
				try {
					if(failure == null)
						part.accept(i);
				}
				catch(Throwable e) {
					failure = e;
				}
				if(done.incrementAndGet() == parts)
					LockSupport.unpark(caller);
			}
		}

		void join() {
			for(int i = 0; i < SPINS && done.get() < parts; i++)
				Thread.onSpinWait();
			while(done.get() < parts)
				LockSupport.park(this);
			if(failure instanceof RuntimeException)
				throw (RuntimeException) failure;
			if(failure != null)
				throw new IllegalStateException(failure);
		}
	}
}
