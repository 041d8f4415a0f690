package keras2dml.kernels.float32;

import org.apache.sysds.common.Types.FileFormat;
import org.apache.sysds.common.Types.ValueType;
import org.apache.sysds.runtime.controlprogram.caching.MatrixObject;
import org.apache.sysds.runtime.matrix.data.MatrixBlock;
import org.apache.sysds.runtime.meta.MatrixCharacteristics;
import org.apache.sysds.runtime.meta.MetaDataFormat;

/** A matrix of SystemDS whose numbers are ours; SystemDS gets a block of its own when it reads one, and not before. */
final class KernelMatrix extends MatrixObject {
	private static final int BLOCK = 1000;
	private Tensor tensor;
	private boolean filling, filled;

	/** Takes an ownership of the tensor. */
	KernelMatrix(Tensor tensor) {
		super(ValueType.FP64, "kernel", new MetaDataFormat(
			new MatrixCharacteristics(tensor.rows, tensor.cols, BLOCK, -1), FileFormat.BINARY));
		this.tensor = tensor;
	}

	/** The numbers for another owner, or null if SystemDS has changed or freed them. */
	synchronized Tensor tensor() {
		return tensor == null ? null : tensor.own();
	}

	@Override
	public MatrixBlock acquireRead() {
		fill();
		return super.acquireRead();
	}

	private synchronized void fill() {
		if(tensor == null || filled || filling)
			return;
		MatrixBlock block = tensor.block();
		boolean cleanup = isCleanupEnabled();
		filling = true;
		enableCleanup(true);
		super.acquireModify(block);
		release();
		enableCleanup(cleanup);
		filling = false;
		filled = true;
	}

	/** Spark's operators ask this before they read: what is not dirty they would read from a file. */
	@Override
	public boolean isDirty() {
		fill();
		return super.isDirty();
	}

	@Override
	public MatrixBlock acquireModify(MatrixBlock block) {
		if(!filling)
			drop();
		return super.acquireModify(block);
	}

	@Override
	public synchronized void clearData(long thread) {
		if(!filling && isCleanupEnabled())
			drop();
		super.clearData(thread);
	}

	private synchronized void drop() {
		if(tensor != null)
			tensor.release();
		tensor = null;
	}
}
