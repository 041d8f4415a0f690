package keras2dml.kernels;

/** How windows lie in images: sizes of images (N, C, H, W), of filters (K, C, R, S), of results (P, Q). */
public final class Window {
	public final int N, C, H, W, K, R, S, strideH, strideW, padH, padW, P, Q;

	/** The numbers of SystemDS' operators, in their order: strides, paddings, images, filters. */
	public Window(double[] sizes) {
		strideH = (int) sizes[0];
		strideW = (int) sizes[1];
		padH = (int) sizes[2];
		padW = (int) sizes[3];
		N = (int) sizes[4];
		C = (int) sizes[5];
		H = (int) sizes[6];
		W = (int) sizes[7];
		K = (int) sizes[8];
		R = (int) sizes[10];
		S = (int) sizes[11];
		P = (H + 2 * padH - R) / strideH + 1;
		Q = (W + 2 * padW - S) / strideW + 1;
	}
}
