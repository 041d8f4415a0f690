package keras2dml.kernels.float32;

import java.util.Arrays;

import keras2dml.kernels.Pool;

/** Products of matrices, of which either may be meant transposed. */
final class Products {
	private static final int ROWS = Tiles.ROWS, COLS = Tiles.COLS;
	/** Factors of a sum that a tile adds up at a time: its columns of them stay in the first cache. */
	private static final int DEPTH = 256;
	private static final int ROWS_AT_ONCE = 40 * ROWS, PANELS_AT_ONCE = 4;
	/** From so many rows on it pays to copy columns next to each other. */
	private static final int PACKED = 24;
	/** Multiplications below which a plain loop is as fast. */
	private static final long SMALL = 4096, ALONE = 1 << 18;

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
		if(!Lanes.FAST || (long) m * n * k < SMALL) {
			plain(m, n, k, a.data, rowStep, depthStep, b.data, bTransposed ? 1 : b.cols, bTransposed ? b.cols : 1, out.data);
			return out;
		}
		if(n == 1 && !aTransposed) {
			vector(a, b.data, out.data);
			return out;
		}
		// The larger factor is read as it lies; the transpose of the smaller one is copied.
		if(bTransposed && !aTransposed && n > m)
			new Task(n, m, k, b.data, b.cols, 1, a.data, a.cols, true, out.data, n, true).run();
		else
			new Task(m, n, k, a.data, rowStep, depthStep, b.data, b.cols, bTransposed, out.data, n, false).run();
		return out;
	}

	private static void plain(int m, int n, int k, float[] a, int rowStep, int depthStep, float[] b, int bDepth, int bCol, float[] c) {
		Arrays.fill(c, 0, m * n, 0);
		for(int i = 0; i < m; i++)
			for(int t = 0; t < k; t++) {
				float factor = a[i * rowStep + t * depthStep];
				if(factor != 0)
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
		private final int m, n, k, rowStep, depthStep, ldb, ldc, panels;
		private final float[] a, b, c;
		private final boolean transposed, swapped;
		private final int[] at;

		Task(int m, int n, int k, float[] a, int rowStep, int depthStep, float[] b, int ldb, boolean transposed, float[] c, int ldc,
			boolean swapped) {
			this.m = m;
			this.n = n;
			this.k = k;
			this.a = a;
			this.rowStep = rowStep;
			this.depthStep = depthStep;
			this.b = b;
			this.ldb = ldb;
			this.transposed = transposed;
			this.c = c;
			this.ldc = ldc;
			this.swapped = swapped;
			panels = (n + COLS - 1) / COLS;
			at = new int[Math.min(k, DEPTH)];
			for(int t = 0; t < at.length; t++)
				at[t] = t * depthStep;
		}

		void run() {
			int down = (m + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, across = (panels + PANELS_AT_ONCE - 1) / PANELS_AT_ONCE;
			if((long) m * n * k < ALONE)
				for(int part = 0; part < down * across; part++)
					part(part % down, part / down);
			else
				Pool.each(down * across, part -> part(part % down, part / down));
		}

		private void part(int down, int across) {
			int first = down * ROWS_AT_ONCE, last = Math.min(m, first + ROWS_AT_ONCE);
			float[] panel = Buffer.take(DEPTH * COLS), sums = Buffer.take((long) (last - first + ROWS) * COLS);
			for(int p = across * PANELS_AT_ONCE; p < Math.min(panels, (across + 1) * PANELS_AT_ONCE); p++)
				panel(first, last, p * COLS, panel, sums);
			Buffer.give(panel);
			Buffer.give(sums);
		}

		/** Rows of some columns; sums are collected apart, and then put where they belong. */
		private void panel(int first, int last, int col, float[] panel, float[] sums) {
			int width = Math.min(COLS, n - col);
			boolean packs = transposed || width < COLS || last - first >= PACKED;
			Arrays.fill(sums, 0, (last - first) * COLS, 0);
			for(int t = 0; t < k; t += DEPTH) {
				int depth = Math.min(DEPTH, k - t);
				if(packs)
					pack(t, depth, col, width, panel);
				for(int i = first; i < last; i += ROWS)
					Tiles.a(Math.min(ROWS, last - i), depth, a, i * rowStep + t * depthStep, at, 0, rowStep,
						packs ? panel : b, packs ? 0 : t * ldb + col, packs ? COLS : ldb, sums, (i - first) * COLS, COLS);
			}
			if(swapped)
				Shapes.transpose(sums, 0, COLS, c, col * ldc + first, ldc, last - first, width);
			else
				for(int i = first; i < last; i++)
					System.arraycopy(sums, (i - first) * COLS, c, i * ldc + col, width);
		}

		private void pack(int t, int depth, int col, int width, float[] panel) {
			if(width < COLS)
				Arrays.fill(panel, 0, depth * COLS, 0);
			if(transposed)
				Shapes.transpose(b, col * ldb + t, ldb, panel, 0, COLS, width, depth);
			else
				for(int i = 0; i < depth; i++)
					System.arraycopy(b, (t + i) * ldb + col, panel, i * COLS, width);
		}
	}
}
