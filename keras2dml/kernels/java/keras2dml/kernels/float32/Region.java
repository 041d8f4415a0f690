package keras2dml.kernels.float32;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
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
	private final int[] leaves;
	private final boolean[] visible;
	/** Where each operand is: a leaf, or (negative) the complement of a node before. */
	private final int[][] operands;
	/** The piece of scratch memory of each node that nobody else needs. */
	private final int[] scratch;
	private final int pieces;

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
		scratch = new int[nodes.size()];
		pieces = share();
	}

	/** Give each node that is not visible a piece that no node uses any more; returns how many there are. */
	private int share() {
		int[] last = new int[operands.length];
		for(int i = 0; i < operands.length; i++)
			for(int operand : operands[i])
				if(operand < 0)
					last[~operand] = i;
		Deque<Integer> free = new ArrayDeque<>();
		int count = 0;
		for(int i = 0; i < operands.length; i++) {
			if(!visible[i])
				scratch[i] = free.isEmpty() ? count++ : free.pop();
			for(int k = 0; k <= i; k++)
				if(!visible[k] && last[k] == i && k < i)
					free.push(scratch[k]);
		}
		return count;
	}

	@Override
	public int[] reads() {
		return leaves;
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
			run.isUneven = true;
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
		Tensor[] tensors = new Tensor[in.length];
		for(int i = 0; i < in.length; i++)
			tensors[i] = in[i] instanceof Value ? ((Value) in[i]).tensor() : null;
		int rowsAtOnce = cols >= BLOCK ? 1 : Math.max(1, BLOCK / cols);
		int across = (cols + BLOCK - 1) / BLOCK;
		long blocks = (long) ((rows + rowsAtOnce - 1) / rowsAtOnce) * across;
		int each = Math.max(1, PART / (rowsAtOnce * Math.min(cols, BLOCK)));
		Pool.each((int) ((blocks + each - 1) / each), part -> {
			Pass pass = new Pass(in, tensors, out, rows, cols, rowsAtOnce);
			long end = Math.min(blocks, (part + 1L) * each);
			for(long block = (long) part * each; block < end; block++)
				pass.block((int) (block / across) * rowsAtOnce, (int) (block % across) * BLOCK);
			Buffer.give(pass.memory);
		});
	}

	/** A thread's pass over some blocks. */
	private final class Pass {
		private final Tensor[] in, out;
		private final int rows, cols, rowsAtOnce;
		/** Scratch memory, and where operands lie: leaves first, then nodes. */
		private final float[] memory;
		private final float[][] arrays;
		private final int[] offsets;

		Pass(Object[] values, Tensor[] in, Tensor[] out, int rows, int cols, int rowsAtOnce) {
			this.in = in;
			this.out = out;
			this.rows = rows;
			this.cols = cols;
			this.rowsAtOnce = rowsAtOnce;
			arrays = new float[in.length + nodes.size()][];
			offsets = new int[arrays.length];
			int size = Math.max(BLOCK, rowsAtOnce * Math.min(cols, BLOCK));
			memory = Buffer.take((long) size * (in.length + pieces));
			for(int i = 0; i < in.length; i++) {
				arrays[i] = memory;
				offsets[i] = i * size;
				if(in[i] == null)
					Arrays.fill(memory, offsets[i], offsets[i] + size, Lanes.number((Double) values[i]));
				else if(isWhole(in[i]) || isRow(in[i]) && cols >= BLOCK)
					arrays[i] = in[i].data;
				else if(isRow(in[i]))
					for(int r = 0; r < rowsAtOnce; r++)
						System.arraycopy(in[i].data, 0, memory, offsets[i] + r * cols, cols);
				else if(in[i].rows == 1)
					Arrays.fill(memory, offsets[i], offsets[i] + size, in[i].data[0]);
			}
			for(int i = 0; i < out.length; i++) {
				arrays[in.length + i] = out[i] == null ? memory : out[i].data;
				offsets[in.length + i] = (in.length + scratch[i]) * size;
			}
		}

		private boolean isWhole(Tensor tensor) {
			return tensor.rows == rows && tensor.cols == cols;
		}

		private boolean isRow(Tensor tensor) {
			return tensor.rows == 1 && tensor.cols == cols;
		}

		void block(int row, int col) {
			int count = Math.min(rowsAtOnce, rows - row), width = Math.min(BLOCK, cols - col), length = count * width;
			int start = row * cols + col;
			for(int i = 0; i < in.length; i++)
				if(in[i] != null && arrays[i] != memory)
					offsets[i] = isWhole(in[i]) ? start : col;
				else if(in[i] != null && in[i].rows != 1)
					for(int r = 0; r < count; r++)
						Arrays.fill(memory, offsets[i] + r * width, offsets[i] + (r + 1) * width, in[i].data[row + r]);
			for(int i = 0; i < operands.length; i++) {
				int to = in.length + i;
				if(out[i] != null)
					offsets[to] = start;
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
