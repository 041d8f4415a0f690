package keras2dml.kernels.float32;

import java.util.List;

import org.apache.sysds.runtime.controlprogram.FunctionProgramBlock;

/** A function of DML, run by kernels. */
final class Function {
	private final FunctionProgramBlock block;
	private final List<String> results;
	private Flow.Step body;

	Function(FunctionProgramBlock block) {
		this.block = block;
		results = block.getOutputParamNames();
	}

	void compile(Functions functions) {
		body = new Flow(functions).sequence(block.getChildBlocks());
	}

	/** The results for arguments of these names. */
	Results call(String[] names, Object[] in) {
		Environment variables = new Environment();
		try {
			for(int i = 0; i < names.length; i++)
				variables.put(names[i], Value.own(in[i]));
			return new Results(run(variables));
		}
		finally {
			variables.end();
		}
	}

	/** The results, in their order, owned by the caller. */
	Object[] run(Environment variables) {
		body.run(variables);
		Object[] values = new Object[results.size()];
		for(int i = 0; i < values.length; i++)
			values[i] = Value.own(variables.get(results.get(i)));
		return values;
	}
}
