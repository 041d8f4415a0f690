package keras2dml.kernels.float32;

/** An operation on values. Its result is owned once, by the caller; its operands stay their owners'. */
interface Kernel {
	Object run(Object[] in);

	/** The same where the first operand's numbers are not needed any more: they may be overwritten, and returned. */
	default Object runInPlace(Object[] in) {
		return run(in);
	}
}
