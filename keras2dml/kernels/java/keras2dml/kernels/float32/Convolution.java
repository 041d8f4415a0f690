package keras2dml.kernels.float32;

import java.util.Arrays;

import keras2dml.kernels.Pool;
import keras2dml.kernels.Window;

/** Convolutions of images (N, C * H * W) with filters (K, C * R * S), and their gradients.
 *
 * Pixels are read where they lie: an image is copied with its border, and split by the stride, so that each factor of a
 * filter meets pixels next to each other. Results are computed for whole rows of the copy; what is beyond an image is left
 * out afterwards. */
final class Convolution {
	private static final int ROWS = Tiles.ROWS, COLS = Tiles.COLS;
	/** Factors that are added up at a time. */
	private static final int DEPTH = 512;

	private Convolution() {}

	static Tensor forward(Tensor x, Tensor filter, Tensor bias, Window w) {
		Tensor out = Tensor.of(x.rows, (long) w.K * w.P * w.Q);
		Planes planes = new Planes(w);
		int depth = w.C * w.R * w.S;
		int[] at = planes.taps();
		float[] packed = packed(filter.data, w.K, depth);
		int length = (w.P - 1) * planes.width + w.Q, step = rounded(length);
		Pool.each(x.rows, image -> {
			float[] copy = Buffer.take(planes.size()), sums = Buffer.take((long) (w.K + ROWS) * step);
			planes.copy(x.data, image * x.cols, copy);
			for(int k = 0; k < w.K; k++)
				Arrays.fill(sums, k * step, (k + 1) * step, bias == null ? 0 : bias.data[k]);
			correlate(packed, w.K, depth, copy, at, sums, step, length);
			for(int k = 0; k < w.K; k++)
				for(int p = 0; p < w.P; p++)
					System.arraycopy(sums, k * step + p * planes.width, out.data,
						image * out.cols + (k * w.P + p) * w.Q, w.Q);
			Buffer.give(copy);
			Buffer.give(sums);
		});
		Buffer.give(packed);
		return out;
	}

	/** Sums (rows, length): of each row's factors times the pixels at their places, for each of the pixels from the first on. */
	private static void correlate(float[] packed, int rows, int depth, float[] pixels, int[] at, float[] sums, int step, int length) {
		for(int t = 0; t < depth; t += DEPTH) {
			int count = Math.min(DEPTH, depth - t);
			for(int j = 0; j < length; j += COLS)
				for(int k = 0; k < rows; k += ROWS)
					Tiles.b(Math.min(ROWS, rows - k), count, packed, k * depth + t * ROWS, ROWS, pixels, j, at, t,
						sums, k * step + j, step);
		}
	}

	/** Factors (rows, depth) in the order in which tiles read them: those of a few rows next to each other. */
	private static float[] packed(float[] factors, int rows, int depth) {
		float[] out = Buffer.take((long) (rows + ROWS) * depth);
		for(int k = 0; k < rows; k++)
			for(int t = 0, to = k / ROWS * ROWS * depth + k % ROWS; t < depth; t++, to += ROWS)
				out[to] = factors[k * depth + t];
		return out;
	}

	private static int rounded(int length) {
		return (length + COLS - 1) / COLS * COLS;
	}

	/** The gradient with respect to the images, of the filter and the gradient of the results. */
	static Tensor toData(Tensor filter, Tensor gradient, Window w) {
		Tensor out = Tensor.of(gradient.rows, (long) w.C * w.H * w.W);
		int images = w.strideH * w.strideW;
		Transposed[] parts = new Transposed[images];
		for(int i = 0; i < images; i++)
			parts[i] = new Transposed(filter.data, w, i / w.strideW, i % w.strideW);
		Transposed any = parts[0];
		Pool.each(gradient.rows, image -> {
			float[] copy = Buffer.take((long) w.K * any.plane), sums = Buffer.take((long) (w.C + ROWS) * any.step);
			any.copy(gradient.data, image * gradient.cols, copy);
			Arrays.fill(out.data, image * out.cols, (image + 1) * out.cols, 0);
			for(Transposed part : parts) {
				if(part.at.length == 0)
					continue;
				Arrays.fill(sums, 0, w.C * part.step, 0);
				correlate(part.packed, w.C, part.at.length, copy, part.at, sums, part.step, part.length);
				part.put(sums, out.data, image * out.cols);
			}
			Buffer.give(copy);
			Buffer.give(sums);
		});
		for(Transposed part : parts)
			Buffer.give(part.packed);
		return out;
	}

	/** The gradient with respect to the filter, of the images and the gradient of the results. */
	static Tensor toFilter(Tensor x, Tensor gradient, Window w) {
		int taps = w.R * w.S, depth = w.C * taps, width = rounded(w.K), pixels = w.P * w.Q;
		Planes planes = new Planes(w);
		int[] at = planes.taps(), places = new int[pixels];
		for(int i = 0; i < pixels; i++)
			places[i] = i / w.Q * planes.width + i % w.Q;
		// As many sums beside each other as fit, whatever the threads: the same bits on every machine.
		int beside = (int) Math.max(2, Math.min(16, (1 << 22) / Math.max(1L, (long) depth * width)));
		int chunks = Math.max(1, Math.min(beside, x.rows));
		float[][] sums = new float[chunks][];
		boolean byChannel = w.C >= 4 || w.strideW > 1;
		int channel = byChannel ? planes.channel() : 0;
		Pool.each(chunks, chunk -> {
			float[] sum = Buffer.take((long) (depth + ROWS) * width);
			Arrays.fill(sum, 0, depth * width, 0);
			float[] copy = Buffer.take(planes.size()), turned = Buffer.take((long) pixels * width);
			if(width != w.K)
				Arrays.fill(turned, 0, pixels * width, 0);
			for(int image = chunk; image < x.rows; image += chunks) {
				planes.copy(x.data, image * x.cols, copy);
				Shapes.transpose(gradient.data, image * gradient.cols, pixels, turned, 0, width, w.K, pixels);
				for(int k = 0; k < width; k += COLS)
					if(byChannel)
						for(int tap = 0; tap < taps; tap++)
							for(int c = 0; c < w.C; c += ROWS)
								Tiles.a(Math.min(ROWS, w.C - c), pixels, copy, at[c * taps + tap], places, 0, channel,
									turned, k, width, sum, (tap * w.C + c) * width + k, width);
					else
						for(int row = 0; row < w.C * w.R; row++)
							for(int s = 0; s < w.S; s += ROWS)
								Tiles.a(Math.min(ROWS, w.S - s), pixels, copy, at[row * w.S + s], places, 0, 1,
									turned, k, width, sum, (row * w.S + s) * width + k, width);
			}
			Buffer.give(copy);
			Buffer.give(turned);
			sums[chunk] = sum;
		});
		Tensor out = Tensor.of(w.K, depth);
		for(int k = 0; k < w.K; k++)
			for(int t = 0; t < depth; t++) {
				int row = byChannel ? t % taps * w.C + t / taps : t;
				float total = 0;
				for(float[] sum : sums)
					total += sum[row * width + k];
				out.data[k * depth + t] = total;
			}
		for(float[] sum : sums)
			Buffer.give(sum);
		return out;
	}

	/** An image with its border, split by the stride: a plane for each channel and each rest of a division by it. */
	private static final class Planes {
		private final Window w;
		final int width, height, plane;

		Planes(Window w) {
			this.w = w;
			width = Math.max((w.W + 2 * w.padW + w.strideW - 1) / w.strideW, (w.S - 1) / w.strideW + w.Q);
			height = Math.max((w.H + 2 * w.padH + w.strideH - 1) / w.strideH, (w.R - 1) / w.strideH + w.P);
			plane = width * height;
		}

		long size() {
			return (long) w.C * channel() + COLS;
		}

		int channel() {
			return w.strideH * w.strideW * plane;
		}

		/** Where the first pixel is that each factor (c, r, s) meets. */
		int[] taps() {
			int[] at = new int[w.C * w.R * w.S];
			for(int i = 0; i < at.length; i++) {
				int c = i / (w.R * w.S), r = i / w.S % w.R, s = i % w.S;
				int rest = r % w.strideH * w.strideW + s % w.strideW;
				at[i] = c * channel() + rest * plane + r / w.strideH * width + s / w.strideW;
			}
			return at;
		}

		void copy(float[] x, int from, float[] to) {
			Arrays.fill(to, 0, w.C * channel(), 0);
			for(int c = 0; c < w.C; c++)
				for(int h = 0; h < w.H; h++) {
					int y = h + w.padH, row = c * channel() + y % w.strideH * w.strideW * plane + y / w.strideH * width;
					int source = from + (c * w.H + h) * w.W;
					if(w.strideW == 1)
						System.arraycopy(x, source, to, row + w.padW, w.W);
					else
						for(int v = 0; v < w.W; v++) {
							int z = v + w.padW;
							to[row + z % w.strideW * plane + z / w.strideW] = x[source + v];
						}
				}
		}
	}

	/** Those pixels of the images whose places have a rest (a, b) when divided by the stride: sums of gradients with a border. */
	private static final class Transposed {
		private final Window w;
		private final int a, b, down, right, width, height;
		final int plane, length, step;
		final int[] at;
		final float[] packed;

		Transposed(float[] filter, Window w, int a, int b) {
			this.w = w;
			this.a = a;
			this.b = b;
			down = (w.R - 1) / w.strideH;
			right = (w.S - 1) / w.strideW;
			int rows = (w.H - 1 + w.padH) / w.strideH + 1, cols = (w.W - 1 + w.padW) / w.strideW + 1;
			width = Math.max(cols, w.Q) + right;
			height = Math.max(rows, w.P) + down;
			plane = width * height;
			length = (rows - 1) * width + cols;
			step = rounded(length);
			int down = a < w.R ? (w.R - 1 - a) / w.strideH + 1 : 0, right = b < w.S ? (w.S - 1 - b) / w.strideW + 1 : 0;
			int taps = down * right, depth = w.K * taps;
			at = new int[depth];
			float[] factors = new float[w.C * depth];
			for(int i = 0; i < depth; i++) {
				int k = i / taps, u = i % taps / right, v = i % right;
				at[i] = k * plane + (this.down - u) * width + this.right - v;
				for(int c = 0; c < w.C; c++)
					factors[c * depth + i] = filter[((k * w.C + c) * w.R + a + u * w.strideH) * w.S + b + v * w.strideW];
			}
			packed = Convolution.packed(factors, w.C, depth);
		}

		void copy(float[] gradient, int from, float[] to) {
			Arrays.fill(to, 0, w.K * plane, 0);
			for(int k = 0; k < w.K; k++)
				for(int p = 0; p < w.P; p++)
					System.arraycopy(gradient, from + (k * w.P + p) * w.Q, to, k * plane + (p + down) * width + right, w.Q);
		}

		void put(float[] sums, float[] out, int to) {
			for(int c = 0; c < w.C; c++)
				for(int h = Math.floorMod(a - w.padH, w.strideH); h < w.H; h += w.strideH) {
					int row = c * step + (h + w.padH) / w.strideH * width;
					for(int v = Math.floorMod(b - w.padW, w.strideW); v < w.W; v += w.strideW)
						out[to + (c * w.H + h) * w.W + v] = sums[row + (v + w.padW) / w.strideW];
				}
		}
	}
}
