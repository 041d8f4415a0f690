package keras2dml.kernels;

import org.apache.sysds.common.Types.OpOp1;
import org.apache.sysds.common.Types.OpOp2;
import org.apache.sysds.common.Types.ValueType;

/** Operators between numbers; truth is 1, and falsehood 0. */
public final class Numbers {
	private Numbers() {}

	public static double apply(OpOp2 op, double x, double y) {
		switch(op) {
			case PLUS: return x + y;
			case MINUS: return x - y;
			case MULT: return x * y;
			case DIV: return x / y;
			case MODULUS: return Scalars.remainder(x, y);
			case INTDIV: return Scalars.quotient(x, y);
			case POW: return Scalars.power(x, y);
			case LOG: return Math.log(x) / Math.log(y);
			case MAX: return Math.max(x, y);
			case MIN: return Math.min(x, y);
			case LESS: return x < y ? 1 : 0;
			case LESSEQUAL: return x <= y ? 1 : 0;
			case GREATER: return x > y ? 1 : 0;
			case GREATEREQUAL: return x >= y ? 1 : 0;
			case EQUAL: return x == y ? 1 : 0;
			case NOTEQUAL: return x != y ? 1 : 0;
			case AND: return x != 0 && y != 0 ? 1 : 0;
			case OR: return x != 0 || y != 0 ? 1 : 0;
			case XOR: return x != 0 != (y != 0) ? 1 : 0;
			case MINUS1_MULT: return 1 - x * y;
			default: throw new NoKernel(op + " of numbers");
		}
	}

	public static double apply(OpOp1 op, double x) {
		switch(op) {
			case CAST_AS_DOUBLE: return x;
			case CAST_AS_INT: return (long) x;
			case CAST_AS_BOOLEAN: return x != 0 ? 1 : 0;
			case NOT: return x == 0 ? 1 : 0;
			case ABS: return Math.abs(x);
			case SQRT: return Math.sqrt(x);
			case EXP: return Math.exp(x);
			case LOG: return Math.log(x);
			case SIN: return Math.sin(x);
			case COS: return Math.cos(x);
			case TAN: return Math.tan(x);
			case TANH: return Math.tanh(x);
			case SINH: return Math.sinh(x);
			case COSH: return Math.cosh(x);
			case ASIN: return Math.asin(x);
			case ACOS: return Math.acos(x);
			case ATAN: return Math.atan(x);
			case FLOOR: return Math.floor(x);
			case CEIL: return Math.ceil(x);
			case ROUND: return Math.round(x);
			case SIGN: return Math.signum(x);
			case SIGMOID: return 1 / (1 + Math.exp(-x));
			case SPROP: return x * (1 - x);
			case POW2: return x * x;
			case MULT2: return x + x;
			case ISNA:
			case ISNAN: return Double.isNaN(x) ? 1 : 0;
			case ISINF: return Double.isInfinite(x) ? 1 : 0;
			default: throw new NoKernel(op + " of a number");
		}
	}

	/** A value as SystemDS writes it into a text. */
	public static String text(ValueType type, Object value) {
		if(!(value instanceof Double))
			return String.valueOf(value);
		double number = (Double) value;
		switch(type) {
			case INT64: return String.valueOf((long) number);
			case BOOLEAN: return number != 0 ? "TRUE" : "FALSE";
			default: return String.valueOf(number);
		}
	}
}
