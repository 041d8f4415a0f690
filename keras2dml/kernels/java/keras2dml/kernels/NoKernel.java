package keras2dml.kernels;

/** There is no kernel for an operator; the message is its name. */
public final class NoKernel extends RuntimeException {
	private static final long serialVersionUID = 1L;

	public NoKernel(String operator) {
		super(operator, null, false, false);
	}
}
