package keras2dml.kernels.float32;

import java.util.Arrays;

import keras2dml.kernels.Pool;
import keras2dml.kernels.Window;

/** The gradient of a convolution with respect to its filter (K, C * R * S): of the images, and of the gradient of the results. */
final class FilterGradient {
	private static final int COLS = Tiles.COLS;
	/** Numbers of sums beside each other, whatever the threads: the same bits on every machine. */
	private static final int NUMBERS = 1 << 22, MOST = 16;

	private final Window w;
	private final Tensor x, gradient;
	private final Planes planes;
	private final int taps, pixels;
	private final int[] at;

	private FilterGradient(Tensor x, Tensor gradient, Window w) {
		this.w = w;
		this.x = x;
		this.gradient = gradient;
		planes = new Planes(w);
		taps = w.R * w.S;
		pixels = w.P * w.Q;
		at = planes.taps();
	}

	static Tensor of(Tensor x, Tensor gradient, Window w) {
		FilterGradient task = new FilterGradient(x, gradient, w);
		return w.C >= COLS / 2 ? task.ofChannels() : task.ofFilters();
	}

	private interface Part {
		/** Add the products of an image to the sums. */
		void add(int image, float[] sum, float[] copy, float[] turned);
	}

	/** Sums over the images, in parts; the first of the arrays returned has them all. */
	private float[] sums(int size, int turned, Part part) {
		int beside = (int) Math.max(2, Math.min(MOST, (long) NUMBERS / Math.max(1, size)));
		int chunks = Math.max(1, Math.min(beside, x.rows));
		float[][] sums = new float[chunks][];
		Pool.each(chunks, chunk -> {
			float[] sum = Buffer.take(size), copy = Buffer.take(planes.size() + planes.channel() * COLS), other = Buffer.take(turned);
			Arrays.fill(sum, 0, size, 0);
			Arrays.fill(copy, 0);
			Arrays.fill(other, 0);
			for(int image = chunk; image < x.rows; image += chunks)
				part.add(image, sum, copy, other);
			Buffer.give(copy);
			Buffer.give(other);
			sums[chunk] = sum;
		});
		int each = 1 << 14;
		Pool.each((size + each - 1) / each, piece -> {
			for(int chunk = 1; chunk < chunks; chunk++)
				for(int i = piece * each; i < Math.min(size, (piece + 1) * each); i++)
					sums[0][i] += sums[chunk][i];
		});
		for(int chunk = 1; chunk < chunks; chunk++)
			Buffer.give(sums[chunk]);
		return sums[0];
	}

	/** Vectors of channels: for images that have some. */
	private Tensor ofChannels() {
		int width = Tiles.rounded(w.C);
		int[] places = new int[pixels];
		for(int i = 0; i < pixels; i++)
			places[i] = (i / w.Q * planes.width + i % w.Q) * width;
		float[] sum = sums(taps * w.K * width, w.K * pixels, (image, sums, copy, turned) -> {
			planes.copyByPixel(x.data, image * x.cols, copy, width);
			for(int tile = 0; tile < Tiles.count(w.K); tile++) {
				int k = Tiles.first(tile, w.K), rows = Tiles.first(tile + 1, w.K) - k;
				Shapes.transpose(gradient.data, image * gradient.cols + k * pixels, pixels, turned, k * pixels, rows, rows, pixels);
			}
			for(int tap = 0; tap < taps; tap++)
				for(int c = 0; c < width; c += COLS)
					for(int tile = 0; tile < Tiles.count(w.K); tile++) {
						int k = Tiles.first(tile, w.K), rows = Tiles.first(tile + 1, w.K) - k;
						Tiles.b(rows, pixels, turned, k * pixels, rows, copy, at[tap] * width + c, places, 0,
							sums, (tap * w.K + k) * width + c, width, true);
					}
		});
		Tensor out = Tensor.of(w.K, w.C * taps);
		for(int k = 0; k < w.K; k++)
			for(int c = 0; c < w.C; c++)
				for(int tap = 0; tap < taps; tap++)
					out.data[(k * w.C + c) * taps + tap] = sum[(tap * w.K + k) * width + c];
		Buffer.give(sum);
		return out;
	}

	/** Vectors of filters: for images of few channels. */
	private Tensor ofFilters() {
		int width = Tiles.rounded(w.K), step = w.strideW > 1 ? planes.channel() : 1;
		int[] places = new int[pixels];
		for(int i = 0; i < pixels; i++)
			places[i] = i / w.Q * planes.width + i % w.Q;
		// Rows of a tile are factors that are next to each other, or channels.
		int beside = w.strideW > 1 ? w.C : w.S, others = w.C * taps / beside;
		float[] sum = sums(w.C * taps * width, pixels * width, (image, sums, copy, turned) -> {
			planes.copy(x.data, image * x.cols, copy);
			Shapes.transpose(gradient.data, image * gradient.cols, pixels, turned, 0, width, w.K, pixels);
			for(int k = 0; k < width; k += COLS)
				for(int other = 0; other < others; other++)
					for(int tile = 0; tile < Tiles.count(beside); tile++) {
						int first = Tiles.first(tile, beside), rows = Tiles.first(tile + 1, beside) - first;
						int tap = w.strideW > 1 ? first * taps + other : other * w.S + first;
						Tiles.a(rows, pixels, copy, at[tap], places, 0, step, turned, k, width,
							sums, (other * beside + first) * width + k, width, true);
					}
		});
		Tensor out = Tensor.of(w.K, w.C * taps);
		for(int k = 0; k < w.K; k++)
			for(int t = 0; t < w.C * taps; t++) {
				int row = w.strideW > 1 ? t % taps * w.C + t / taps : t;
				out.data[k * out.cols + t] = sum[row * width + k];
			}
		Buffer.give(sum);
		return out;
	}
}
