package keras2dml.kernels.float32;

import java.util.Arrays;

import org.apache.sysds.runtime.matrix.data.MatrixBlock;

/** A dense matrix, row by row. It owns its buffer once. */
final class Tensor implements Value {
	final int rows, cols;
	final float[] data;
	private final Buffer buffer;

	private Tensor(long rows, long cols, Buffer buffer) {
		this.rows = (int) rows;
		this.cols = (int) cols;
		this.buffer = buffer;
		this.data = buffer.data;
	}

	/** A matrix whose numbers are anything. */
	static Tensor of(long rows, long cols) {
		if(rows > Integer.MAX_VALUE || cols > Integer.MAX_VALUE)
			throw new Buffer.TooLarge();
		return new Tensor(rows, cols, Buffer.of(rows * cols));
	}

	static Tensor filled(long rows, long cols, double value) {
		Tensor tensor = of(rows, cols);
		Arrays.fill(tensor.data, 0, tensor.size(), Lanes.number(value));
		return tensor;
	}

	int size() {
		return rows * cols;
	}

	/** The same numbers as a matrix of another shape; both own them. */
	Tensor shaped(long rows, long cols) {
		return new Tensor(rows, cols, buffer.own());
	}

	@Override
	public int rows() {
		return rows;
	}

	@Override
	public int cols() {
		return cols;
	}

	@Override
	public Tensor tensor() {
		return this;
	}

	@Override
	public Tensor own() {
		buffer.own();
		return this;
	}

	/** Whether nobody else reads the numbers. */
	boolean isShared() {
		return buffer.isShared();
	}

	@Override
	public void release() {
		buffer.release();
	}

	/** The same numbers as a matrix of SystemDS. */
	MatrixBlock block() {
		double[] values = new double[size()];
		for(int i = 0; i < values.length; i++)
			values[i] = data[i];
		MatrixBlock block = new MatrixBlock(rows, cols, values);
		block.recomputeNonZeros();
		return block;
	}

	double at(int row, int col) {
		return data[row * cols + col];
	}
}
