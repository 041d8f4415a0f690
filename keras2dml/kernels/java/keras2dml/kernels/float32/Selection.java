package keras2dml.kernels.float32;

/** A matrix of zeros with at most a single one in each row: rows that are picked, or classes. */
final class Selection extends Owned {
	private final int cols;
	/** The column of each row's one, or -1. */
	final int[] picked;
	private Tensor tensor;

	Selection(int[] picked, int cols) {
		this.picked = picked;
		this.cols = cols;
	}

	@Override
	public int rows() {
		return picked.length;
	}

	@Override
	public int cols() {
		return cols;
	}

	@Override
	public synchronized Tensor tensor() {
		if(tensor == null) {
			tensor = Tensor.filled(picked.length, cols, 0);
			for(int i = 0; i < picked.length; i++)
				if(picked[i] >= 0)
					tensor.data[i * cols + picked[i]] = 1;
		}
		return tensor;
	}

	/** The product with a matrix: its rows that are picked. */
	Tensor times(Value value) {
		int width = value.cols();
		Tensor out = Tensor.of(picked.length, width);
		for(int i = 0; i < picked.length; i++) {
			int row = picked[i];
			if(row < 0)
				java.util.Arrays.fill(out.data, i * width, (i + 1) * width, 0);
			else if(value instanceof Source)
				((Source) value).read(row, out.data, i * width);
			else
				System.arraycopy(value.tensor().data, row * width, out.data, i * width, width);
		}
		return out;
	}

	/** The product of its transpose with a matrix: the sums of the rows that picked the same. */
	Tensor transposedTimes(Tensor value) {
		int width = value.cols;
		Tensor out = Tensor.filled(cols, width, 0);
		for(int i = 0; i < picked.length; i++)
			if(picked[i] >= 0)
				for(int j = 0, to = picked[i] * width, from = i * width; j < width; j++)
					out.data[to + j] += value.data[from + j];
		return out;
	}

	@Override
	void free() {
		if(tensor != null)
			tensor.release();
	}
}
