package keras2dml.kernels.float32;

import org.apache.sysds.runtime.controlprogram.caching.MatrixObject;
import org.apache.sysds.runtime.data.DenseBlock;
import org.apache.sysds.runtime.data.SparseBlock;
import org.apache.sysds.runtime.matrix.data.MatrixBlock;

/** Rows and columns of a matrix of SystemDS, which become numbers of ours when they are read, and no others. */
final class Source extends Owned {
	private final MatrixObject object;
	private final Source whole;
	private final MatrixBlock block;
	private final int row, col, rows, cols;
	private Tensor tensor;

	Source(MatrixObject object) {
		this(object, object.acquireRead());
	}

	/** The rows and columns of a matrix that stays as it is. */
	Source(MatrixBlock block) {
		this(null, block);
	}

	private Source(MatrixObject object, MatrixBlock block) {
		this.object = object;
		this.block = block;
		whole = null;
		row = col = 0;
		rows = block.getNumRows();
		cols = block.getNumColumns();
	}

	private Source(Source whole, int row, int col, int rows, int cols) {
		object = null;
		this.whole = whole;
		whole.own();
		block = whole.block;
		this.row = whole.row + row;
		this.col = whole.col + col;
		this.rows = rows;
		this.cols = cols;
	}

	Source part(int row, int col, int rows, int cols) {
		return new Source(this, row, col, rows, cols);
	}

	@Override
	public int rows() {
		return rows;
	}

	@Override
	public int cols() {
		return cols;
	}

	/** A number as SystemDS has it, in double precision. */
	double at(int i, int j) {
		return block.get(row + i, col + j);
	}

	@Override
	public synchronized Tensor tensor() {
		if(tensor == null) {
			tensor = Tensor.of(rows, cols);
			for(int i = 0; i < rows; i++)
				read(i, tensor.data, i * cols);
		}
		return tensor;
	}

	/** Write the numbers of a row to an array. */
	void read(int i, float[] to, int at) {
		if(block.isEmptyBlock(false)) {
			java.util.Arrays.fill(to, at, at + cols, 0);
			return;
		}
		if(block.isInSparseFormat()) {
			java.util.Arrays.fill(to, at, at + cols, 0);
			SparseBlock sparse = block.getSparseBlock();
			if(sparse == null || sparse.isEmpty(row + i))
				return;
			int[] columns = sparse.indexes(row + i);
			double[] values = sparse.values(row + i);
			int begin = sparse.pos(row + i), end = begin + sparse.size(row + i);
			for(int k = begin; k < end; k++) {
				int j = columns[k] - col;
				if(j >= 0 && j < cols)
					to[at + j] = (float) values[k];
			}
			return;
		}
		DenseBlock dense = block.getDenseBlock();
		double[] values = dense.values(row + i);
		int from = dense.pos(row + i) + col;
		for(int j = 0; j < cols; j++)
			to[at + j] = (float) values[from + j];
	}

	@Override
	void free() {
		if(tensor != null)
			tensor.release();
		if(whole != null)
			whole.release();
		else if(object != null)
			object.release();
	}
}
