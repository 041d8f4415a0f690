package keras2dml.kernels.float32;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.apache.sysds.common.Types.DataType;
import org.apache.sysds.common.Types.OpOp1;
import org.apache.sysds.common.Types.OpOp2;
import org.apache.sysds.common.Types.OpOp3;
import org.apache.sysds.common.Types.OpOpData;
import org.apache.sysds.common.Types.OpOpN;
import org.apache.sysds.common.Types.ParamBuiltinOp;
import org.apache.sysds.common.Types.ReOrgOp;
import org.apache.sysds.common.Types.ValueType;
import org.apache.sysds.hops.AggBinaryOp;
import org.apache.sysds.hops.AggUnaryOp;
import org.apache.sysds.hops.BinaryOp;
import org.apache.sysds.hops.DataGenOp;
import org.apache.sysds.hops.DataOp;
import org.apache.sysds.hops.DnnOp;
import org.apache.sysds.hops.FunctionOp;
import org.apache.sysds.hops.FunctionOp.FunctionType;
import org.apache.sysds.hops.Hop;
import org.apache.sysds.hops.IndexingOp;
import org.apache.sysds.hops.LeftIndexingOp;
import org.apache.sysds.hops.LiteralOp;
import org.apache.sysds.hops.NaryOp;
import org.apache.sysds.hops.ParameterizedBuiltinOp;
import org.apache.sysds.hops.ReorgOp;
import org.apache.sysds.hops.TernaryOp;
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

	private final List<Node> nodes = new ArrayList<>();
	private final Map<Long, Integer> known = new HashMap<>();
	private final Map<String, Integer> variables = new HashMap<>();
	private final Map<Object, Integer> constants = new HashMap<>();

	private final Functions functions;

	private Compiler(Functions functions) {
		this.functions = functions;
	}

	/** The plan of a block's statements. */
	static Plan block(List<Hop> roots, Functions functions) {
		Compiler compiler = new Compiler(functions);
		LinkedHashMap<String, Integer> written = new LinkedHashMap<>();
		if(roots != null)
			for(Hop root : roots) {
				if(root instanceof UnaryOp && ((UnaryOp) root).getOp() == OpOp1.STOP)
					compiler.stop(root);
				else if(root instanceof FunctionOp)
					compiler.call((FunctionOp) root, written);
				else if(root instanceof DataOp && ((DataOp) root).getOp() == OpOpData.TRANSIENTWRITE)
					written.put(root.getName(), compiler.node(root.getInput(0)));
				else
					throw new NoKernel(root.getOpString());
			}
		return new Plan(compiler.nodes, written);
	}

	private void stop(Hop hop) {
		ValueType type = hop.getInput(0).getValueType();
		operation(hop, in -> {
			throw new DMLScriptException(Numbers.text(type, in[0]));
		}, inputs(hop));
	}

	/** A call of a function binds several variables. */
	private void call(FunctionOp hop, Map<String, Integer> written) {
		if(hop.getFunctionType() != FunctionType.DML)
			throw new NoKernel(hop.getFunctionName());
		Function function = functions.get(hop.getFunctionKey());
		String[] names = hop.getInputVariableNames(), results = hop.getOutputVariableNames();
		int call = operation(hop, in -> function.call(names, in), inputs(hop));
		for(int i = 0; i < results.length; i++) {
			int place = i;
			written.put(results[i], operation(hop, in -> ((Results) in[0]).get(place), new int[] {call}));
		}
	}

	/** The plan that binds a variable to the value of an expression. */
	static Plan expression(Hop root, String name) {
		Compiler compiler = new Compiler(null);
		LinkedHashMap<String, Integer> written = new LinkedHashMap<>();
		boolean isWrite = root instanceof DataOp && ((DataOp) root).getOp() == OpOpData.TRANSIENTWRITE;
		written.put(name, compiler.node(isWrite ? root.getInput(0) : root));
		return new Plan(compiler.nodes, written);
	}

	private int node(Hop hop) {
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
			return variables.computeIfAbsent(hop.getName(), name -> add(Node.variable(nodes.size(), name)));
		}
		if(hop instanceof UnaryOp)
			return unary((UnaryOp) hop);
		if(hop instanceof BinaryOp)
			return binary((BinaryOp) hop);
		if(hop instanceof TernaryOp)
			return ternary((TernaryOp) hop);
		if(hop instanceof NaryOp)
			return nary((NaryOp) hop);
		if(hop instanceof AggUnaryOp)
			return operation(hop, Aggregates.kernel((AggUnaryOp) hop), inputs(hop));
		if(hop instanceof AggBinaryOp)
			return product((AggBinaryOp) hop);
		if(hop instanceof ReorgOp)
			return operation(hop, Shapes.kernel((ReorgOp) hop), inputs(hop));
		if(hop instanceof IndexingOp)
			return operation(hop, Indexing::read, inputs(hop));
		if(hop instanceof LeftIndexingOp)
			return operation(hop, Indexing.WRITE, inputs(hop));
		if(hop instanceof DataGenOp)
			return generated((DataGenOp) hop);
		if(hop instanceof ParameterizedBuiltinOp)
			return parameterized((ParameterizedBuiltinOp) hop);
		if(hop instanceof DnnOp)
			return image((DnnOp) hop);
		throw new NoKernel(hop.getOpString());
	}

	private static Object literal(LiteralOp hop) {
		switch(hop.getValueType()) {
			case FP64:
			case INT64: return hop.getDoubleValue();
			case STRING: return hop.getStringValue();
			case BOOLEAN: return hop.getBooleanValue() ? 1.0 : 0.0;
			default: throw new NoKernel(hop.getValueType().name().toLowerCase());
		}
	}

	private int unary(UnaryOp hop) {
		OpOp1 op = hop.getOp();
		Hop in = hop.getInput(0);
		switch(op) {
			case NROW: return operation(hop, at -> (double) ((Value) at[0]).rows(), inputs(hop));
			case NCOL: return operation(hop, at -> (double) ((Value) at[0]).cols(), inputs(hop));
			case LENGTH: return operation(hop, at -> (double) ((Value) at[0]).rows() * ((Value) at[0]).cols(), inputs(hop));
			case CAST_AS_SCALAR: return operation(hop, at -> Indexing.number(at[0]), inputs(hop));
			case CAST_AS_MATRIX: return operation(hop, at -> in.getDataType().isMatrix() ? Value.own(at[0])
				: Tensor.filled(1, 1, Value.number(at[0])), inputs(hop));
			case CUMSUM:
			case CUMPROD:
			case CUMMAX:
			case CUMMIN: return operation(hop, Aggregates.cumulative(op), inputs(hop));
			default:
		}
		if(hop.getDataType().isScalar()) {
			Numbers.apply(op, 1); // complains now
			return operation(hop, at -> Numbers.apply(op, (Double) at[0]), inputs(hop));
		}
		return cells(hop, op.name(), inputs(hop));
	}

	private int binary(BinaryOp hop) {
		OpOp2 op = hop.getOp();
		if(op == OpOp2.CBIND || op == OpOp2.RBIND)
			return operation(hop, op == OpOp2.CBIND ? Shapes::columns : Shapes::rows, inputs(hop));
		if(hop.getDataType().isScalar()) {
			ValueType first = hop.getInput(0).getValueType(), second = hop.getInput(1).getValueType();
			if(first == ValueType.STRING || second == ValueType.STRING) {
				if(op == OpOp2.PLUS)
					return operation(hop, at -> Numbers.text(first, at[0]) + Numbers.text(second, at[1]), inputs(hop));
				if(op != OpOp2.EQUAL && op != OpOp2.NOTEQUAL)
					throw new NoKernel(op + " of texts");
				return operation(hop, at -> at[0].equals(at[1]) == (op == OpOp2.EQUAL) ? 1.0 : 0.0, inputs(hop));
			}
			Numbers.apply(op, 1, 1); // complains now
			return operation(hop, at -> Numbers.apply(op, (Double) at[0], (Double) at[1]), inputs(hop));
		}
		if(!hop.getDataType().isMatrix() || hop.getInput().stream().anyMatch(Compiler::isSplitter))
			throw new NoKernel(hop.getOpString());
		Hop exponent = hop.getInput(1);
		if(op == OpOp2.POW && exponent instanceof LiteralOp && literal((LiteralOp) exponent).equals(2.0))
			return cells(hop, "POW2", new int[] {node(hop.getInput(0))});
		return cells(hop, op == OpOp2.LOG ? "LOG2" : op.name(), inputs(hop));
	}

	/** Whether a factor rounds numbers of double precision, which it would not in single. */
	private static boolean isSplitter(Hop hop) {
		return Float.SIZE == 32 && hop instanceof LiteralOp && literal((LiteralOp) hop).equals((double) (1 << 29) + 1);
	}

	private int ternary(TernaryOp hop) {
		OpOp3 op = hop.getOp();
		if(op == OpOp3.CTABLE)
			return operation(hop, Generators.table(hop), inputs(hop));
		if(op != OpOp3.IFELSE && op != OpOp3.PLUS_MULT && op != OpOp3.MINUS_MULT)
			throw new NoKernel(hop.getOpString());
		if(!hop.getDataType().isMatrix()) {
			if(op != OpOp3.IFELSE)
				throw new NoKernel(hop.getOpString());
			return operation(hop, at -> Value.own((Double) at[0] != 0 ? at[1] : at[2]), inputs(hop));
		}
		return cells(hop, op.name(), inputs(hop));
	}

	private int nary(NaryOp hop) {
		OpOpN op = hop.getOp();
		int[] in = inputs(hop);
		if(op == OpOpN.CBIND || op == OpOpN.RBIND)
			return operation(hop, op == OpOpN.CBIND ? Shapes::columns : Shapes::rows, in);
		if(!op.isCellOp() || hop.getDataType() == DataType.UNKNOWN)
			throw new NoKernel(hop.getOpString());
		int result = in[0];
		OpOp2 number = OpOp2.valueOf(op.name());
		boolean matrix = hop.getInput(0).getDataType().isMatrix();
		for(int i = 1; i < in.length; i++) {
			int[] both = {result, in[i]};
			matrix |= hop.getInput(i).getDataType().isMatrix();
			result = matrix ? cells(hop, op.name(), both)
				: operation(hop, at -> Numbers.apply(number, (Double) at[0], (Double) at[1]), both);
		}
		return result;
	}

	private int product(AggBinaryOp hop) {
		if(!hop.isMatrixMultiply())
			throw new NoKernel(hop.getOpString());
		Hop a = hop.getInput(0), b = hop.getInput(1);
		boolean aTransposed = isTransposed(a), bTransposed = isTransposed(b);
		int[] in = {node(aTransposed ? a.getInput(0) : a), node(bTransposed ? b.getInput(0) : b)};
		return operation(hop, at -> Products.product((Value) at[0], aTransposed, (Value) at[1], bTransposed), in);
	}

	private static boolean isTransposed(Hop hop) {
		return hop instanceof ReorgOp && ((ReorgOp) hop).getOp() == ReOrgOp.TRANS;
	}

	private int generated(DataGenOp hop) {
		Named named = new Named(hop.getParamIndexMap(), hop);
		return operation(hop, Generators.kernel(hop.getOp(), named.names), named.ids());
	}

	private int parameterized(ParameterizedBuiltinOp hop) {
		Named named = new Named(hop.getParamIndexMap(), hop);
		if(hop.getOp() == ParamBuiltinOp.REXPAND)
			return operation(hop, Generators.expansion(named.names), named.ids());
		return operation(hop, Shapes.parameterized(hop.getOp(), named.names), named.ids());
	}

	/** Operands that have names. */
	private final class Named {
		final List<String> names = new ArrayList<>();
		private final List<Integer> in = new ArrayList<>();

		Named(Map<String, Integer> places, Hop hop) {
			places.forEach((name, at) -> {
				names.add(name);
				in.add(node(hop.getInput(at)));
			});
		}

		int[] ids() {
			return in.stream().mapToInt(Integer::intValue).toArray();
		}
	}

	private int image(DnnOp hop) {
		Kernel kernel = Images.kernel(hop);
		if(!Images.isBiased(hop))
			return operation(hop, kernel, inputs(hop));
		int bias = node(hop.getInput(1));
		int[] in = inputs(hop.getInput(0)), all = new int[in.length + 1];
		all[0] = bias;
		System.arraycopy(in, 0, all, 1, in.length);
		return add(Node.operation(nodes.size(), "CONV2D_BIAS_ADD", all, kernel));
	}

	private int[] inputs(Hop hop) {
		return hop.getInput().stream().mapToInt(this::node).toArray();
	}

	private int constant(Object value) {
		return constants.computeIfAbsent(value, at -> add(Node.constant(nodes.size(), value)));
	}

	private int operation(Hop hop, Kernel kernel, int[] in) {
		return add(Node.operation(nodes.size(), hop.getOpString(), in, kernel));
	}

	private int cells(Hop hop, String name, int[] in) {
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
