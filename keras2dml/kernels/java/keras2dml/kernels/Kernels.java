package keras2dml.kernels;

import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.sysds.parser.DMLProgram;
import org.apache.sysds.runtime.controlprogram.Program;

/** What keras2dml calls. */
public final class Kernels {
	private static final AtomicLong REPEATED = new AtomicLong();

	private Kernels() {}

	/** A call of a function is repeated in SystemDS' operators: a kernel could not hold its numbers. */
	public static void repeat() {
		REPEATED.incrementAndGet();
	}

	/** How many calls were repeated. */
	public static long repeated() {
		return REPEATED.get();
	}

	/** How many threads compute; a session on this machine has as many as it has cores. */
	public static void use(int threads) {
		Pool.resize(Math.max(1, Math.min(threads, Runtime.getRuntime().availableProcessors() * 4)));
	}

	/** The numbers in memory of ours that are not freed. */
	public static long owned() {
		return keras2dml.kernels.float32.KernelFunction.owned() + keras2dml.kernels.float64.KernelFunction.owned();
	}

	/** Let kernels run those of a program's functions that they can run: a line for each, with a colon and what they have no kernel for. */
	public static String install(Program program, List<String> names, boolean single) {
		StringBuilder lines = new StringBuilder();
		for(String name : names) {
			String key = DMLProgram.constructFunctionKey(DMLProgram.DEFAULT_NAMESPACE, name);
			if(!program.getFunctionProgramBlocks(true).containsKey(key))
				continue;
			try {
				if(single)
					keras2dml.kernels.float32.KernelFunction.install(program, DMLProgram.DEFAULT_NAMESPACE, name);
				else
					keras2dml.kernels.float64.KernelFunction.install(program, DMLProgram.DEFAULT_NAMESPACE, name);
				lines.append(name).append('\n');
			}
			catch(NoKernel e) {
				lines.append(name).append(": no kernel for ").append(e.getMessage()).append('\n');
			}
		}
		return lines.toString();
	}
}
