package keras2dml.kernels.float32;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.sysds.hops.DataOp;
import org.apache.sysds.hops.Hop;
import org.apache.sysds.hops.LiteralOp;
import org.apache.sysds.hops.rewrite.HopRewriteUtils;
import org.apache.sysds.parser.StatementBlock;
import org.apache.sysds.parser.WhileStatementBlock;
import org.apache.sysds.runtime.controlprogram.FunctionProgramBlock;
import org.apache.sysds.runtime.controlprogram.Program;
import org.apache.sysds.runtime.controlprogram.ProgramBlock;
import org.apache.sysds.runtime.controlprogram.WhileProgramBlock;

import keras2dml.kernels.NoKernel;

/** The functions of a program that kernels run, each compiled once. */
final class Functions {
	private final Program program;
	private final Map<String, Function> compiled = new HashMap<>();

	Functions(Program program) {
		this.program = program;
	}

	/** The statements of a function without control flow, one list of roots after the other; null for others. */
	List<List<Hop>> statements(String key) {
		List<List<Hop>> all = new ArrayList<>();
		for(ProgramBlock child : block(key).getChildBlocks()) {
			StatementBlock statement = child.getStatementBlock();
			if(child instanceof WhileProgramBlock && isNever(((WhileStatementBlock) statement).getPredicateHops()))
				continue;
			if(child.isNested() || statement == null)
				return null;
			if(statement.getHops() != null)
				all.add(statement.getHops());
		}
		return all;
	}

	/** Whether a condition is FALSE, with which a function is kept from SystemDS' inlining. */
	private static boolean isNever(Hop condition) {
		Hop value = condition instanceof DataOp ? condition.getInput(0) : condition;
		return value instanceof LiteralOp && HopRewriteUtils.isLiteralOfValue(value, false);
	}

	FunctionProgramBlock block(String key) {
		FunctionProgramBlock block = program.getFunctionProgramBlocks(true).get(key);
		if(block == null)
			throw new NoKernel("function " + key);
		return block;
	}

	/** Raises NoKernel if there is an operator in it, or in a function that it calls, without one. */
	Function get(String key) {
		Function function = compiled.get(key);
		if(function == null) {
			function = new Function(block(key));
			compiled.put(key, function);
			function.compile(this);
		}
		return function;
	}
}
