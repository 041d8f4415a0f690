package keras2dml.kernels.float32;

import java.util.Arrays;

/** Sums, for each of some pixels, of factors times the pixels at some places from there. */
final class Sums {
	private static final int COLS = Tiles.COLS;
	/** Factors that are added up at a time. */
	private static final int DEPTH = 512;

	private final int count, depth, height;
	private final int[] at, from;
	private final float[] packed;
	private final int row, step;

	/** Factors (count, depth), places, and the pixels: rows of a picture of some width, beginning at its first one. */
	Sums(float[] factors, int count, int[] at, int height, int width, int pictureWidth) {
		this.count = count;
		this.at = at;
		this.height = height;
		depth = at.length;
		packed = Buffer.take((long) count * depth);
		for(int tile = 0; tile < Tiles.count(count); tile++) {
			int first = Tiles.first(tile, count), rows = Tiles.first(tile + 1, count) - first;
			Shapes.transpose(factors, first * depth, depth, packed, first * depth, rows, rows, depth);
		}
		// Rows one by one, or all of the picture in one go, with what is between them: whatever is less.
		int length = (height - 1) * pictureWidth + width, inRows = Tiles.rounded(width) * height, inOne = Tiles.rounded(length);
		boolean rows = inRows <= inOne;
		row = rows ? Tiles.rounded(width) : pictureWidth;
		step = rows ? inRows : inOne;
		from = new int[step / COLS];
		for(int i = 0; i < from.length; i++)
			from[i] = rows ? i * COLS / row * pictureWidth + i * COLS % row : i * COLS;
	}

	long size() {
		return (long) count * step;
	}

	/** Where the sums of a row of pixels begin. */
	int place(int k, int p) {
		return k * step + p * row;
	}

	void compute(float[] pixels, float[] totals, Tensor bias) {
		for(int k = 0; k < count; k++)
			Arrays.fill(totals, k * step, (k + 1) * step, bias == null ? 0 : bias.data[k]);
		int tiles = Tiles.count(count);
		for(int t = 0; t < depth; t += DEPTH) {
			int length = Math.min(DEPTH, depth - t);
			for(int j = 0; j < from.length; j++)
				for(int tile = 0; tile < tiles; tile++) {
					int k = Tiles.first(tile, count), rows = Tiles.first(tile + 1, count) - k;
					Tiles.b(rows, length, packed, k * depth + t * rows, rows, pixels, from[j], at, t,
						totals, k * step + j * COLS, step, true);
				}
		}
	}

	void end() {
		Buffer.give(packed);
	}
}
