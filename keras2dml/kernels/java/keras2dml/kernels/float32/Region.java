package keras2dml.kernels.float32;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;

import keras2dml.kernels.Pool;

/** Operations on cells of one shape, which pass over the cells once, some thousand at a time. */
final class Region implements Plan.Unit {
	private static final int BLOCK = 1024;
	/** Cells that are worth a thread. */
	private static final int PART = 16 * BLOCK;

	private final List<Node> nodes;
	private final int[] leaves, reads;
	private final boolean[] visible;
	/** Where each operand is: a leaf, or (negative) the complement of a node before. */
	private final int[][] operands;

	/** Nodes in an order in which they can run; `visible` are those whose values others need. */
	Region(List<Node> nodes, IntPredicate visible) {
		this.nodes = nodes;
		this.visible = new boolean[nodes.size()];
		operands = new int[nodes.size()][];
		Map<Integer, Integer> own = new HashMap<>(), foreign = new HashMap<>();
		List<Integer> outside = new ArrayList<>();
		for(int i = 0; i < nodes.size(); i++) {
			Node node = nodes.get(i);
			this.visible[i] = visible.test(node.id) || nodes.size() == 1;
			operands[i] = new int[node.in.length];
			for(int k = 0; k < node.in.length; k++) {
				int id = node.in[k];
				if(own.containsKey(id))
					operands[i][k] = ~own.get(id);
				else
					operands[i][k] = foreign.computeIfAbsent(id, in -> {
						outside.add(in);
						return outside.size() - 1;
					});
			}
			own.put(node.id, i);
		}
		leaves = outside.stream().mapToInt(Integer::intValue).toArray();
		reads = leaves;
	}

	@Override
	public int[] reads() {
		return reads;
	}

	@Override
	public String name() {
		StringBuilder names = new StringBuilder("cells");
		for(Node node : nodes.subList(0, Math.min(4, nodes.size())))
			names.append(' ').append(node.name);
		return nodes.size() > 4 ? names + " ..." : names.toString();
	}

	@Override
	public void run(Plan.Run run) {
		Object[] in = new Object[leaves.length];
		for(int i = 0; i < in.length; i++)
			in[i] = run.values[leaves[i]];
		if(nodes.size() > 1 && !isOfOneShape(in)) {
			runOneByOne(run);
			return;
		}
		int[] shape = shape(in);
		Tensor[] out = new Tensor[nodes.size()];
		for(int i = 0; i < out.length; i++)
			if(visible[i])
				out[i] = target(run, in, i, shape);
		long cells = (long) shape[0] * shape[1];
		if(cells > 0)
			compute(in, out, shape[0], shape[1]);
		for(int i = 0; i < out.length; i++)
			if(out[i] != null)
				run.put(nodes.get(i).id, out[i]);
	}

	/** A result takes the place of an operand that nobody reads any more, if there is one. */
	private Tensor target(Plan.Run run, Object[] in, int node, int[] shape) {
		if(nodes.size() == 1)
			for(int i = 0; i < in.length; i++)
				if(in[i] instanceof Tensor && run.isLast(leaves[i])
					&& ((Tensor) in[i]).rows == shape[0] && ((Tensor) in[i]).cols == shape[1])
					return ((Tensor) in[i]).own();
		return Tensor.of(shape[0], shape[1]);
	}

	private void runOneByOne(Plan.Run run) {
		Map<Integer, Object> results = new HashMap<>();
		for(int i = 0; i < nodes.size(); i++) {
			Object[] in = new Object[operands[i].length];
			for(int k = 0; k < in.length; k++)
				in[k] = operands[i][k] >= 0 ? run.values[leaves[operands[i][k]]] : results.get(~operands[i][k]);
			int[] shape = shape(in);
			Tensor out = Tensor.of(shape[0], shape[1]);
			Region alone = new Region(List.of(nodes.get(i)), id -> true);
			Object[] distinct = new Object[alone.leaves.length];
			for(int k = 0; k < in.length; k++)
				distinct[alone.operands[0][k]] = in[k];
			if(shape[0] > 0 && shape[1] > 0)
				alone.compute(distinct, new Tensor[] {out}, shape[0], shape[1]);
			results.put(i, out);
		}
		results.forEach((i, value) -> {
			if(visible[i])
				run.put(nodes.get(i).id, value);
			else
				Value.release(value);
		});
	}

	private static int[] shape(Object[] in) {
		int rows = 1, cols = 1;
		for(Object value : in)
			if(value instanceof Value) {
				rows = wider(rows, ((Value) value).rows());
				cols = wider(cols, ((Value) value).cols());
			}
		return new int[] {rows, cols};
	}

	private static int wider(int a, int b) {
		if(a != b && a != 1 && b != 1)
			throw new IllegalStateException("matrices of " + a + " and " + b + " rows or columns");
		return a == 1 ? b : a;
	}

	private boolean isOfOneShape(Object[] in) {
		int[] whole = shape(in), rows = new int[nodes.size()], cols = new int[nodes.size()];
		for(int i = 0; i < rows.length; i++) {
			rows[i] = cols[i] = 1;
			for(int operand : operands[i]) {
				Object value = operand >= 0 ? in[operand] : null;
				if(operand < 0 || value instanceof Value) {
					rows[i] = wider(rows[i], operand < 0 ? rows[~operand] : ((Value) value).rows());
					cols[i] = wider(cols[i], operand < 0 ? cols[~operand] : ((Value) value).cols());
				}
			}
			if(rows[i] != whole[0] || cols[i] != whole[1])
				return false;
		}
		return true;
	}

	private void compute(Object[] in, Tensor[] out, int rows, int cols) {
		for(Object value : in)
			if(value instanceof Value)
				((Value) value).tensor();
		int rowsAtOnce = cols >= BLOCK ? 1 : Math.max(1, BLOCK / cols);
		int pieces = cols >= BLOCK ? (cols + BLOCK - 1) / BLOCK : 1;
		long blocks = (long) ((rows + rowsAtOnce - 1) / rowsAtOnce) * pieces;
		int width = Math.min(cols, BLOCK);
		int each = Math.max(1, PART / Math.max(1, rowsAtOnce * width));
		Pool.each((int) ((blocks + each - 1) / each), part -> {
			Pass pass = new Pass(in, out, rows, cols, rowsAtOnce);
			long end = Math.min(blocks, (part + 1L) * each);
			for(long block = (long) part * each; block < end; block++)
				pass.block((int) (block / pieces) * rowsAtOnce, (int) (block % pieces) * BLOCK);
		});
	}

	/** A thread's pass over some blocks. */
	private final class Pass {
		private final Object[] in;
		private final Tensor[] out;
		private final int rows, cols, rowsAtOnce;
		/** Where operands lie: leaves first, then nodes. */
		private final float[][] arrays;
		private final int[] offsets;

		Pass(Object[] in, Tensor[] out, int rows, int cols, int rowsAtOnce) {
			this.in = in;
			this.out = out;
			this.rows = rows;
			this.cols = cols;
			this.rowsAtOnce = rowsAtOnce;
			arrays = new float[in.length + nodes.size()][];
			offsets = new int[arrays.length];
			int size = Math.min(rowsAtOnce * cols, BLOCK * Math.max(1, rowsAtOnce == 1 ? 1 : 1)) + Buffer.SLACK;
			for(int i = 0; i < in.length; i++) {
				if(in[i] instanceof Double) {
					arrays[i] = new float[size];
					Arrays.fill(arrays[i], ((Double) in[i]).floatValue());
					continue;
				}
				Tensor tensor = ((Value) in[i]).tensor();
				boolean whole = tensor.rows == rows && tensor.cols == cols;
				boolean row = tensor.rows == 1 && tensor.cols == cols;
				if(whole || row && cols >= BLOCK)
					arrays[i] = tensor.data;
				else {
					arrays[i] = new float[size];
					if(row)
						for(int r = 0; r < rowsAtOnce; r++)
							System.arraycopy(tensor.data, 0, arrays[i], r * cols, cols);
					else if(tensor.rows == 1)
						Arrays.fill(arrays[i], tensor.data[0]);
				}
			}
			for(int i = 0; i < out.length; i++)
				arrays[in.length + i] = out[i] == null ? new float[size] : out[i].data;
		}

		void block(int row, int col) {
			int count = Math.min(rowsAtOnce, rows - row);
			int length = cols >= BLOCK ? Math.min(BLOCK, cols - col) : count * cols;
			int start = row * cols + col;
			for(int i = 0; i < in.length; i++) {
				if(!(in[i] instanceof Value))
					continue;
				Tensor tensor = ((Value) in[i]).tensor();
				if(arrays[i] == tensor.data)
					offsets[i] = tensor.rows == rows && tensor.cols == cols ? start : col;
				else if(tensor.rows != 1) {
					for(int r = 0; r < count; r++) {
						int width = cols >= BLOCK ? length : cols;
						Arrays.fill(arrays[i], r * width, (r + 1) * width, tensor.data[row + r]);
					}
				}
			}
			for(int i = 0; i < operands.length; i++) {
				int to = in.length + i;
				offsets[to] = out[i] == null ? 0 : start;
				int[] from = operands[i];
				int a = place(from[0]), b = from.length > 1 ? place(from[1]) : a, c = from.length > 2 ? place(from[2]) : a;
				Cells.apply(nodes.get(i).cell, arrays[to], offsets[to], arrays[a], offsets[a],
					arrays[b], offsets[b], arrays[c], offsets[c], length);
			}
		}

		private int place(int operand) {
			return operand >= 0 ? operand : in.length + ~operand;
		}
	}
}
