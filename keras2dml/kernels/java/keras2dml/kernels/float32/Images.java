package keras2dml.kernels.float32;

import java.util.Arrays;

import org.apache.sysds.common.Types.OpOpDnn;
import org.apache.sysds.hops.DnnOp;
import org.apache.sysds.hops.Hop;

import keras2dml.kernels.NoKernel;
import keras2dml.kernels.Window;

/** Operators on images: which kernel computes what. */
final class Images {
	private Images() {}

	static Kernel kernel(DnnOp hop) {
		switch(hop.getOp()) {
			case CONV2D: return in -> Convolution.forward(tensor(in[0]), tensor(in[1]), null, window(in, 2));
			case CONV2D_BACKWARD_DATA: return in -> Convolution.toData(tensor(in[0]), tensor(in[1]), window(in, 2));
			case CONV2D_BACKWARD_FILTER: return in -> FilterGradient.of(tensor(in[0]), tensor(in[1]), window(in, 2));
			case MAX_POOL: return in -> Pooling.forward(tensor(in[0]), window(in, 1), true);
			case AVG_POOL: return in -> Pooling.forward(tensor(in[0]), window(in, 1), false);
			case MAX_POOL_BACKWARD: return in -> Pooling.backward(tensor(in[0]), tensor(in[1]), window(in, 2), true);
			case AVG_POOL_BACKWARD: return in -> Pooling.backward(tensor(in[0]), tensor(in[1]), window(in, 2), false);
			case BIASADD:
				if(isBiased(hop))
					return in -> Convolution.forward(tensor(in[1]), tensor(in[2]), tensor(in[0]), window(in, 3));
				return in -> channels(tensor(in[0]), tensor(in[1]), false);
			case BIASMULT: return in -> channels(tensor(in[0]), tensor(in[1]), true);
			default: throw new NoKernel(hop.getOpString());
		}
	}

	/** Whether an operator adds a bias to a convolution that nothing else needs. */
	static boolean isBiased(DnnOp hop) {
		Hop x = hop.getInput(0);
		return hop.getOp() == OpOpDnn.BIASADD && x instanceof DnnOp && ((DnnOp) x).getOp() == OpOpDnn.CONV2D
			&& x.getParent().size() == 1;
	}

	private static Tensor tensor(Object value) {
		return ((Value) value).tensor();
	}

	private static Window window(Object[] in, int from) {
		double[] sizes = new double[in.length - from];
		for(int i = 0; i < sizes.length; i++)
			sizes[i] = Value.number(in[from + i]);
		return new Window(sizes);
	}

	/** Add a number to each channel of images, or multiply it. */
	private static Tensor channels(Tensor x, Tensor b, boolean times) {
		Tensor out = Tensor.of(x.rows, x.cols);
		int pixels = x.cols / b.rows;
		float[] filled = new float[pixels];
		int cell = Arrays.asList(Cells.NAMES).indexOf(times ? "MULT" : "PLUS");
		for(int channel = 0; channel < b.rows; channel++) {
			Arrays.fill(filled, b.data[channel]);
			for(int i = 0; i < x.rows; i++) {
				int at = i * x.cols + channel * pixels;
				Cells.apply(cell, out.data, at, x.data, at, filled, 0, filled, 0, pixels);
			}
		}
		return out;
	}
}
