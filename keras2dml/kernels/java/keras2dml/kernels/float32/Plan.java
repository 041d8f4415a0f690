package keras2dml.kernels.float32;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.apache.sysds.api.DMLScript;
import org.apache.sysds.utils.Statistics;

/** The operations of statements without control flow, in order, from variables to variables. */
final class Plan {
	/** Nodes that run together; only the last of them, or those of a region, leave values. */
	interface Unit {
		void run(Run run);

		int[] reads();

		/** What it computes, for statistics. */
		String name();
	}

	private final Node[] nodes;
	private final Map<String, Integer> written;
	private final int[] uses;
	/** How often operations are grouped by the shapes of a run: anew where those of another do not fit. */
	private static final int GROUPED = 4;
	private volatile List<Unit> units;
	private volatile int grouped;

	/** `written` are the variables that the plan binds, with the nodes of their values. */
	Plan(List<Node> nodes, LinkedHashMap<String, Integer> written) {
		this.nodes = nodes.toArray(new Node[0]);
		this.written = written;
		uses = new int[this.nodes.length];
		for(int id : written.values())
			uses[id]++;
		List<Unit> single = new ArrayList<>();
		for(Node node : this.nodes)
			single.add(node.isCells() ? new Region(List.of(node), id -> false) : new Single(node));
		arrange(single);
	}

	private void arrange(List<Unit> arranged) {
		int[] counted = new int[nodes.length];
		for(int id : written.values())
			counted[id]++;
		for(Unit unit : arranged)
			for(int id : unit.reads())
				counted[id]++;
		synchronized(this) {
			System.arraycopy(counted, 0, uses, 0, counted.length);
			units = arranged;
		}
	}

	/** A number that the plan computes of no variable but numbers. */
	double number(Environment variables, String name) {
		run(variables);
		return Value.number(variables.get(name));
	}

	void run(Environment variables) {
		Run run;
		List<Unit> current;
		synchronized(this) {
			run = new Run(nodes, uses.clone(), variables, written.keySet());
			current = units;
		}
		try {
			for(Unit unit : current) {
				long began = DMLScript.STATISTICS ? System.nanoTime() : 0;
				unit.run(run);
				if(DMLScript.STATISTICS)
					Statistics.maintainCPHeavyHitters("kernel " + unit.name(), System.nanoTime() - began);
				for(int id : unit.reads())
					run.drop(id);
			}
			Map<String, Object> results = new HashMap<>();
			written.forEach((name, id) -> results.put(name, Value.own(run.values[id])));
			results.forEach(variables::put);
		}
		finally {
			run.end();
		}
		if(grouped == 0 || run.isUneven && grouped < GROUPED)
			group(run);
	}

	/** Once shapes are known, operations on cells of one shape become regions that pass over their cells once. */
	private synchronized void group(Run run) {
		grouped++;
		for(Node node : nodes) {
			node.rows = run.rows[node.id];
			node.cols = run.cols[node.id];
		}
		arrange(Grouping.of(nodes, written.values()));
	}

	/** The values of a run. */
	static final class Run {
		final Object[] values;
		private final int[] rows, cols, left;
		private final Environment variables;
		private final java.util.Set<String> rebound;
		/** Whether shapes of this run are others than those by which operations were grouped. */
		boolean isUneven;

		Run(Node[] nodes, int[] left, Environment variables, java.util.Set<String> rebound) {
			values = new Object[nodes.length];
			rows = new int[nodes.length];
			cols = new int[nodes.length];
			Arrays.fill(rows, -1);
			this.left = left;
			this.variables = variables;
			this.rebound = rebound;
		}

		void put(int id, Object value) {
			if(value instanceof Value) {
				rows[id] = ((Value) value).rows();
				cols[id] = ((Value) value).cols();
			}
			if(left[id] > 0)
				values[id] = value;
			else
				Value.release(value);
		}

		/** Whether one more use of a value is its last, and nobody else owns its numbers. */
		boolean isLast(int id) {
			return left[id] == 1 && values[id] instanceof Tensor && !((Tensor) values[id]).isShared();
		}

		Object read(String variable) {
			return rebound.contains(variable) ? variables.take(variable) : Value.own(variables.get(variable));
		}

		void drop(int id) {
			if(--left[id] == 0) {
				Value.release(values[id]);
				values[id] = null;
			}
		}

		private void end() {
			for(int id = 0; id < values.length; id++) {
				Value.release(values[id]);
				values[id] = null;
			}
		}
	}

	private static final class Single implements Unit {
		private final Node node;

		Single(Node node) {
			this.node = node;
		}

		@Override
		public int[] reads() {
			return node.in;
		}

		@Override
		public String name() {
			return node.name;
		}

		@Override
		public void run(Run run) {
			run.put(node.id, result(run));
		}

		private Object result(Run run) {
			if(node.constant != null)
				return node.constant;
			if(node.variable != null)
				return run.read(node.variable);
			Object[] in = new Object[node.in.length];
			for(int i = 0; i < in.length; i++)
				in[i] = run.values[node.in[i]];
			boolean last = in.length > 0 && run.isLast(node.in[0]);
			return last ? node.kernel.runInPlace(in) : node.kernel.run(in);
		}
	}

	static Unit single(Node node) {
		return new Single(node);
	}
}
