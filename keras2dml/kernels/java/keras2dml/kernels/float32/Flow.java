package keras2dml.kernels.float32;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

import org.apache.sysds.hops.Hop;
import org.apache.sysds.parser.ForStatementBlock;
import org.apache.sysds.parser.IfStatementBlock;
import org.apache.sysds.parser.StatementBlock;
import org.apache.sysds.parser.WhileStatementBlock;
import org.apache.sysds.runtime.controlprogram.BasicProgramBlock;
import org.apache.sysds.runtime.controlprogram.ForProgramBlock;
import org.apache.sysds.runtime.controlprogram.IfProgramBlock;
import org.apache.sysds.runtime.controlprogram.ProgramBlock;
import org.apache.sysds.runtime.controlprogram.WhileProgramBlock;
import org.apache.sysds.runtime.util.UtilFunctions;

import keras2dml.kernels.NoKernel;

/** The control flow of a function: blocks of statements, branches, loops, and calls of other functions. */
final class Flow {
	/** A part of a function, which changes variables. */
	interface Step {
		void run(Environment variables);
	}

	private static final String RESULT = " ";

	private final Functions functions;

	Flow(Functions functions) {
		this.functions = functions;
	}

	Step sequence(List<ProgramBlock> blocks) {
		List<Step> steps = new ArrayList<>();
		for(ProgramBlock block : blocks)
			steps.add(step(block));
		Step[] all = steps.toArray(new Step[0]);
		return variables -> {
			for(Step step : all)
				step.run(variables);
		};
	}

	private Step step(ProgramBlock block) {
		Step step = body(block);
		Set<String> over = block instanceof BasicProgramBlock ? over(block.getStatementBlock()) : Set.of();
		return variables -> {
			step.run(variables);
			variables.remove(over);
		};
	}

	/** The variables of statements that nothing reads after them. */
	private static Set<String> over(StatementBlock block) {
		if(block == null || block.liveIn() == null || block.liveOut() == null)
			return Set.of();
		Set<String> over = new HashSet<>(block.liveIn().getVariableNames());
		over.removeAll(block.liveOut().getVariableNames());
		return over;
	}

	private Step body(ProgramBlock block) {
		if(block instanceof IfProgramBlock) {
			IfProgramBlock branch = (IfProgramBlock) block;
			Plan condition = expression(((IfStatementBlock) block.getStatementBlock()).getPredicateHops());
			Step yes = sequence(branch.getChildBlocksIfBody()), no = sequence(branch.getChildBlocksElseBody());
			return variables -> (number(condition, variables) != 0 ? yes : no).run(variables);
		}
		if(block instanceof WhileProgramBlock) {
			Plan condition = expression(((WhileStatementBlock) block.getStatementBlock()).getPredicateHops());
			Step body = sequence(block.getChildBlocks());
			return variables -> {
				while(number(condition, variables) != 0)
					body.run(variables);
			};
		}
		if(block instanceof ForProgramBlock)
			return loop((ForProgramBlock) block);
		if(block instanceof BasicProgramBlock)
			return Compiler.block(block.getStatementBlock().getHops(), functions)::run;
		throw new NoKernel(block.getClass().getSimpleName());
	}

	private Step loop(ForProgramBlock block) {
		ForStatementBlock statement = (ForStatementBlock) block.getStatementBlock();
		Plan from = expression(statement.getFromHops()), to = expression(statement.getToHops());
		Plan step = statement.getIncrementHops() == null ? null : expression(statement.getIncrementHops());
		Step body = sequence(block.getChildBlocks());
		String name = block.getIterVar();
		return variables -> {
			double first = number(from, variables), last = number(to, variables);
			double by = step == null ? first <= last ? 1 : -1 : number(step, variables);
			long count = UtilFunctions.getSeqLength(first, last, by, false);
			for(long i = 0; i < count; i++) {
				variables.put(name, (double) ((long) first + i * (long) by));
				body.run(variables);
			}
		};
	}

	private static Plan expression(Hop root) {
		return Compiler.expression(root, RESULT);
	}

	private static double number(Plan plan, Environment variables) {
		double result = plan.number(variables, RESULT);
		variables.put(RESULT, 0.0);
		return result;
	}
}
