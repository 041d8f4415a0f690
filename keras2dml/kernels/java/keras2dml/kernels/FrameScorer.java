package keras2dml.kernels;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.JoinedRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.execution.LogicalRDD;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.sysds.runtime.controlprogram.LocalVariableMap;
import org.apache.sysds.runtime.controlprogram.caching.MatrixObject;
import org.apache.sysds.runtime.matrix.data.MatrixBlock;

/** Scores the rows of a DataFrame where they are: in Spark's tasks, with the functions `check` and `score` of a script. */
public final class FrameScorer implements Serializable {
	private static final long serialVersionUID = 1L;
	/** What is counted of rows, instead of scoring them: see `Counts`. */
	private static final int COUNTS = 4;
	private static final AtomicInteger TASKS = new AtomicInteger();

	private final String text;
	private final boolean single;
	private final String input;
	private final String[] weightNames;
	private final int batchSize, width;

	/** `inputs` are the names of the model's input, which has `width` features, and of its weights. */
	public FrameScorer(String text, boolean single, String inputs, int batchSize, int width) {
		List<String> names = List.of(inputs.split(" "));
		this.text = text;
		this.single = single;
		input = names.get(0);
		weightNames = names.subList(1, names.size()).toArray(new String[0]);
		this.batchSize = batchSize;
		this.width = width;
	}

	/** Whether kernels run both functions of a script; where it is the driver that scores, on so many threads. */
	public static boolean canRun(String text, boolean single, int threads) {
		Kernels.use(threads);
		try {
			Scripts.function(text, "check", false);
			Scripts.function(text, "score", single);
			return true;
		}
		catch(NoKernel e) {
			return false;
		}
	}

	/** A DataFrame with the model's output, or what was counted of rows that have none, in which case there is no DataFrame. */
	public static final class Result {
		private final Dataset<Row> frame;
		private final long[] counts;

		private Result(Dataset<Row> frame, long[] counts) {
			this.frame = frame;
			this.counts = counts;
		}

		public Dataset<Row> frame() {
			return frame;
		}

		/** Numbers that are not finite, numbers out of range, rows of another width, batches that an executor could not compute. */
		public long count(int kind) {
			return counts[kind];
		}
	}

	/**
	 * The rows of a DataFrame with a column `output`, an array, in place of `features`, their last one, an array of doubles. `order` has the place in
	 * it of each of the model's numbers, or is null. The name `counts` is that of no column.
	 */
	public Result score(Dataset<Row> frame, LocalVariableMap variables, MatrixObject order, String features, String output, String counts) {
		MatrixBlock[] weights = Stream.of(weightNames).map(name -> ((MatrixObject) variables.get(name)).acquireReadAndRelease()).toArray(MatrixBlock[]::new);
		SparkSession session = frame.sparkSession();
		StructType schema = frame.schema().add(output, DataTypes.createArrayType(DataTypes.DoubleType, false), false)
			.add(counts, DataTypes.createArrayType(DataTypes.LongType, false), true);
		int column = frame.schema().size() - 1;
		int[] places = places(order);
		Broadcast<MatrixBlock[]> sent = JavaSparkContext.fromSparkContext(session.sparkContext()).broadcast(weights);
		try {
			RDD<InternalRow> rows = frame.queryExecution().toRdd().toJavaRDD().mapPartitions(part -> new Rows(part, sent, column, places)).rdd();
			Dataset<Row> scored = session.internalCreateDataFrame(rows, schema, false).drop(features).localCheckpoint();
			long[] sums = sums(scored, counts);
			if(Arrays.stream(sums).sum() == 0)
				return new Result(scored.drop(counts), sums);
			((LogicalRDD) scored.queryExecution().logical()).rdd().unpersist(false);
			return new Result(null, sums);
		}
		finally {
			sent.destroy();
		}
	}

	private static int[] places(MatrixObject order) {
		if(order == null)
			return null;
		MatrixBlock block = order.acquireReadAndRelease();
		return IntStream.range(0, block.getNumRows()).map(i -> (int) block.get(i, 0)).toArray();
	}

	private static long[] sums(Dataset<Row> scored, String counts) {
		String[] each = IntStream.range(0, COUNTS).mapToObj(kind -> "coalesce(sum(" + counts + "[" + kind + "]), 0L)").toArray(String[]::new);
		Row sums = scored.where(counts + " is not null").selectExpr(each).head();
		return IntStream.range(0, COUNTS).mapToLong(sums::getLong).toArray();
	}

	/** The rows of a partition, scored a batch at a time. */
	private final class Rows implements Iterator<InternalRow> {
		private final Iterator<InternalRow> rows;
		private final Broadcast<MatrixBlock[]> weights;
		private final int column;
		private final int[] places;
		private Iterator<InternalRow> batch = List.<InternalRow>of().iterator();

		Rows(Iterator<InternalRow> rows, Broadcast<MatrixBlock[]> weights, int column, int[] places) {
			this.rows = rows;
			this.weights = weights;
			this.column = column;
			this.places = places;
		}

		@Override
		public boolean hasNext() {
			return batch.hasNext() || rows.hasNext();
		}

		@Override
		public InternalRow next() {
			if(!batch.hasNext()) {
				batch = null;
				batch = batch();
			}
			return batch.next();
		}

		private Iterator<InternalRow> batch() {
			List<InternalRow> read = new ArrayList<>();
			while(read.size() < batchSize && rows.hasNext())
				read.add(rows.next().copy());
			boolean isAlone = TASKS.incrementAndGet() == 1 && Scripts.isDriver();
			try {
				// Where a single task of a local session runs, it has all threads; elsewhere each task has its core.
				return (isAlone ? scored(read) : Pool.alone(() -> scored(read))).iterator();
			}
			finally {
				TASKS.decrementAndGet();
			}
		}

		private List<InternalRow> scored(List<InternalRow> read) {
			long[] counts = new long[COUNTS];
			double[] output = new double[0];
			try {
				output = output(read, counts);
			}
			catch(NoKernel | LinkageError e) {
				// The executor has no Vector API, or float32 does not hold a number.
				counts[3]++;
			}
			boolean isRefused = Arrays.stream(counts).sum() > 0;
			int size = isRefused ? 0 : output.length / read.size();
			List<InternalRow> scored = new ArrayList<>(read.size());
			for(int i = 0; i < read.size(); i++) {
				ArrayData numbers = ArrayData.toArrayData(Arrays.copyOfRange(output, i * size, (i + 1) * size));
				ArrayData refused = isRefused && i == 0 ? ArrayData.toArrayData(counts) : null;
				scored.add(new JoinedRow(read.get(i), new GenericInternalRow(new Object[] {numbers, refused})));
			}
			return scored;
		}

		private double[] output(List<InternalRow> read, long[] counts) {
			MatrixBlock features = features(read, counts);
			MatrixBlock[] checked = Scripts.function(text, "check", false).call(Map.of("features", features));
			counts[0] = (long) checked[1].get(0, 0);
			counts[1] = (long) checked[2].get(0, 0);
			if(Arrays.stream(counts).sum() > 0)
				return new double[0];
			Map<String, Object> arguments = new HashMap<>();
			arguments.put(input, checked[0]);
			arguments.put("begin", 1.0);
			arguments.put("end", (double) read.size());
			for(int i = 0; i < weightNames.length; i++)
				arguments.put(weightNames[i], weights.value()[i]);
			return Scripts.function(text, "score", single).call(arguments)[0].getDenseBlockValues();
		}

		/** The features of rows, NaN for those that are missing; rows of another width are counted. */
		private MatrixBlock features(List<InternalRow> read, long[] counts) {
			double[] features = new double[Math.multiplyExact(read.size(), width)];
			for(int row = 0; row < read.size(); row++) {
				ArrayData array = read.get(row).isNullAt(column) ? null : read.get(row).getArray(column);
				if(array == null || array.numElements() != width) {
					counts[2]++;
					continue;
				}
				double[] numbers = array.toDoubleArray();
				for(int i = 0; i < width; i++) {
					int place = places == null ? i : places[i];
					features[row * width + i] = array.isNullAt(place) ? Double.NaN : numbers[place];
				}
			}
			return new MatrixBlock(read.size(), width, features);
		}
	}
}
