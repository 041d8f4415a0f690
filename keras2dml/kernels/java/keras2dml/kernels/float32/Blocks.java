package keras2dml.kernels.float32;

import org.apache.sysds.runtime.matrix.data.MatrixBlock;
import org.apache.sysds.runtime.util.DataConverter;

/** Blocks of SystemDS as numbers of ours. */
final class Blocks {
	private Blocks() {}

	static Tensor tensor(MatrixBlock block) {
		Tensor out = Tensor.of(block.getNumRows(), block.getNumColumns());
		boolean dense = !block.isInSparseFormat() && !block.isEmptyBlock(false) && block.getDenseBlock().numBlocks() == 1;
		double[] values = dense ? block.getDenseBlockValues() : DataConverter.convertToDoubleVector(block);
		for(int i = 0; i < out.size(); i++)
			out.data[i] = (float) values[i];
		return out;
	}
}
