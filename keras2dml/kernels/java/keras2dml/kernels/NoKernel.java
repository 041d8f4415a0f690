package keras2dml.kernels;

/** There is no kernel for an operator, or none that can hold its numbers; the message is its name. */
public class NoKernel extends RuntimeException {
	private static final long serialVersionUID = 1L;

	public NoKernel(String operator) {
		super(operator, null, false, false);
	}
}
