package keras2dml.kernels.float32;

import java.util.Arrays;

import org.apache.sysds.common.Types.AggOp;
import org.apache.sysds.common.Types.Direction;
import org.apache.sysds.common.Types.OpOp1;
import org.apache.sysds.hops.AggUnaryOp;

import keras2dml.kernels.NoKernel;
import keras2dml.kernels.Pool;

/** Sums, means, extremes and products: of all cells, of each row, of each column. Sums are added up in double precision. */
final class Aggregates {
	/** Cells that are worth a thread. */
	private static final int PART = 1 << 15;
	private static final int FEW = 8;
	private static final int PLUS = Arrays.asList(Cells.NAMES).indexOf("PLUS");

	private Aggregates() {}

	static Kernel kernel(AggUnaryOp hop) {
		AggOp op = hop.getOp();
		Direction direction = hop.getDirection();
		switch(op) {
			case SUM:
			case SUM_SQ:
			case MEAN:
			case VAR:
			case MIN:
			case MAX:
			case PROD:
			case TRACE: break;
			case MAXINDEX:
			case MININDEX:
				if(direction == Direction.Row)
					break;
			default: throw new NoKernel(hop.getOpString());
		}
		return in -> {
			Tensor x = ((Value) in[0]).tensor();
			switch(direction) {
				case Row: return rows(op, x);
				case Col: return cols(op, x);
				default: return whole(op, x);
			}
		};
	}

	private static Object whole(AggOp op, Tensor x) {
		if(op == AggOp.TRACE) {
			double sum = 0;
			for(int i = 0; i < Math.min(x.rows, x.cols); i++)
				sum += x.data[i * x.cols + i];
			return sum;
		}
		int parts = Math.max(1, (x.size() + PART - 1) / PART);
		double[] results = new double[parts];
		if(op == AggOp.VAR)
			return variance(x.data, 0, x.size(), 1);
		Pool.each(parts, part -> results[part] =
			run(op, x.data, part * PART, Math.min(PART, x.size() - part * PART), 1));
		double result = results[0];
		for(int i = 1; i < parts; i++)
			result = combined(op, result, results[i]);
		return op == AggOp.MEAN ? result / x.size() : result;
	}

	private static Tensor rows(AggOp op, Tensor x) {
		Tensor out = Tensor.of(x.rows, 1);
		int each = Math.max(1, PART / Math.max(1, x.cols));
		Pool.each((x.rows + each - 1) / each, part -> {
			for(int i = part * each; i < Math.min(x.rows, (part + 1) * each); i++) {
				double result = op == AggOp.VAR ? variance(x.data, i * x.cols, x.cols, 1)
					: run(op, x.data, i * x.cols, x.cols, 1);
				out.data[i] = (float) (op == AggOp.MEAN ? result / x.cols : result);
			}
		});
		return out;
	}

	private static Tensor cols(AggOp op, Tensor x) {
		Tensor out = Tensor.of(1, x.cols);
		// Each part has some columns, so that threads add up the same in the same order.
		int each = Math.max(16, (int) Math.min(x.cols, (long) PART / Math.max(1, x.rows)));
		Pool.each((x.cols + each - 1) / each, part -> {
			int begin = part * each, count = Math.min(each, x.cols - begin);
			if(op == AggOp.VAR) {
				for(int j = begin; j < begin + count; j++)
					out.data[j] = (float) variance(x.data, j, x.rows, x.cols);
				return;
			}
			double[] results = new double[count];
			for(int j = 0; j < count; j++)
				results[j] = start(op);
			if(op == AggOp.SUM || op == AggOp.MEAN)
				sums(results, x, begin, count);
			else
				for(int i = 0; i < x.rows; i++)
					add(op, results, x.data, i * x.cols + begin, count);
			for(int j = 0; j < count; j++)
				out.data[begin + j] = (float) (op == AggOp.MEAN ? results[j] / x.rows : results[j]);
		});
		return out;
	}

	/** Sums of columns: of a few rows in single precision, and of those in double. */
	private static void sums(double[] results, Tensor x, int begin, int count) {
		float[] few = Buffer.take(count);
		for(int i = 0; i < x.rows; i += FEW) {
			System.arraycopy(x.data, i * x.cols + begin, few, 0, count);
			for(int k = i + 1; k < Math.min(x.rows, i + FEW); k++)
				Cells.apply(PLUS, few, 0, few, 0, x.data, k * x.cols + begin, few, 0, count);
			for(int j = 0; j < count; j++)
				results[j] += few[j];
		}
		Buffer.give(few);
	}

	private static double start(AggOp op) {
		switch(op) {
			case MIN: return Double.POSITIVE_INFINITY;
			case MAX: return Double.NEGATIVE_INFINITY;
			case PROD: return 1;
			default: return 0;
		}
	}

	private static void add(AggOp op, double[] results, float[] x, int at, int count) {
		switch(op) {
			case SUM_SQ:
				for(int j = 0; j < count; j++)
					results[j] += (double) x[at + j] * x[at + j];
				break;
			case MIN:
				for(int j = 0; j < count; j++)
					results[j] = Math.min(results[j], x[at + j]);
				break;
			case MAX:
				for(int j = 0; j < count; j++)
					results[j] = Math.max(results[j], x[at + j]);
				break;
			case PROD:
				for(int j = 0; j < count; j++)
					results[j] *= x[at + j];
				break;
			default:
				for(int j = 0; j < count; j++)
					results[j] += x[at + j];
		}
	}

	private static double run(AggOp op, float[] x, int at, int count, int step) {
		double result = start(op);
		switch(op) {
			case SUM_SQ:
				for(int i = 0; i < count; i++, at += step)
					result += (double) x[at] * x[at];
				return result;
			case MIN:
				for(int i = 0; i < count; i++, at += step)
					result = Math.min(result, x[at]);
				return result;
			case MAX:
				for(int i = 0; i < count; i++, at += step)
					result = Math.max(result, x[at]);
				return result;
			case PROD:
				for(int i = 0; i < count; i++, at += step)
					result *= x[at];
				return result;
			case MAXINDEX:
			case MININDEX:
				Lanes.checkCount(count);
				return place(op == AggOp.MAXINDEX ? 1 : -1, x, at, count);
			default:
				return sum(x, at, count);
		}
	}

	private static double sum(float[] x, int at, int count) {
		double a = 0, b = 0, c = 0, d = 0;
		int i = 0;
		for(; i <= count - 4; i += 4) {
			a += x[at + i];
			b += x[at + i + 1];
			c += x[at + i + 2];
			d += x[at + i + 3];
		}
		for(; i < count; i++)
			a += x[at + i];
		return a + b + (c + d);
	}

	/** The place of the extreme, from 1; of several the one that SystemDS takes: the last. */
	private static double place(int sign, float[] x, int at, int count) {
		int best = 0;
		double extreme = Double.NEGATIVE_INFINITY;
		for(int i = 0; i < count; i++)
			if(sign * x[at + i] >= extreme) {
				best = i;
				extreme = sign * x[at + i];
			}
		return best + 1;
	}

	private static double combined(AggOp op, double a, double b) {
		switch(op) {
			case MIN: return Math.min(a, b);
			case MAX: return Math.max(a, b);
			case PROD: return a * b;
			default: return a + b;
		}
	}

	/** The variance of a sample; that of one number is 0, as in SystemDS. */
	private static double variance(float[] x, int at, int count, int step) {
		double mean = 0, squares = 0;
		for(int i = 0; i < count; i++) {
			double value = x[at + i * step], delta = value - mean;
			mean += delta / (i + 1);
			squares += delta * (value - mean);
		}
		return count == 1 ? 0 : squares / (count - 1);
	}

	/** Down the columns. */
	static Kernel cumulative(OpOp1 op) {
		return in -> {
			Tensor x = ((Value) in[0]).tensor(), out = Tensor.of(x.rows, x.cols);
			for(int j = 0; j < x.cols; j++) {
				double total = op == OpOp1.CUMPROD ? 1 : op == OpOp1.CUMSUM ? 0 : x.rows == 0 ? 0 : x.data[j];
				for(int i = 0, k = j; i < x.rows; i++, k += x.cols) {
					double value = x.data[k];
					total = op == OpOp1.CUMSUM ? total + value : op == OpOp1.CUMPROD ? total * value
						: op == OpOp1.CUMMAX ? Math.max(total, value) : Math.min(total, value);
					out.data[k] = (float) total;
				}
			}
			return out;
		};
	}
}
