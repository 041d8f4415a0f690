package keras2dml.kernels;

import java.nio.DoubleBuffer;
import java.util.ArrayList;
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
import org.apache.sysds.runtime.controlprogram.context.ExecutionContextFactory;
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
		return next(shared.clear(), rows, cols);
	}

	private static MatrixObject next(DoubleBuffer shared, int rows, int cols) {
		double[] values = new double[rows * cols];
		shared.get(values, 0, values.length);
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
		write(matrix, shared.clear());
	}

	/** Write a matrix' shape, and then its numbers if they fit, where the buffer is; returns whether they do. */
	private static boolean write(MatrixObject matrix, DoubleBuffer shared) {
		long size = matrix.getNumRows() * matrix.getNumColumns();
		if(shared.remaining() < HEADER)
			return false;
		shared.put(matrix.getNumRows()).put(matrix.getNumColumns());
		if(size > shared.remaining())
			return false;
		if(keras2dml.kernels.float32.KernelFunction.write(matrix, shared) || keras2dml.kernels.float64.KernelFunction.write(matrix, shared))
			return true;
		MatrixBlock block = matrix.acquireReadAndRelease();
		if(block.isInSparseFormat())
			block.sparseToDense();
		if(block.isEmptyBlock(false))
			for(long i = 0; i < size; i++)
				shared.put(0);
		else
			shared.put(block.getDenseBlockValues(), 0, (int) size);
		return true;
	}

	/**
	 * Run a program on matrices in the shared memory, one after another, each of which `arrays` describes by its name, rows and columns. Its
	 * results are written there, in the order of `results`; returns null, or the program's context if they do not fit.
	 */
	public static ExecutionContext compute(Program program, LocalVariableMap variables, DoubleBuffer shared, String arrays, String results) {
		List<MatrixObject> matrices = new ArrayList<>();
		try {
			shared.clear();
			List<String> words = words(arrays);
			for(int i = 0; i < words.size(); i += 3) {
				MatrixObject matrix = next(shared, Integer.parseInt(words.get(i + 1)), Integer.parseInt(words.get(i + 2)));
				matrices.add(matrix);
				variables.put(words.get(i), matrix);
			}
			ExecutionContext context = ExecutionContextFactory.createContext(variables, program);
			program.execute(context);
			shared.clear();
			for(String name : words(results))
				if(!write(result(context, name), shared))
					return context;
			for(String name : words(results))
				free(context.getMatrixObject(name));
			return null;
		}
		finally {
			for(MatrixObject matrix : matrices)
				free(matrix);
		}
	}

	/** Free a matrix, which a script that failed may still hold. */
	public static void free(MatrixObject matrix) {
		matrix.enableCleanup(true);
		matrix.clearData();
	}

	/** The variables of a script, of which those named in `results` are what it leaves; the first of them are bound as by `put`. */
	public static LocalVariableMap variables(String results, String names, Object a, Object b, Object c, Object d, Object e, Object f, Object g, Object h,
		Object i, Object j, Object k, Object l, Object m, Object n, Object o, Object p) {
		LocalVariableMap variables = new LocalVariableMap();
		variables.setRegisteredOutputs(new HashSet<>(words(results)));
		put(variables, names, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
		return variables;
	}

	/** Bind up to sixteen variables, whose names are separated by blanks. */
	public static void put(LocalVariableMap variables, String names, Object a, Object b, Object c, Object d, Object e, Object f, Object g, Object h,
		Object i, Object j, Object k, Object l, Object m, Object n, Object o, Object p) {
		Object[] values = {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p};
		int place = 0;
		for(String name : words(names))
			variables.put(name, data(values[place++]));
	}

	private static List<String> words(String text) {
		return text.isEmpty() ? List.of() : Arrays.asList(text.split(" "));
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
