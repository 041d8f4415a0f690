package keras2dml.kernels.float32;

import java.util.Arrays;

import keras2dml.kernels.Pool;
import keras2dml.kernels.Window;

/** Convolutions of images (N, C * H * W) with filters (K, C * R * S), and their gradients for images.
 *
 * Pixels are read where they lie: an image is copied with its border, and split by the stride, so that each factor of a
 * filter meets pixels next to each other. Results are computed for whole rows of the copy; what is beyond an image is left
 * out afterwards. */
final class Convolution {
	private Convolution() {}

	static Tensor forward(Tensor x, Tensor filter, Tensor bias, Window w) {
		Tensor out = Tensor.of(x.rows, (long) w.K * w.P * w.Q);
		Planes planes = new Planes(w);
		Sums sums = new Sums(filter.data, w.K, planes.taps(), w.P, w.Q, planes.width);
		Pool.each(x.rows, image -> {
			float[] copy = Buffer.take(planes.size()), totals = Buffer.take(sums.size());
			planes.copy(x.data, image * x.cols, copy);
			sums.compute(copy, totals, bias);
			for(int k = 0; k < w.K; k++)
				for(int p = 0; p < w.P; p++)
					System.arraycopy(totals, sums.place(k, p), out.data, image * out.cols + (k * w.P + p) * w.Q, w.Q);
			Buffer.give(copy);
			Buffer.give(totals);
		});
		sums.end();
		return out;
	}

	/** The gradient with respect to the images, of the filter and the gradient of the results. */
	static Tensor toData(Tensor filter, Tensor gradient, Window w) {
		Tensor out = Tensor.of(gradient.rows, (long) w.C * w.H * w.W);
		Transposed[] parts = new Transposed[w.strideH * w.strideW];
		for(int i = 0; i < parts.length; i++)
			parts[i] = new Transposed(filter.data, w, i / w.strideW, i % w.strideW);
		Pool.each(gradient.rows, image -> {
			Arrays.fill(out.data, image * out.cols, (image + 1) * out.cols, 0);
			for(Transposed part : parts)
				part.compute(gradient.data, image * gradient.cols, out.data, image * out.cols);
		});
		for(Transposed part : parts)
			part.end();
		return out;
	}

	/** Those pixels of the images whose places have a rest (a, b) when divided by the stride: sums of gradients. */
	private static final class Transposed {
		private final Window w;
		/** The first such pixel, how many there are, and how many factors of the filter meet them. */
		private final int h, v, rows, cols, down, right;
		/** Where the copy of the gradients begins, and its size. */
		private final int top, left, width, height;
		private final Sums sums;

		Transposed(float[] filter, Window w, int a, int b) {
			this.w = w;
			h = Math.floorMod(a - w.padH, w.strideH);
			v = Math.floorMod(b - w.padW, w.strideW);
			rows = h < w.H ? (w.H - 1 - h) / w.strideH + 1 : 0;
			cols = v < w.W ? (w.W - 1 - v) / w.strideW + 1 : 0;
			down = a < w.R ? (w.R - 1 - a) / w.strideH + 1 : 0;
			right = b < w.S ? (w.S - 1 - b) / w.strideW + 1 : 0;
			top = (h + w.padH) / w.strideH - down + 1;
			left = (v + w.padW) / w.strideW - right + 1;
			width = cols + right - 1;
			height = rows + down - 1;
			int taps = down * right, depth = rows * cols == 0 ? 0 : w.K * taps;
			int[] at = new int[depth];
			float[] factors = new float[w.C * depth];
			for(int i = 0; i < depth; i++) {
				int k = i / taps, y = i % taps / right, z = i % right;
				at[i] = (k * height + down - 1 - y) * width + right - 1 - z;
				for(int c = 0; c < w.C; c++)
					factors[c * depth + i] = filter[((k * w.C + c) * w.R + a + y * w.strideH) * w.S + b + z * w.strideW];
			}
			sums = depth == 0 ? null : new Sums(factors, w.C, at, rows, cols, width);
		}

		void compute(float[] gradient, int from, float[] out, int to) {
			if(sums == null)
				return;
			float[] copy = Buffer.take((long) w.K * height * width + Tiles.COLS), totals = Buffer.take(sums.size());
			Arrays.fill(copy, 0, w.K * height * width, 0);
			int begin = Math.max(0, left), end = Math.min(w.Q, left + width);
			for(int k = 0; k < w.K; k++)
				for(int p = Math.max(0, top); p < Math.min(w.P, top + height); p++)
					if(end > begin)
						System.arraycopy(gradient, from + (k * w.P + p) * w.Q + begin, copy,
							(k * height + p - top) * width + begin - left, end - begin);
			sums.compute(copy, totals, null);
			for(int c = 0; c < w.C; c++)
				for(int i = 0; i < rows; i++) {
					int at = sums.place(c, i), put = to + (c * w.H + h + i * w.strideH) * w.W + v;
					if(w.strideW == 1)
						System.arraycopy(totals, at, out, put, cols);
					else
						for(int j = 0; j < cols; j++)
							out[put + j * w.strideW] = totals[at + j];
				}
			Buffer.give(copy);
			Buffer.give(totals);
		}

		void end() {
			if(sums != null)
				sums.end();
		}
	}
}
