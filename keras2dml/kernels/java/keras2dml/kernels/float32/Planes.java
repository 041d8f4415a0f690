package keras2dml.kernels.float32;

import java.util.Arrays;

import keras2dml.kernels.Window;

/** An image with its border, split by the stride: a plane for each channel and each rest of a division by it. */
final class Planes {
	private final Window w;
	final int width, height, plane;

	Planes(Window w) {
		this.w = w;
		width = Math.max((w.W + 2 * w.padW + w.strideW - 1) / w.strideW, (w.S - 1) / w.strideW + w.Q);
		height = Math.max((w.H + 2 * w.padH + w.strideH - 1) / w.strideH, (w.R - 1) / w.strideH + w.P);
		plane = width * height;
	}

	long size() {
		return (long) w.C * channel() + Tiles.COLS;
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

	/** The copy with the channels of each pixel next to each other, and zeros up to `step`; its border is left as it is. */
	void copyByPixel(float[] x, int from, float[] to, int step) {
		for(int h = 0; h < w.H; h++) {
			int y = h + w.padH, row = y % w.strideH * w.strideW * plane + y / w.strideH * width;
			if(w.strideW == 1)
				Shapes.transpose(x, from + h * w.W, w.H * w.W, to, (row + w.padW) * step, step, w.C, w.W);
			else
				for(int v = 0; v < w.W; v++) {
					int z = v + w.padW, put = (row + z % w.strideW * plane + z / w.strideW) * step;
					for(int c = 0; c < w.C; c++)
						to[put + c] = x[from + (c * w.H + h) * w.W + v];
				}
		}
	}
}
