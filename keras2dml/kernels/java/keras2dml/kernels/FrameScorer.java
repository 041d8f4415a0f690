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
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.sysds.runtime.controlprogram.LocalVariableMap;
import org.apache.sysds.runtime.controlprogram.caching.MatrixObject;
import org.apache.sysds.runtime.matrix.data.MatrixBlock;

/** Scores the rows of a DataFrame where they are: in the tasks of Spark, with the functions `check` and `score` of a script. */
public final class FrameScorer implements Serializable {
	private static final long serialVersionUID = 1L;
	/** As many rows as are scored of an array at once. */
	private static final int BATCH = 250;
	private static final AtomicInteger TASKS = new AtomicInteger();

	private final String text, input;
	private final boolean single;
	private final String[] names;
	private final Broadcast<MatrixBlock[]> weights;
	private final int column, width;
	/** The place of each of the model's numbers in the column, or null if they have the same. */
	private final int[] order;

	private FrameScorer(String text, String input, boolean single, String[] names, Broadcast<MatrixBlock[]> weights, int column, int width, int[] order) {
		this.text = text;
		this.input = input;
		this.single = single;
		this.names = names;
		this.weights = weights;
		this.column = column;
		this.width = width;
		this.order = order;
	}

	/** What there is no kernel for in a script, or null: then executors can run it. */
	public static String missing(String text, boolean single) {
		try {
			Scripts.function(text, "check", false);
			Scripts.function(text, "score", single);
			return null;
		}
		catch(NoKernel e) {
			return e.getMessage();
		}
	}

	/**
	 * The rows of a DataFrame, without its last column, which has their features as an array of `width` doubles, and with two more: the model's
	 * output, and in some rows an array of three counts, of numbers that are no finite ones, of numbers out of range, and of rows without so many
	 * features. `names` are the model's input and its weights, which are among the variables.
	 */
	public static Dataset<Row> score(Dataset<Row> frame, String text, String names, boolean single, LocalVariableMap variables, int width, MatrixObject order,
		String output, String counts) {
		List<String> inputs = List.of(names.split(" "));
		String[] weights = inputs.subList(1, inputs.size()).toArray(new String[0]);
		MatrixBlock[] blocks = Stream.of(weights).map(name -> ((MatrixObject) variables.get(name)).acquireReadAndRelease()).toArray(MatrixBlock[]::new);
		SparkSession session = frame.sparkSession();
		StructType schema = frame.schema();
		String features = schema.fieldNames()[schema.size() - 1];
		Broadcast<MatrixBlock[]> sent = JavaSparkContext.fromSparkContext(session.sparkContext()).broadcast(blocks);
		try {
			FrameScorer scorer = new FrameScorer(text, inputs.get(0), single, weights, sent, schema.size() - 1, width, places(order));
			schema = schema.add(output, DataTypes.createArrayType(DataTypes.DoubleType, false), false)
				.add(counts, DataTypes.createArrayType(DataTypes.LongType, false), true);
			RDD<InternalRow> scored = frame.queryExecution().toRdd().toJavaRDD().mapPartitions(scorer::scored).rdd();
			return session.internalCreateDataFrame(scored, schema, false).drop(features).localCheckpoint();
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

	private Iterator<InternalRow> scored(Iterator<InternalRow> rows) {
		return new Iterator<>() {
			private Iterator<InternalRow> batch = List.<InternalRow>of().iterator();

			@Override
			public boolean hasNext() {
				return batch.hasNext() || rows.hasNext();
			}

			@Override
			public InternalRow next() {
				if(!batch.hasNext())
					batch = batch(rows);
				return batch.next();
			}
		};
	}

	private Iterator<InternalRow> batch(Iterator<InternalRow> rows) {
		List<InternalRow> batch = new ArrayList<>();
		double[] features = new double[BATCH * width];
		int even = 0;
		while(batch.size() < BATCH && rows.hasNext()) {
			InternalRow row = rows.next().copy();
			even += read(row, features, batch.size() * width) ? 1 : 0;
			batch.add(row);
		}
		int uneven = batch.size() - even;
		TASKS.incrementAndGet();
		try {
			// A task that is alone has the threads of all.
			return TASKS.get() > 1 ? Pool.alone(() -> scored(batch, features, uneven)) : scored(batch, features, uneven);
		}
		finally {
			TASKS.decrementAndGet();
		}
	}

	/** Read the features of a row, NaN for those that are missing; returns whether there are as many as there should be. */
	private boolean read(InternalRow row, double[] to, int at) {
		ArrayData array = row.isNullAt(column) ? null : row.getArray(column);
		if(array == null || array.numElements() != width) {
			Arrays.fill(to, at, at + width, 0);
			return false;
		}
		double[] numbers = array.toDoubleArray();
		for(int i = 0; i < width; i++) {
			int from = order == null ? i : order[i];
			to[at + i] = array.isNullAt(from) ? Double.NaN : numbers[from];
		}
		return true;
	}

	private Iterator<InternalRow> scored(List<InternalRow> batch, double[] features, int uneven) {
		int rows = batch.size();
		MatrixBlock[] checked = Scripts.function(text, "check", false).call(Map.of("features", block(features, rows)));
		long[] counts = {(long) checked[1].get(0, 0), (long) checked[2].get(0, 0), uneven};
		boolean right = counts[0] + counts[1] + counts[2] == 0;
		double[] output = right ? output(checked[0], rows) : new double[0];
		int size = output.length / rows;
		List<InternalRow> scored = new ArrayList<>(rows);
		for(int i = 0; i < rows; i++) {
			ArrayData numbers = ArrayData.toArrayData(Arrays.copyOfRange(output, i * size, (i + 1) * size));
			ArrayData wrong = right || i > 0 ? null : ArrayData.toArrayData(counts);
			scored.add(new JoinedRow(batch.get(i), new GenericInternalRow(new Object[] {numbers, wrong})));
		}
		return scored.iterator();
	}

	private double[] output(MatrixBlock rows, int count) {
		Map<String, Object> arguments = new HashMap<>();
		arguments.put(input, rows);
		arguments.put("begin", 1.0);
		arguments.put("end", (double) count);
		for(int i = 0; i < names.length; i++)
			arguments.put(names[i], weights.value()[i]);
		return Scripts.function(text, "score", single).call(arguments)[0].getDenseBlockValues();
	}

	private MatrixBlock block(double[] numbers, int rows) {
		return new MatrixBlock(rows, width, rows == BATCH ? numbers : Arrays.copyOf(numbers, rows * width));
	}
}
