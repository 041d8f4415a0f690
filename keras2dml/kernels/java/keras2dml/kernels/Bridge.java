package keras2dml.kernels;

import java.nio.DoubleBuffer;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;

import org.apache.sysds.api.mlcontext.MLContextConversionUtil;
import org.apache.sysds.api.mlcontext.MatrixMetadata;
import org.apache.sysds.parser.StatementBlock;
import org.apache.sysds.runtime.controlprogram.FunctionProgramBlock;
import org.apache.sysds.runtime.controlprogram.LocalVariableMap;
import org.apache.sysds.runtime.controlprogram.Program;
import org.apache.sysds.runtime.controlprogram.ProgramBlock;
import org.apache.sysds.runtime.controlprogram.caching.MatrixObject;
import org.apache.sysds.runtime.controlprogram.context.ExecutionContext;
import org.apache.sysds.runtime.instructions.cp.BooleanObject;
import org.apache.sysds.runtime.instructions.cp.Data;
import org.apache.sysds.runtime.instructions.cp.DoubleObject;
import org.apache.sysds.runtime.instructions.cp.IntObject;
import org.apache.sysds.runtime.matrix.data.MatrixBlock;

/** What Python does to SystemDS often, in a call each: a call from Python takes a third of a millisecond. */
public final class Bridge {
	private static final int BLOCK = 1000, HEADER = 2;

	private Bridge() {}

	/** A matrix of the numbers in memory that both share, which the end of a script does not free. */
	public static MatrixObject matrix(DoubleBuffer shared, int rows, int cols) {
		double[] values = new double[rows * cols];
		shared.clear().get(values, 0, values.length);
		return matrix(values, rows, cols);
	}

	/** A matrix of numbers that came in parts. */
	public static MatrixObject matrix(double[] values, int rows, int cols) {
		MatrixBlock block = new MatrixBlock(rows, cols, values);
		block.recomputeNonZeros();
		block.examSparsity();
		MatrixObject matrix = MLContextConversionUtil.matrixBlockToMatrixObject("matrix", block,
			new MatrixMetadata((long) rows, (long) cols, block.getNonZeros(), BLOCK));
		matrix.enableCleanup(false);
		return matrix;
	}

	/** Write a matrix' shape, and then its numbers if they fit, to the shared memory. */
	public static void numbers(MatrixObject matrix, DoubleBuffer shared) {
		long size = matrix.getNumRows() * matrix.getNumColumns();
		shared.clear().put(matrix.getNumRows()).put(matrix.getNumColumns());
		if(size > shared.capacity() - HEADER)
			return;
		if(keras2dml.kernels.float32.KernelFunction.write(matrix, shared) || keras2dml.kernels.float64.KernelFunction.write(matrix, shared))
			return;
		MatrixBlock block = matrix.acquireReadAndRelease();
		if(block.isInSparseFormat())
			block.sparseToDense();
		if(block.isEmptyBlock(false))
			for(long i = 0; i < size; i++)
				shared.put(0);
		else
			shared.put(block.getDenseBlockValues(), 0, (int) size);
	}

	/** Free a matrix, which a script that failed may still hold. */
	public static void free(MatrixObject matrix) {
		matrix.enableCleanup(true);
		matrix.clearData();
	}

	/** The variables of a script, of which those named in `results` are what it leaves. */
	public static LocalVariableMap variables(String results) {
		LocalVariableMap variables = new LocalVariableMap();
		variables.setRegisteredOutputs(new HashSet<>(Arrays.asList(results.split(" "))));
		return variables;
	}

	/** Bind up to four variables, whose names are separated by blanks. */
	public static void put(LocalVariableMap variables, String names, Object a, Object b, Object c, Object d) {
		Object[] values = {a, b, c, d};
		String[] all = names.split(" ");
		for(int i = 0; i < all.length; i++)
			variables.put(all[i], data(values[i]));
	}

	private static Data data(Object value) {
		if(value instanceof Boolean)
			return new BooleanObject((Boolean) value);
		if(value instanceof Double)
			return new DoubleObject((Double) value);
		return value instanceof Number ? new IntObject(((Number) value).longValue()) : (Data) value;
	}

	/** A result, which the end of a script does not free. */
	public static MatrixObject result(ExecutionContext context, String name) {
		MatrixObject matrix = context.getMatrixObject(name);
		matrix.enableCleanup(false);
		return matrix;
	}

	/** Make a program safe to run again: SystemDS recompiles loops and functions in place when they begin. */
	public static Program reusable(Program program) {
		for(FunctionProgramBlock function : program.getFunctionProgramBlocks(true).values()) {
			function.setRecompileOnce(false);
			keep(function.getChildBlocks());
		}
		keep(program.getProgramBlocks());
		return program;
	}

	private static void keep(List<ProgramBlock> blocks) {
		if(blocks == null)
			return;
		for(ProgramBlock block : blocks) {
			StatementBlock statement = block.getStatementBlock();
			if(statement != null)
				statement.setRecompileOnce(false);
			keep(block.getChildBlocks());
		}
	}
}
