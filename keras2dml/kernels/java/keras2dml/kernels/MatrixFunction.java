package keras2dml.kernels;

import java.util.Map;

import org.apache.sysds.runtime.matrix.data.MatrixBlock;

/** A function of a compiled program that kernels run outside of SystemDS, on several threads at a time. */
public interface MatrixFunction {
	/** The results, in their order, for arguments by name: matrices, and numbers as Double. */
	MatrixBlock[] call(Map<String, Object> arguments);
}
