package keras2dml.kernels.float32;

import java.util.Arrays;

import keras2dml.kernels.Pool;
import keras2dml.kernels.Window;

/** Pooling of images (N, C * H * W) to (N, C * P * Q), and its gradient. What is beyond an image counts as zero in a mean. */
final class Pooling {
	private Pooling() {}

	static Tensor forward(Tensor x, Window w, boolean maximum) {
		int channels = x.cols / (w.H * w.W);
		Tensor out = Tensor.of(x.rows, (long) channels * w.P * w.Q);
		if(maximum && Pairs.suit(w)) {
			Pool.each(x.rows, image -> Pairs.forward(x.data, image * x.cols, out.data, image * out.cols, channels * w.P, w.W));
			return out;
		}
		Pool.each(x.rows, image -> {
			for(int c = 0; c < channels; c++) {
				int from = image * x.cols + c * w.H * w.W, to = image * out.cols + c * w.P * w.Q;
				for(int p = 0; p < w.P; p++)
					for(int q = 0; q < w.Q; q++) {
						int top = p * w.strideH - w.padH, left = q * w.strideW - w.padW;
						int bottom = Math.min(w.H, top + w.R), right = Math.min(w.W, left + w.S);
						float result = maximum ? Float.NEGATIVE_INFINITY : 0;
						for(int h = Math.max(0, top); h < bottom; h++)
							for(int v = Math.max(0, left); v < right; v++) {
								float value = x.data[from + h * w.W + v];
								result = maximum ? Math.max(result, value) : result + value;
							}
						out.data[to++] = maximum ? result : result / (w.R * w.S);
					}
			}
		});
		return out;
	}

	/** The gradient with respect to x; that of a maximum goes to the first of the largest. */
	static Tensor backward(Tensor x, Tensor gradient, Window w, boolean maximum) {
		Tensor out = Tensor.of(x.rows, x.cols);
		int channels = x.cols / (w.H * w.W);
		if(maximum && Pairs.suit(w)) {
			Pool.each(x.rows, image -> Pairs.backward(x.data, out.data, image * x.cols, gradient.data, image * gradient.cols,
				channels * w.P, w.W));
			return out;
		}
		Pool.each(x.rows, image -> {
			Arrays.fill(out.data, image * x.cols, (image + 1) * x.cols, 0);
			for(int c = 0; c < channels; c++) {
				int at = image * x.cols + c * w.H * w.W, from = image * gradient.cols + c * w.P * w.Q;
				for(int p = 0; p < w.P; p++)
					for(int q = 0; q < w.Q; q++)
						spread(x.data, out.data, at, gradient.data[from++], p * w.strideH - w.padH,
							q * w.strideW - w.padW, w, maximum);
			}
		});
		return out;
	}

	private static void spread(float[] x, float[] out, int at, float gradient, int top, int left, Window w, boolean maximum) {
		int bottom = Math.min(w.H, top + w.R), right = Math.min(w.W, left + w.S), place = -1;
		float best = 0, share = gradient / (w.R * w.S);
		for(int h = Math.max(0, top); h < bottom; h++)
			for(int v = Math.max(0, left); v < right; v++) {
				int cell = at + h * w.W + v;
				if(!maximum)
					out[cell] += share;
				else if(place < 0 || x[cell] > best) {
					best = x[cell];
					place = cell;
				}
			}
		if(place >= 0)
			out[place] += gradient;
	}
}
