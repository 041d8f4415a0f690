package keras2dml.kernels.float32;

import java.util.List;

import org.apache.sysds.common.Types.OpOpDG;
import org.apache.sysds.hops.DataGenOp;
import org.apache.sysds.hops.TernaryOp;
import org.apache.sysds.runtime.matrix.data.LibMatrixDatagen;
import org.apache.sysds.runtime.matrix.data.MatrixBlock;
import org.apache.sysds.runtime.util.UtilFunctions;

import keras2dml.kernels.NoKernel;

/** Matrices of numbers alone: constants, sequences, random ones, contingency tables. */
final class Generators {
	private Generators() {}

	static Kernel kernel(OpOpDG op, List<String> names) {
		switch(op) {
			case RAND: return in -> random(new Arguments(names, in));
			case SINIT: return in -> text(new Arguments(names, in));
			case SEQ: return in -> sequence(new Arguments(names, in));
			default: throw new NoKernel(op.name().toLowerCase());
		}
	}

	private static Tensor random(Arguments given) {
		int rows = (int) given.number("rows", 0), cols = (int) given.number("cols", 0);
		double min = given.number("min", 0), max = given.number("max", 1), sparsity = given.number("sparsity", 1);
		if(min == max && sparsity == 1 && given.text("pdf", "uniform").equals("uniform"))
			return Tensor.filled(rows, cols, min);
		if(sparsity == 0)
			return Tensor.filled(rows, cols, 0);
		double seed = given.number("seed", DataGenOp.UNSPECIFIED_SEED);
		// SystemDS' own generator, so that masks are those of the DML.
		MatrixBlock block = MatrixBlock.randOperations(
			LibMatrixDatagen.createRandomMatrixGenerator(given.text("pdf", "uniform"), rows, cols, 1000, sparsity, min,
				max, given.text("lambda", "1.0")),
			seed == DataGenOp.UNSPECIFIED_SEED ? DataGenOp.generateRandomSeed() : (long) seed);
		return Blocks.tensor(block);
	}

	private static Tensor sequence(Arguments given) {
		double from = given.number("from", 1), to = given.number("to", 1), step = given.number("incr", 1);
		step = LibMatrixDatagen.updateSeqIncr(from, to, step);
		int count = (int) UtilFunctions.getSeqLength(from, to, step);
		if(Math.max(Math.abs(from), Math.abs(to)) > Lanes.WHOLE)
			throw new Buffer.TooLarge();
		Tensor out = Tensor.of(count, 1);
		for(int i = 0; i < count; i++)
			out.data[i] = (float) (from + i * step);
		return out;
	}

	/** A matrix of the numbers of a text. */
	private static Tensor text(Arguments given) {
		int rows = (int) given.number("rows", 0), cols = (int) given.number("cols", 0);
		String[] numbers = given.text("min", "").trim().split("[\\s,]+");
		Tensor out = Tensor.of(rows, cols);
		if(numbers.length != out.size())
			throw new IllegalStateException(numbers.length + " numbers as " + rows + " x " + cols);
		for(int i = 0; i < numbers.length; i++)
			out.data[i] = Lanes.number(Double.parseDouble(numbers[i]));
		return out;
	}

	/** Rows, columns, what is added to each cell (matrices, or a number for all), and the table's shape. */
	static Kernel table(TernaryOp hop) {
		boolean sized = hop.getInput().size() >= 5;
		if(!hop.getInput(0).getDataType().isMatrix() && !hop.getInput(1).getDataType().isMatrix())
			throw new NoKernel("table of numbers");
		return in -> {
			// A number instead of rows stands for a count from 1.
			Value like = (Value) (in[0] instanceof Value ? in[0] : in[1]);
			int[] row = in[0] instanceof Value ? places(in[0], like) : count(like.rows() * like.cols()), col = places(in[1], like);
			int rows = sized ? Value.integer(in[3]) : last(row), cols = sized ? Value.integer(in[4]) : last(col);
			if(in[2] instanceof Double && (Double) in[2] == 1 && rows == row.length && isCount(row))
				return new Selection(within(col, cols), cols);
			Tensor out = Tensor.filled(rows, cols, 0);
			Tensor weights = in[2] instanceof Double ? null : ((Value) in[2]).tensor();
			float weight = in[2] instanceof Double ? Lanes.number((Double) in[2]) : 0;
			for(int k = 0; k < row.length; k++)
				if(row[k] < rows && col[k] < cols)
					out.data[row[k] * cols + col[k]] += weights == null ? weight : weights.data[k];
			return out;
		};
	}

	private static int[] count(int length) {
		int[] places = new int[length];
		for(int k = 0; k < length; k++)
			places[k] = k;
		return places;
	}

	private static boolean isCount(int[] places) {
		for(int k = 0; k < places.length; k++)
			if(places[k] != k)
				return false;
		return true;
	}

	private static int last(int[] places) {
		int last = 0;
		for(int place : places)
			last = Math.max(last, place + 1);
		return last;
	}

	private static int[] within(int[] places, int count) {
		for(int k = 0; k < places.length; k++)
			if(places[k] >= count)
				places[k] = -1;
		return places;
	}

	/** Numbers of rows or columns, from 0: of a matrix, or one number for as many as `like` has. */
	private static int[] places(Object value, Value like) {
		int[] places = new int[like.rows() * like.cols()];
		for(int k = 0; k < places.length; k++) {
			double number = value instanceof Double ? (Double) value
				: value instanceof Source ? ((Source) value).at(k / like.cols(), k % like.cols())
				: ((Value) value).tensor().data[k];
			if(!(number >= 1))
				throw new IllegalStateException("a table has no row or column " + number);
			if(value instanceof Tensor && number >= Lanes.WHOLE)
				throw new Buffer.TooLarge();
			places[k] = (int) Math.min(number, Integer.MAX_VALUE) - 1;
		}
		return places;
	}

	/** A row, or a column, for each number of a vector, with a one at its place. */
	static Kernel expansion(List<String> names) {
		return in -> {
			Arguments given = new Arguments(names, in);
			Value target = (Value) in[names.indexOf("target")];
			Selection out = new Selection(within(places(target, target), (int) given.number("max", 0)), (int) given.number("max", 0));
			return given.text("dir", "cols").equals("rows") ? Shapes.transposed(out.tensor()) : out;
		};
	}

	/** Operands by name; some are texts. */
	static final class Arguments {
		private final List<String> names;
		private final Object[] in;

		Arguments(List<String> names, Object[] in) {
			this.names = names;
			this.in = in;
		}

		double number(String name, double otherwise) {
			int at = names.indexOf(name);
			if(at < 0)
				return otherwise;
			return in[at] instanceof String ? Double.parseDouble((String) in[at]) : Value.number(in[at]);
		}

		String text(String name, String otherwise) {
			int at = names.indexOf(name);
			return at >= 0 ? String.valueOf(in[at]) : otherwise;
		}
	}
}
