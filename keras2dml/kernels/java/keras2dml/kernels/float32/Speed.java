package keras2dml.kernels.float32;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

import keras2dml.kernels.Window;

/** How fast kernels are on this machine, in GFLOP/s, and what a loop of multiplications and additions in registers reaches. */
public final class Speed {
	/** Rounds of which the fastest counts, after as many to warm up. */
	private static final int ROUNDS = 12, ROWS = 64;

	private Speed() {}

	/** Figures by name, of which `peak` is that of one thread. */
	public static Map<String, Double> measure() {
		Map<String, Double> figures = new LinkedHashMap<>();
		figures.put("peak", peak());
		Buffer.begin();
		try {
			convolution(figures, "5x5, 1 to 32 channels", new Window(sizes(1, 28, 32, 5, 2)));
			convolution(figures, "5x5, 32 to 64 channels", new Window(sizes(32, 14, 64, 5, 2)));
			convolution(figures, "3x3, 16 to 16 channels", new Window(sizes(16, 32, 16, 3, 1)));
			convolution(figures, "3x3, 64 to 64 channels", new Window(sizes(64, 8, 64, 3, 1)));
			product(figures, 784, 512);
			product(figures, 3136, 512);
			product(figures, 156, 512);
		}
		finally {
			Buffer.end();
		}
		return figures;
	}

	private static double[] sizes(int channels, int side, int filters, int window, int padding) {
		return new double[] {1, 1, padding, padding, ROWS, channels, side, side, filters, channels, window, window};
	}

	private static double peak() {
		int depth = 256, times = 2000;
		float[] a = new float[depth * Tiles.ROWS], b = new float[depth * Tiles.COLS], c = new float[Tiles.ROWS * Tiles.COLS];
		int[] at = new int[depth];
		for(int t = 0; t < depth; t++)
			at[t] = t * Tiles.COLS;
		return fastest(2.0 * Tiles.ROWS * Tiles.COLS * depth * times, () -> {
			for(int i = 0; i < times; i++)
				Tiles.b(Tiles.ROWS, depth, a, 0, Tiles.ROWS, b, 0, at, 0, c, 0, Tiles.COLS, true);
			return null;
		});
	}

	private static void convolution(Map<String, Double> figures, String name, Window w) {
		Tensor x = numbers(ROWS, w.C * w.H * w.W), filter = numbers(w.K, w.C * w.R * w.S), gradient = numbers(ROWS, w.K * w.P * w.Q);
		double operations = 2.0 * ROWS * w.P * w.Q * w.C * w.R * w.S * w.K;
		figures.put("convolution " + name, fastest(operations, () -> Convolution.forward(x, filter, null, w)));
		figures.put("convolution " + name + ", to images", fastest(operations, () -> Convolution.toData(filter, gradient, w)));
		figures.put("convolution " + name + ", to the filter", fastest(operations, () -> FilterGradient.of(x, gradient, w)));
	}

	private static void product(Map<String, Double> figures, int from, int to) {
		Tensor x = numbers(ROWS, from), weights = numbers(from, to), gradient = numbers(ROWS, to);
		double operations = 2.0 * ROWS * from * to;
		String name = "dense " + from + " to " + to;
		figures.put(name, fastest(operations, () -> Products.product(x, false, weights, false)));
		figures.put(name + ", to inputs", fastest(operations, () -> Products.product(gradient, false, weights, true)));
		figures.put(name + ", to weights", fastest(operations, () -> Products.product(x, true, gradient, false)));
	}

	private static double fastest(double operations, Supplier<Tensor> kernel) {
		long least = Long.MAX_VALUE;
		for(int i = 0; i < 2 * ROUNDS; i++) {
			long began = System.nanoTime();
			Tensor out = kernel.get();
			if(i >= ROUNDS)
				least = Math.min(least, System.nanoTime() - began);
			if(out != null)
				out.release();
		}
		return operations / least;
	}

	private static Tensor numbers(int rows, int cols) {
		Tensor out = Tensor.of(rows, cols);
		for(int i = 0; i < out.size(); i++)
			out.data[i] = (float) (i * 7919L % 1000) / 1000 - 0.5f;
		return out;
	}
}
