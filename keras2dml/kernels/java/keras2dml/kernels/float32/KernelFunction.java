package keras2dml.kernels.float32;

import java.nio.DoubleBuffer;
import java.util.List;

import org.apache.sysds.hops.OptimizerUtils;
import org.apache.sysds.parser.DMLProgram;
import org.apache.sysds.parser.DataIdentifier;
import org.apache.sysds.runtime.DMLRuntimeException;
import org.apache.sysds.runtime.DMLScriptException;
import org.apache.sysds.runtime.controlprogram.FunctionProgramBlock;
import org.apache.sysds.runtime.controlprogram.Program;
import org.apache.sysds.runtime.controlprogram.caching.MatrixObject;
import org.apache.sysds.runtime.controlprogram.context.ExecutionContext;
import org.apache.sysds.runtime.instructions.cp.BooleanObject;
import org.apache.sysds.runtime.instructions.cp.Data;
import org.apache.sysds.runtime.instructions.cp.DoubleObject;
import org.apache.sysds.runtime.instructions.cp.IntObject;
import org.apache.sysds.runtime.instructions.cp.ScalarObject;
import org.apache.sysds.runtime.instructions.cp.StringObject;
import org.apache.sysds.runtime.matrix.data.MatrixBlock;

import keras2dml.kernels.Kernels;
import keras2dml.kernels.MatrixFunction;
import keras2dml.kernels.NoKernel;

/** A function of a compiled program that kernels run. Its body remains what it means, and what runs where they cannot. */
public final class KernelFunction extends FunctionProgramBlock {
	private final Function function;

	private KernelFunction(Program program, FunctionProgramBlock block, Function function) {
		super(program, block.getInputParams(), block.getOutputParams());
		_childBlocks = block.getChildBlocks();
		_functionName = block._functionName;
		_namespace = block._namespace;
		setStatementBlock(block.getStatementBlock());
		setRecompileOnce(block.isRecompileOnce());
		setNondeterministic(block.isNondeterministic());
		this.function = function;
	}

	/** Let kernels run a function of a program; raises NoKernel, with the operator's name, if they cannot. */
	public static void install(Program program, String namespace, String name) {
		String key = DMLProgram.constructFunctionKey(namespace, name);
		Function function = new Functions(program).get(key);
		for(boolean optimized : new boolean[] {true, false}) {
			FunctionProgramBlock block = program.getFunctionProgramBlocks(optimized).get(key);
			if(block != null && !(block instanceof KernelFunction))
				program.getFunctionProgramBlocks(namespace).getFunctions(optimized)
					.put(name, new KernelFunction(program, block, function));
		}
	}

	/** A function of a program that kernels run for whoever calls it; raises NoKernel as `install` does. */
	public static MatrixFunction of(Program program, String namespace, String name) {
		Function function = new Functions(program).get(DMLProgram.constructFunctionKey(namespace, name));
		return arguments -> {
			Environment variables = new Environment();
			Buffer.begin();
			try {
				arguments.forEach((argument, value) -> variables.put(argument, value instanceof MatrixBlock ? new Source((MatrixBlock) value) : value));
				Object[] results = function.run(variables);
				MatrixBlock[] blocks = new MatrixBlock[results.length];
				for(int i = 0; i < blocks.length; i++) {
					blocks[i] = Value.tensor(results[i]).block();
					Value.release(results[i]);
				}
				return blocks;
			}
			finally {
				variables.end();
				Buffer.end();
			}
		};
	}

	@Override
	public void execute(ExecutionContext context) {
		Environment variables = new Environment();
		Object[] results;
		Buffer.begin();
		try {
			for(String name : getInputParamNames())
				variables.put(name, argument(context.getVariable(name)));
			results = function.run(variables);
		}
		catch(NoKernel e) {
			variables.end();
			Kernels.repeat();
			super.execute(context);
			return;
		}
		catch(DMLScriptException e) {
			throw e;
		}
		catch(RuntimeException e) {
			throw new DMLRuntimeException("Function " + _functionName + ": " + e.getMessage(), e);
		}
		finally {
			variables.end();
			Buffer.end();
		}
		List<DataIdentifier> outputs = getOutputParams();
		for(int i = 0; i < results.length; i++)
			context.setVariable(outputs.get(i).getName(), result(outputs.get(i), results[i]));
	}

	private static Object argument(Data data) {
		if(data instanceof StringObject)
			return ((StringObject) data).getStringValue();
		if(data instanceof ScalarObject)
			return ((ScalarObject) data).getDoubleValue();
		Tensor tensor = data instanceof KernelMatrix ? ((KernelMatrix) data).tensor() : null;
		if(tensor != null)
			return tensor;
		MatrixObject matrix = (MatrixObject) data;
		if(matrix.getRDDHandle() != null && !matrix.isCached(false) && isLarge(matrix))
			throw new Buffer.TooLarge();
		return new Source(matrix);
	}

	/** Whether a matrix on Spark is one that SystemDS would not take to the driver. */
	private static boolean isLarge(MatrixObject matrix) {
		return OptimizerUtils.estimateSizeExactSparsity(matrix.getDataCharacteristics()) > OptimizerUtils.getLocalMemBudget();
	}

	private static Data result(DataIdentifier output, Object value) {
		if(output.getDataType().isMatrix()) {
			Tensor tensor = ((Value) value).tensor();
			if(tensor != value) {
				tensor.own();
				((Value) value).release();
			}
			return new KernelMatrix(tensor);
		}
		double number = Value.number(value);
		switch(output.getValueType()) {
			case INT64: return new IntObject((long) number);
			case BOOLEAN: return new BooleanObject(number != 0);
			default: return new DoubleObject(number);
		}
	}

	/** Write the numbers of a result to memory, if they are ours. */
	public static boolean write(MatrixObject matrix, DoubleBuffer to) {
		Tensor tensor = matrix instanceof KernelMatrix ? ((KernelMatrix) matrix).tensor() : null;
		if(tensor == null)
			return false;
		for(int i = 0; i < tensor.size(); i++)
			to.put(tensor.data[i]);
		tensor.release();
		return true;
	}

	/** The numbers that results hold until SystemDS frees them. */
	public static long owned() {
		return Buffer.owned();
	}
}
