package keras2dml.kernels.float32;

import java.util.Arrays;

import keras2dml.kernels.Pool;

/** Products of matrices, of which either may be meant transposed. */
final class Products {
	private static final int COLS = Tiles.COLS;
	/** Factors of a sum that a tile adds up at a time: its columns of them stay in the first cache. */
	private static final int DEPTH = 256;
	/** Tiles of rows, and columns, of which a thread computes the sums at a time. */
	private static final int TILES = 20, GROUP = 8 * COLS;
	/** Factors b for which a plain loop is as fast: rows do not count, so that a row's result does not depend on the others. */
	private static final long SMALL = 256;
	/** Multiplications that are not worth a thread. */
	private static final long ALONE = 1 << 18;

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
		private final int m, n, k, rowStep, depthStep, ldb, ldc;
		private final float[] b, c;
		private final boolean transposed, swapped;
		/** The factors a as they lie, or those of a few rows next to each other. */
		private final float[] a;
		private final boolean packed;
		private final int[] at;

		Task(int m, int n, int k, float[] a, int rowStep, int depthStep, float[] b, int ldb, boolean transposed, float[] c, int ldc,
			boolean swapped) {
			this.m = m;
			this.n = n;
			this.k = k;
			this.rowStep = rowStep;
			this.depthStep = depthStep;
			this.b = b;
			this.ldb = ldb;
			this.transposed = transposed;
			this.c = c;
			this.ldc = ldc;
			this.swapped = swapped;
			packed = rowStep != 1 && n >= GROUP;
			this.a = packed ? packed(a) : a;
			at = new int[Math.min(k, DEPTH)];
			int step = rowStep == 1 || packed ? COLS : depthStep;
			for(int t = 0; t < at.length; t++)
				at[t] = t * step;
		}

		private float[] packed(float[] a) {
			float[] out = Buffer.take((long) m * k);
			int tiles = Tiles.count(m), parts = (long) m * k < ALONE ? 1 : tiles;
			Pool.each(parts, part -> {
				for(int tile = part; tile < tiles; tile += parts) {
					int first = Tiles.first(tile, m), rows = Tiles.first(tile + 1, m) - first;
					Shapes.transpose(a, first * rowStep, rowStep, out, first * k, rows, rows, k);
				}
			});
			return out;
		}

		void run() {
			int tiles = Tiles.count(m), down = (tiles + TILES - 1) / TILES, across = (n + GROUP - 1) / GROUP;
			if((long) m * n * k < ALONE)
				for(int part = 0; part < down * across; part++)
					part(part % down, part / down, tiles);
			else
				Pool.each(down * across, part -> part(part % down, part / down, tiles));
			if(packed)
				Buffer.give(a);
		}

		/** Some rows of some columns; sums are collected apart, and then put where they belong. */
		private void part(int down, int across, int tiles) {
			int begin = down * TILES, end = Math.min(tiles, begin + TILES), col = across * GROUP, width = Math.min(GROUP, n - col);
			int first = Tiles.first(begin, m), rows = Tiles.first(end, m) - first;
			float[] panels = Buffer.take(DEPTH * GROUP), sums = Buffer.take((long) rows * GROUP);
			Arrays.fill(sums, 0, rows * GROUP, 0);
			for(int t = 0; t < k; t += DEPTH) {
				int depth = Math.min(DEPTH, k - t);
				pack(t, depth, col, width, panels);
				for(int p = 0; p < width; p += COLS)
					for(int tile = begin; tile < end; tile++)
						tile(tile, t, depth, panels, p, sums, first);
			}
			if(swapped)
				Shapes.transpose(sums, 0, GROUP, c, col * ldc + first, ldc, rows, width);
			else
				for(int i = 0; i < rows; i++)
					System.arraycopy(sums, i * GROUP, c, (first + i) * ldc + col, width);
			Buffer.give(panels);
			Buffer.give(sums);
		}

		private void tile(int tile, int t, int depth, float[] panels, int p, float[] sums, int first) {
			int row = Tiles.first(tile, m), rows = Tiles.first(tile + 1, m) - row, to = (row - first) * GROUP + p;
			if(packed)
				Tiles.b(rows, depth, a, row * k + t * rows, rows, panels, p * DEPTH, at, 0, sums, to, GROUP);
			else if(rowStep == 1)
				Tiles.b(rows, depth, a, row + t * depthStep, depthStep, panels, p * DEPTH, at, 0, sums, to, GROUP);
			else
				Tiles.a(rows, depth, a, row * rowStep + t * depthStep, at, 0, rowStep, panels, p * DEPTH, COLS, sums, to, GROUP);
		}

		/** Columns of b, as many as a tile has next to each other. */
		private void pack(int t, int depth, int col, int width, float[] panels) {
			if(width % COLS != 0)
				Arrays.fill(panels, width / COLS * COLS * DEPTH, (width / COLS * DEPTH + depth) * COLS, 0);
			if(transposed)
				for(int p = 0; p < width; p += COLS)
					Shapes.transpose(b, (col + p) * ldb + t, ldb, panels, p * DEPTH, COLS, Math.min(COLS, width - p), depth);
			else
				for(int i = 0; i < depth; i++)
					for(int p = 0; p < width; p += COLS)
						System.arraycopy(b, (t + i) * ldb + col + p, panels, p * DEPTH + i * COLS, Math.min(COLS, width - p));
		}
	}
}
