package keras2dml.kernels.float32;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.apache.sysds.common.Types.OpOp1;
import org.apache.sysds.common.Types.OpOpData;
import org.apache.sysds.common.Types.ValueType;
import org.apache.sysds.hops.DataOp;
import org.apache.sysds.hops.FunctionOp;
import org.apache.sysds.hops.FunctionOp.FunctionType;
import org.apache.sysds.hops.Hop;
import org.apache.sysds.hops.LiteralOp;
import org.apache.sysds.hops.UnaryOp;
import org.apache.sysds.runtime.DMLScriptException;

import keras2dml.kernels.NoKernel;
import keras2dml.kernels.Numbers;

/** Makes a plan of SystemDS' own operators: what SystemDS would compile to instructions. */
final class Compiler {
	private static final Map<String, Integer> CELLS = new HashMap<>();
	static {
		for(int i = 0; i < Cells.NAMES.length; i++)
			CELLS.put(Cells.NAMES[i], i);
	}

	private final List<Node> nodes;
	private final Map<Long, Integer> known = new HashMap<>();
	private final Map<String, Integer> variables = new HashMap<>();
	private final Map<Object, Integer> constants;
	private final Functions functions;
	/** Whether this compiles a function that is called, whose variables are all known. */
	private final boolean called;
	private final Operators operators = new Operators(this);

	private Compiler(Functions functions) {
		this.functions = functions;
		nodes = new ArrayList<>();
		constants = new HashMap<>();
		called = false;
	}

	private Compiler(Compiler caller) {
		functions = caller.functions;
		nodes = caller.nodes;
		constants = caller.constants;
		called = true;
	}

	/** The plan of a block's statements. */
	static Plan block(List<Hop> roots, Functions functions) {
		Compiler compiler = new Compiler(functions);
		return compiler.plan(roots == null ? new LinkedHashMap<>() : compiler.written(roots));
	}

	/** The plan without what nothing needs, such as results of a function that its caller does not take. */
	private Plan plan(LinkedHashMap<String, Integer> written) {
		boolean[] needed = new boolean[nodes.size()];
		written.values().forEach(id -> needed[id] = true);
		for(int id = nodes.size() - 1; id >= 0; id--)
			if(needed[id] |= nodes.get(id).stops())
				for(int in : nodes.get(id).in)
					needed[in] = true;
		int[] numbers = new int[nodes.size()];
		List<Node> left = new ArrayList<>();
		for(Node node : nodes)
			if(needed[node.id]) {
				numbers[node.id] = left.size();
				left.add(node.numbered(left.size(), numbers));
			}
		written.replaceAll((name, id) -> numbers[id]);
		return new Plan(left, written);
	}

	/** The nodes of the variables that statements bind. */
	private LinkedHashMap<String, Integer> written(List<Hop> roots) {
		LinkedHashMap<String, Integer> written = new LinkedHashMap<>();
		for(Hop root : roots)
			if(root instanceof UnaryOp && ((UnaryOp) root).getOp() == OpOp1.STOP)
				stop(root);
			else if(root instanceof FunctionOp)
				call((FunctionOp) root, written);
			else if(root instanceof DataOp && ((DataOp) root).getOp() == OpOpData.TRANSIENTWRITE)
				written.put(root.getName(), node(root.getInput(0)));
			else
				throw new NoKernel(root.getOpString());
		return written;
	}

	private void stop(Hop hop) {
		ValueType type = hop.getInput(0).getValueType();
		operation(Node.STOP, in -> {
			throw new DMLScriptException(Numbers.text(type, in[0]));
		}, inputs(hop));
	}

	/** A call of a function binds several variables. */
	private void call(FunctionOp hop, Map<String, Integer> written) {
		if(hop.getFunctionType() != FunctionType.DML)
			throw new NoKernel(hop.getFunctionName());
		String[] names = hop.getInputVariableNames(), results = hop.getOutputVariableNames();
		List<List<Hop>> statements = functions.statements(hop.getFunctionKey());
		if(statements != null) {
			Compiler inner = new Compiler(this);
			for(int i = 0; i < names.length; i++)
				inner.variables.put(names[i], node(hop.getInput(i)));
			for(List<Hop> roots : statements)
				inner.variables.putAll(inner.written(roots));
			List<String> outputs = functions.block(hop.getFunctionKey()).getOutputParamNames();
			for(int i = 0; i < results.length; i++)
				written.put(results[i], inner.variables.get(outputs.get(i)));
			return;
		}
		Function function = functions.get(hop.getFunctionKey());
		int call = operation(hop, in -> function.call(names, in), inputs(hop));
		for(int i = 0; i < results.length; i++) {
			int place = i;
			written.put(results[i], operation(hop, in -> ((Results) in[0]).get(place), new int[] {call}));
		}
	}

	/** The plan that binds a variable to the value of an expression. */
	static Plan expression(Hop root, String name) {
		Compiler compiler = new Compiler((Functions) null);
		LinkedHashMap<String, Integer> written = new LinkedHashMap<>();
		boolean isWrite = root instanceof DataOp && ((DataOp) root).getOp() == OpOpData.TRANSIENTWRITE;
		written.put(name, compiler.node(isWrite ? root.getInput(0) : root));
		return compiler.plan(written);
	}

	int node(Hop hop) {
		Integer id = known.get(hop.getHopID());
		if(id == null) {
			id = compiled(hop);
			known.put(hop.getHopID(), id);
		}
		return id;
	}

	private int compiled(Hop hop) {
		if(hop instanceof LiteralOp)
			return constant(literal((LiteralOp) hop));
		if(hop instanceof DataOp) {
			if(((DataOp) hop).getOp() != OpOpData.TRANSIENTREAD || hop.getDataType().isFrame() || hop.getDataType().isList())
				throw new NoKernel(hop.getOpString());
			Integer id = variables.get(hop.getName());
			if(id == null && called)
				throw new NoKernel("a variable that is not bound: " + hop.getName());
			if(id == null)
				variables.put(hop.getName(), id = add(Node.variable(nodes.size(), hop.getName())));
			return id;
		}
		return operators.compiled(hop);
	}

	static Object literal(LiteralOp hop) {
		switch(hop.getValueType()) {
			case FP64:
			case INT64: return hop.getDoubleValue();
			case STRING: return hop.getStringValue();
			case BOOLEAN: return hop.getBooleanValue() ? 1.0 : 0.0;
			default: throw new NoKernel(hop.getValueType().name().toLowerCase());
		}
	}

	int[] inputs(Hop hop) {
		return hop.getInput().stream().mapToInt(this::node).toArray();
	}

	/** An operation whose operands are not those of SystemDS' operator. */
	int operation(String name, Kernel kernel, int[] in) {
		return add(Node.operation(nodes.size(), name, in, kernel));
	}

	private int constant(Object value) {
		return constants.computeIfAbsent(value, at -> add(Node.constant(nodes.size(), value)));
	}

	int operation(Hop hop, Kernel kernel, int[] in) {
		return add(Node.operation(nodes.size(), hop.getOpString(), in, kernel));
	}

	int cells(Hop hop, String name, int[] in) {
		Integer cell = CELLS.get(name);
		if(cell == null)
			throw new NoKernel(hop.getOpString());
		return add(Node.cells(nodes.size(), hop.getOpString(), in, cell));
	}

	private int add(Node node) {
		nodes.add(node);
		return node.id;
	}
}
