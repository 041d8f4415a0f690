package keras2dml.kernels.float32;

import java.util.List;

import org.apache.sysds.common.Types.ParamBuiltinOp;
import org.apache.sysds.hops.ReorgOp;

import keras2dml.kernels.NoKernel;

/** The same numbers in other places. */
final class Shapes {
	private Shapes() {}

	static Kernel kernel(ReorgOp hop) {
		switch(hop.getOp()) {
			case TRANS: return in -> transposed(((Value) in[0]).tensor());
			case REV: return in -> reversed(((Value) in[0]).tensor());
			case DIAG: return in -> diagonal(((Value) in[0]).tensor());
			case RESHAPE: return Shapes::shaped;
			case SORT: return Shapes::sorted;
			default: throw new NoKernel(hop.getOpString());
		}
	}

	static Tensor transposed(Tensor in) {
		if(in.rows == 1 || in.cols == 1)
			return in.shaped(in.cols, in.rows);
		Tensor out = Tensor.of(in.cols, in.rows);
		transpose(in.data, 0, in.cols, out.data, 0, in.rows, in.rows, in.cols);
		return out;
	}

	/** Write the transpose of rows x cols numbers, in squares that stay in the cache. */
	static void transpose(float[] from, int at, int step, float[] to, int put, int stride, int rows, int cols) {
		int side = Squares.SIDE, down = Lanes.FAST ? rows / side * side : 0, across = Lanes.FAST ? cols / side * side : 0;
		for(int i = 0; i < down; i += side)
			for(int j = 0; j < across; j += side)
				Squares.transpose(from, at + i * step + j, step, to, put + j * stride + i, stride);
		if(across < cols)
			plain(from, at + across, step, to, put + across * stride, stride, down, cols - across);
		if(down < rows)
			plain(from, at + down * step, step, to, put + down, stride, rows - down, cols);
	}

	private static void plain(float[] from, int at, int step, float[] to, int put, int stride, int rows, int cols) {
		final int side = 16;
		for(int i0 = 0; i0 < rows; i0 += side)
			for(int j0 = 0; j0 < cols; j0 += side) {
				int last = Math.min(rows, i0 + side), end = Math.min(cols, j0 + side);
				for(int j = j0; j < end; j++)
					for(int i = i0; i < last; i++)
						to[put + j * stride + i] = from[at + i * step + j];
			}
	}

	private static Tensor reversed(Tensor in) {
		Tensor out = Tensor.of(in.rows, in.cols);
		for(int i = 0; i < in.rows; i++)
			System.arraycopy(in.data, (in.rows - 1 - i) * in.cols, out.data, i * in.cols, in.cols);
		return out;
	}

	private static Tensor diagonal(Tensor in) {
		if(in.cols == 1) {
			Tensor out = Tensor.filled(in.rows, in.rows, 0);
			for(int i = 0; i < in.rows; i++)
				out.data[i * in.rows + i] = in.data[i];
			return out;
		}
		Tensor out = Tensor.of(in.rows, 1);
		for(int i = 0; i < in.rows; i++)
			out.data[i] = in.data[i * in.cols + i];
		return out;
	}

	/** X, rows, columns, (sizes of a tensor), whether row by row. */
	private static Object shaped(Object[] in) {
		Tensor x = ((Value) in[0]).tensor();
		int rows = Value.integer(in[1]), cols = Value.integer(in[2]);
		boolean byRow = Value.number(in[in.length - 1]) != 0;
		if((long) rows * cols != x.size())
			throw new IllegalStateException(x.rows + " x " + x.cols + " numbers as " + rows + " x " + cols);
		if(byRow || x.rows == 1 && rows == 1 || x.cols == 1 && (cols == 1 || rows == 1) || x.rows == 1 && cols == 1)
			return x.shaped(rows, cols);
		Tensor out = Tensor.of(rows, cols);
		for(int k = 0; k < out.size(); k++)
			out.data[k % rows * cols + k / rows] = x.data[k % x.rows * x.cols + k / x.rows];
		return out;
	}

	/** X, by which column, whether decreasing, whether the rows' numbers are wanted. */
	private static Object sorted(Object[] in) {
		Tensor x = ((Value) in[0]).tensor();
		if(in[1] instanceof Value && ((Value) in[1]).tensor().size() != 1)
			throw new NoKernel("order by several columns");
		int by = Value.integer(in[1]) - 1;
		boolean decreasing = Value.number(in[2]) != 0, numbers = Value.number(in[3]) != 0;
		Lanes.checkCount(x.rows);
		Integer[] order = new Integer[x.rows];
		for(int i = 0; i < order.length; i++)
			order[i] = i;
		java.util.Arrays.sort(order, (i, j) -> {
			int sign = Float.compare(x.data[i * x.cols + by] + 0f, x.data[j * x.cols + by] + 0f);
			return decreasing ? -sign : sign;
		});
		Tensor out = Tensor.of(x.rows, numbers ? 1 : x.cols);
		for(int i = 0; i < order.length; i++)
			if(numbers)
				out.data[i] = order[i] + 1;
			else
				System.arraycopy(x.data, order[i] * x.cols, out.data, i * x.cols, x.cols);
		return out;
	}

	static Object columns(Object[] in) {
		int rows = ((Value) in[0]).rows(), cols = 0;
		for(Object value : in)
			cols += ((Value) value).cols();
		Tensor out = Tensor.of(rows, cols);
		int at = 0;
		for(Object value : in) {
			Tensor x = ((Value) value).tensor();
			if(x.rows != rows)
				throw new IllegalStateException("matrices of " + rows + " and " + x.rows + " rows side by side");
			for(int i = 0; i < rows; i++)
				System.arraycopy(x.data, i * x.cols, out.data, i * cols + at, x.cols);
			at += x.cols;
		}
		return out;
	}

	static Object rows(Object[] in) {
		int cols = ((Value) in[0]).cols(), rows = 0;
		for(Object value : in)
			rows += ((Value) value).rows();
		Tensor out = Tensor.of(rows, cols);
		int at = 0;
		for(Object value : in) {
			Tensor x = ((Value) value).tensor();
			if(x.cols != cols)
				throw new IllegalStateException("matrices of " + cols + " and " + x.cols + " columns below each other");
			System.arraycopy(x.data, 0, out.data, at, x.size());
			at += x.size();
		}
		return out;
	}

	static Kernel parameterized(ParamBuiltinOp op, List<String> names) {
		int target = names.indexOf("target");
		switch(op) {
			case REPLACE: {
				int pattern = names.indexOf("pattern"), replacement = names.indexOf("replacement");
				return in -> replaced(((Value) in[target]).tensor(), Value.number(in[pattern]), Value.number(in[replacement]));
			}
			case LOWER_TRI:
			case UPPER_TRI: {
				int diagonal = names.indexOf("diag"), values = names.indexOf("values");
				boolean lower = op == ParamBuiltinOp.LOWER_TRI;
				return in -> triangle(((Value) in[target]).tensor(), lower, Value.number(in[diagonal]) != 0,
					Value.number(in[values]) != 0);
			}
			default: throw new NoKernel(op.name().toLowerCase());
		}
	}

	private static Tensor replaced(Tensor in, double pattern, double replacement) {
		Tensor out = Tensor.of(in.rows, in.cols);
		float old = (float) pattern, put = Lanes.number(replacement);
		for(int i = 0; i < in.size(); i++) {
			float x = in.data[i];
			out.data[i] = x == old || old != old && x != x ? put : x;
		}
		return out;
	}

	private static Tensor triangle(Tensor in, boolean lower, boolean diagonal, boolean values) {
		Tensor out = Tensor.of(in.rows, in.cols);
		for(int i = 0; i < in.rows; i++)
			for(int j = 0; j < in.cols; j++) {
				boolean within = lower ? j < i : j > i;
				float x = in.data[i * in.cols + j];
				out.data[i * in.cols + j] = within || diagonal && i == j ? values || x == 0 ? x : 1 : 0;
			}
		return out;
	}
}
