package keras2dml.kernels.float32;

/** Parts of matrices: X[a:b, c:d], read and written. */
final class Indexing {
	private Indexing() {}

	/** X, first and last row, first and last column, from 1. */
	static Object read(Object[] in) {
		Value value = (Value) in[0];
		int row = Value.integer(in[1]) - 1, rows = Value.integer(in[2]) - row;
		int col = Value.integer(in[3]) - 1, cols = Value.integer(in[4]) - col;
		check(value, row, rows, col, cols);
		if(row == 0 && col == 0 && rows == value.rows() && cols == value.cols())
			return value.own();
		if(value instanceof Source)
			return ((Source) value).part(row, col, rows, cols);
		Tensor from = value.tensor(), out = Tensor.of(rows, cols);
		copy(from.data, row * from.cols + col, from.cols, out.data, 0, cols, rows, cols);
		return out;
	}

	/** The number of one cell; operands as in `read`. */
	static Object cell(Object[] in) {
		Value value = (Value) in[0];
		int row = Value.integer(in[1]) - 1, col = Value.integer(in[3]) - 1;
		check(value, row, 1, col, 1);
		return value instanceof Source ? ((Source) value).at(row, col) : (double) value.tensor().data[row * value.cols() + col];
	}

	/** X, what is written, and where it goes, as in `read`. */
	static final Kernel WRITE = new Kernel() {
		@Override
		public Object run(Object[] in) {
			Tensor old = ((Value) in[0]).tensor(), out = Tensor.of(old.rows, old.cols);
			System.arraycopy(old.data, 0, out.data, 0, old.size());
			return write(out, in);
		}

		@Override
		public Object runInPlace(Object[] in) {
			return write(((Tensor) in[0]).own(), in);
		}
	};

	private static Tensor write(Tensor out, Object[] in) {
		int row = Value.integer(in[2]) - 1, rows = Value.integer(in[3]) - row;
		int col = Value.integer(in[4]) - 1, cols = Value.integer(in[5]) - col;
		check(out, row, rows, col, cols);
		if(in[1] instanceof Double) {
			for(int i = 0; i < rows; i++)
				java.util.Arrays.fill(out.data, (row + i) * out.cols + col, (row + i) * out.cols + col + cols,
					Lanes.number((Double) in[1]));
			return out;
		}
		Tensor part = ((Value) in[1]).tensor();
		if(part.rows != rows || part.cols != cols)
			throw new IllegalStateException("a part of another size is written");
		copy(part.data, 0, cols, out.data, row * out.cols + col, out.cols, rows, cols);
		return out;
	}

	private static void check(Value value, int row, int rows, int col, int cols) {
		if(row < 0 || rows < 0 || row + rows > value.rows() || col < 0 || cols < 0 || col + cols > value.cols())
			throw new IllegalStateException("rows " + (row + 1) + ":" + (row + rows) + " and columns " + (col + 1)
				+ ":" + (col + cols) + " of a matrix of " + value.rows() + " x " + value.cols());
	}

	private static void copy(float[] from, int at, int step, float[] to, int put, int stride, int rows, int cols) {
		if(cols == 1)
			for(int i = 0; i < rows; i++)
				to[put + i * stride] = from[at + i * step];
		else
			for(int i = 0; i < rows; i++)
				System.arraycopy(from, at + i * step, to, put + i * stride, cols);
	}
}
