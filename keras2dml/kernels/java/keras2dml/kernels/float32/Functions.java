package keras2dml.kernels.float32;

import java.util.HashMap;
import java.util.Map;

import org.apache.sysds.runtime.controlprogram.FunctionProgramBlock;
import org.apache.sysds.runtime.controlprogram.Program;

import keras2dml.kernels.NoKernel;

/** The functions of a program that kernels run, each compiled once. */
final class Functions {
	private final Program program;
	private final Map<String, Function> compiled = new HashMap<>();

	Functions(Program program) {
		this.program = program;
	}

	/** Raises NoKernel if there is an operator in it, or in a function that it calls, without one. */
	Function get(String key) {
		Function function = compiled.get(key);
		if(function == null) {
			FunctionProgramBlock block = program.getFunctionProgramBlocks(true).get(key);
			if(block == null)
				throw new NoKernel("function " + key);
			function = new Function(block);
			compiled.put(key, function);
			function.compile(this);
		}
		return function;
	}
}
