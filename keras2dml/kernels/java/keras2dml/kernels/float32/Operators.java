package keras2dml.kernels.float32;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.apache.sysds.common.Types.DataType;
import org.apache.sysds.common.Types.OpOp1;
import org.apache.sysds.common.Types.OpOp2;
import org.apache.sysds.common.Types.OpOp3;
import org.apache.sysds.common.Types.OpOpN;
import org.apache.sysds.common.Types.ParamBuiltinOp;
import org.apache.sysds.common.Types.ReOrgOp;
import org.apache.sysds.common.Types.ValueType;
import org.apache.sysds.hops.AggBinaryOp;
import org.apache.sysds.hops.AggUnaryOp;
import org.apache.sysds.hops.BinaryOp;
import org.apache.sysds.hops.DataGenOp;
import org.apache.sysds.hops.DnnOp;
import org.apache.sysds.hops.Hop;
import org.apache.sysds.hops.IndexingOp;
import org.apache.sysds.hops.LeftIndexingOp;
import org.apache.sysds.hops.LiteralOp;
import org.apache.sysds.hops.NaryOp;
import org.apache.sysds.hops.ParameterizedBuiltinOp;
import org.apache.sysds.hops.ReorgOp;
import org.apache.sysds.hops.TernaryOp;
import org.apache.sysds.hops.UnaryOp;

import keras2dml.kernels.NoKernel;
import keras2dml.kernels.Numbers;

/** Which kernel computes an operator of SystemDS. */
final class Operators {
	private final Compiler compiler;

	Operators(Compiler compiler) {
		this.compiler = compiler;
	}

	/** The node of an operator; raises NoKernel. */
	int compiled(Hop hop) {
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
			return operation(hop, hop.getDataType().isScalar() ? Indexing::cell : Indexing::read, inputs(hop));
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

	private int unary(UnaryOp hop) {
		OpOp1 op = hop.getOp();
		Hop in = hop.getInput(0);
		switch(op) {
			case NROW: return operation(hop, at -> (double) ((Value) at[0]).rows(), inputs(hop));
			case NCOL: return operation(hop, at -> (double) ((Value) at[0]).cols(), inputs(hop));
			case LENGTH: return operation(hop, at -> (double) ((Value) at[0]).rows() * ((Value) at[0]).cols(), inputs(hop));
			case CAST_AS_SCALAR: return operation(hop, at -> Value.number(at[0]), inputs(hop));
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
			return operation(hop, at -> Numbers.apply(op, Value.number(at[0])), inputs(hop));
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
			return operation(hop, at -> Numbers.apply(op, Value.number(at[0]), Value.number(at[1])), inputs(hop));
		}
		if(!hop.getDataType().isMatrix() || hop.getInput().stream().anyMatch(Operators::isSplitter))
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
			return operation(hop, at -> Value.own(Value.number(at[0]) != 0 ? at[1] : at[2]), inputs(hop));
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
				: operation(hop, at -> Numbers.apply(number, Value.number(at[0]), Value.number(at[1])), both);
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
		return compiler.operation("CONV2D_BIAS_ADD", kernel, all);
	}

	private int node(Hop hop) {
		return compiler.node(hop);
	}

	private int[] inputs(Hop hop) {
		return compiler.inputs(hop);
	}

	private int operation(Hop hop, Kernel kernel, int[] in) {
		return compiler.operation(hop, kernel, in);
	}

	private int cells(Hop hop, String name, int[] in) {
		return compiler.cells(hop, name, in);
	}

	private static Object literal(LiteralOp hop) {
		return Compiler.literal(hop);
	}
}
