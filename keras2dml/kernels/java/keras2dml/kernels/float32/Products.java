package keras2dml.kernels.float32;

import java.util.Arrays;
import java.util.function.IntConsumer;

import jdk.incubator.vector.FloatVector;
import keras2dml.kernels.Pool;

/** Products of matrices, of which either may be meant transposed. */
final class Products {
	private static final int COLS = Tiles.COLS;
	/** Factors of a sum that a tile adds up at a time: its columns of them stay in the first cache. */
	private static final int DEPTH = 256;
	/** Columns, and factors of rows, of which a thread computes the sums at a time; and how many such parts a thread has if it can. */
	private static final int GROUP = 8 * COLS, ROWS = 1 << 15, PARTS = 3;
	/** Factors b for which a plain loop is as fast: rows do not count, so that a row's result does not depend on the others. */
	private static final long SMALL = 256;
	/** Multiplications that are not worth a thread. */
	private static final long ALONE = 1 << 18;
	/** Columns for which rows are packed first, and how many numbers of them are worth threads. */
	private static final int PANELS = 3 * COLS, COPIED = 1 << 15;

	private Products() {}

	static Object product(Value a, boolean aTransposed, Value b, boolean bTransposed) {
		int depth = aTransposed ? a.rows() : a.cols(), other = bTransposed ? b.cols() : b.rows();
		if(depth != other)
			throw new IllegalStateException("a product of " + depth + " columns and " + other + " rows");
		if(a instanceof Selection && !bTransposed)
			return aTransposed ? ((Selection) a).transposedTimes(b.tensor()) : ((Selection) a).times(b);
		return product(a.tensor(), aTransposed, b.tensor(), bTransposed);
	}

	static Tensor product(Tensor a, boolean aTransposed, Tensor b, boolean bTransposed) {
		int m = aTransposed ? a.cols : a.rows, k = aTransposed ? a.rows : a.cols, n = bTransposed ? b.rows : b.cols;
		Tensor out = Tensor.of(m, n);
		int rowStep = aTransposed ? 1 : a.cols, depthStep = aTransposed ? a.cols : 1;
		if(!Lanes.FAST || (long) n * k < SMALL) {
			plain(m, n, k, a.data, rowStep, depthStep, b.data, bTransposed ? 1 : b.cols, bTransposed ? b.cols : 1, out.data);
			return out;
		}
		if(n == 1 && !aTransposed) {
			vector(a, b.data, out.data);
			return out;
		}
		new Task(m, n, k, a.data, rowStep, depthStep, b.data, b.cols, bTransposed, out.data).run();
		return out;
	}

	private static void plain(int m, int n, int k, float[] a, int rowStep, int depthStep, float[] b, int bDepth, int bCol, float[] c) {
		Arrays.fill(c, 0, m * n, 0);
		for(int i = 0; i < m; i++)
			for(int t = 0; t < k; t++) {
				float factor = a[i * rowStep + t * depthStep];
				for(int j = 0; j < n; j++)
					c[i * n + j] += factor * b[t * bDepth + j * bCol];
			}
	}

	private static void vector(Tensor a, float[] b, float[] c) {
		int each = Math.max(1, (1 << 16) / Math.max(1, a.cols));
		Pool.each((a.rows + each - 1) / each, part -> {
			for(int i = part * each; i < Math.min(a.rows, (part + 1) * each); i++)
				c[i] = Dots.dot(a.cols, a.data, i * a.cols, b, 0);
		});
	}

	/** c = a * b, where a(i, t) is a[i * rowStep + t * depthStep], and b is (k, n), or (n, k) if transposed. */
	private static final class Task {
		private final int m, n, k, rowStep, depthStep, ldb;
		private final float[] b, c;
		private final boolean transposed;
		/** The factors a as they lie, or those of a few rows next to each other. */
		private final float[] a;
		private final boolean packed;
		private final int[] at;

		Task(int m, int n, int k, float[] a, int rowStep, int depthStep, float[] b, int ldb, boolean transposed, float[] c) {
			this.m = m;
			this.n = n;
			this.k = k;
			this.rowStep = rowStep;
			this.depthStep = depthStep;
			this.b = b;
			this.ldb = ldb;
			this.transposed = transposed;
			this.c = c;
			packed = rowStep != 1 && n >= PANELS;
			this.a = packed ? packed(a) : a;
			at = new int[Math.min(k, DEPTH)];
			int step = rowStep == 1 || packed ? COLS : depthStep;
			for(int t = 0; t < at.length; t++)
				at[t] = t * step;
		}

		private float[] packed(float[] a) {
			float[] out = Buffer.take((long) m * k);
			int tiles = Tiles.count(m), parts = (long) m * k < COPIED ? 1 : tiles;
			Pool.each(parts, part -> {
				for(int tile = part; tile < tiles; tile += parts) {
					int first = Tiles.first(tile, m), rows = Tiles.first(tile + 1, m) - first;
					Tiles.pack(rows, k, a, first * rowStep, rowStep, out, first * k);
				}
			});
			return out;
		}

		void run() {
			int tiles = Tiles.count(m), across = (n + GROUP - 1) / GROUP;
			// Rows of tiles that stay in the second cache with the columns, and enough parts for all threads.
			int most = Math.max(8, ROWS / Tiles.ROWS / Math.min(k, DEPTH)), enough = (PARTS * Pool.threads() + across - 1) / across;
			int down = Math.max((tiles + most - 1) / most, Math.min(enough, (tiles + 7) / 8));
			boolean alone = (long) m * n * k < ALONE;
			// What several parts read is packed once, and a transpose by as many threads as there are.
			float[] all = down > 1 || transposed ? Buffer.take((long) k * Tiles.rounded(n)) : null;
			if(all != null)
				each(across, alone, part -> pack(0, k, part * GROUP, Math.min(GROUP, n - part * GROUP), all, part * GROUP * k, k));
			each(down * across, alone, part -> part(part % down, down, part / down, tiles, all));
			if(all != null)
				Buffer.give(all);
			if(packed)
				Buffer.give(a);
		}

		private static void each(int parts, boolean alone, IntConsumer part) {
			if(alone)
				for(int i = 0; i < parts; i++)
					part.accept(i);
			else
				Pool.each(parts, part);
		}

		/** Some rows of some columns. Sums of whole tiles are where they belong, others are put there at the end. */
		private void part(int down, int parts, int across, int tiles, float[] all) {
			int begin = (int) ((long) down * tiles / parts), end = (int) ((down + 1L) * tiles / parts);
			int col = across * GROUP, width = Math.min(GROUP, n - col), whole = width / COLS * COLS;
			int first = Tiles.first(begin, m), rows = Tiles.first(end, m) - first, step = Tiles.rounded(width - whole);
			float[] panels = all != null ? all : Buffer.take(DEPTH * GROUP), sums = whole < width ? Buffer.take((long) rows * step) : null;
			int blocks = Math.max(1, (k + DEPTH - 1) / DEPTH);
			for(int block = 0; block < blocks; block++) {
				int t = (int) ((long) block * k / blocks), depth = (int) ((block + 1L) * k / blocks) - t;
				if(all == null)
					pack(t, depth, col, width, panels, 0, DEPTH);
				for(int p = 0; p < width; p += COLS) {
					int from = all == null ? p * DEPTH : (col + p) * k + t * COLS;
					for(int tile = begin; tile < end; tile++) {
						int row = Tiles.first(tile, m), count = Tiles.first(tile + 1, m) - row;
						if(p < whole)
							tile(row, count, t, depth, panels, from, c, row * n + col + p, n, block > 0);
						else
							tile(row, count, t, depth, panels, from, sums, (row - first) * step + p - whole, step, block > 0);
					}
				}
			}
			if(sums != null)
				for(int i = 0; i < rows; i++)
					System.arraycopy(sums, i * step, c, (first + i) * n + col + whole, width - whole);
			if(all == null)
				Buffer.give(panels);
			if(sums != null)
				Buffer.give(sums);
		}

		private void tile(int row, int rows, int t, int depth, float[] panels, int from, float[] to, int place, int step, boolean add) {
			if(packed)
				Tiles.b(rows, depth, a, row * k + t * rows, rows, panels, from, at, 0, to, place, step, add);
			else if(rowStep == 1)
				Tiles.b(rows, depth, a, row + t * depthStep, depthStep, panels, from, at, 0, to, place, step, add);
			else
				Tiles.a(rows, depth, a, row * rowStep + t * depthStep, at, 0, rowStep, panels, from, COLS, to, place, step, add);
		}

		/** Columns of b, as many as a tile has next to each other: panels that begin so many rows apart. */
		private void pack(int t, int depth, int col, int width, float[] panels, int at, int apart) {
			if(width % COLS != 0)
				Arrays.fill(panels, at + width / COLS * COLS * apart, at + (width / COLS * apart + depth) * COLS, 0);
			if(transposed)
				for(int p = 0; p < width; p += COLS)
					Shapes.transpose(b, (col + p) * ldb + t, ldb, panels, at + p * apart, COLS, Math.min(COLS, width - p), depth);
			else
				for(int i = 0; i < depth; i++) {
					int from = (t + i) * ldb + col, to = at + i * COLS, p = 0;
					for(; p <= width - COLS; p += COLS, from += COLS, to += apart * COLS) {
						FloatVector first = FloatVector.fromArray(Lanes.SPECIES, b, from);
						FloatVector second = FloatVector.fromArray(Lanes.SPECIES, b, from + Lanes.COUNT);
						first.intoArray(panels, to);
						second.intoArray(panels, to + Lanes.COUNT);
					}
					if(p < width)
						System.arraycopy(b, from, panels, to, width - p);
				}
		}
	}
}
