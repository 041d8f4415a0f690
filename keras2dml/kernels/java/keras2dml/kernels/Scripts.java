package keras2dml.kernels;

import java.util.LinkedHashMap;
import java.util.Map;

import org.apache.spark.SparkEnv;
import org.apache.sysds.api.DMLScript;
import org.apache.sysds.common.Types.ExecMode;
import org.apache.sysds.conf.CompilerConfig;
import org.apache.sysds.conf.CompilerConfig.ConfigType;
import org.apache.sysds.conf.ConfigurationManager;
import org.apache.sysds.conf.DMLConfig;
import org.apache.sysds.hops.OptimizerUtils;
import org.apache.sysds.parser.DMLProgram;
import org.apache.sysds.parser.DMLTranslator;
import org.apache.sysds.parser.ParserFactory;
import org.apache.sysds.runtime.controlprogram.Program;

/** Compiles scripts in a JVM without a session of SystemDS, whose functions kernels run: on executors. */
final class Scripts {
	private static final int KEPT = 32;
	/** Those used last. */
	private static final Map<String, MatrixFunction> FUNCTIONS = new LinkedHashMap<>(KEPT, 0.75f, true) {
		private static final long serialVersionUID = 1L;

		@Override
		protected boolean removeEldestEntry(Map.Entry<String, MatrixFunction> eldest) {
			return size() > KEPT;
		}
	};

	private Scripts() {}

	/** A function of a script in single or double precision, compiled once in a JVM; raises NoKernel if there is none for it. */
	static MatrixFunction function(String text, String name, boolean single) {
		String key = (single ? "float32 " : "float64 ") + name + "\n" + text;
		synchronized(FUNCTIONS) {
			return FUNCTIONS.computeIfAbsent(key, missing -> compiled(text, name, single));
		}
	}

	private static MatrixFunction compiled(String text, String name, boolean single) {
		Program program = program(text);
		if(single)
			return keras2dml.kernels.float32.KernelFunction.of(program, DMLProgram.DEFAULT_NAMESPACE, name);
		return keras2dml.kernels.float64.KernelFunction.of(program, DMLProgram.DEFAULT_NAMESPACE, name);
	}

	private static Program program(String text) {
		DMLConfig config = ConfigurationManager.getDMLConfig(), own = new DMLConfig();
		CompilerConfig before = ConfigurationManager.getCompilerConfig();
		try {
			CompilerConfig compiler = OptimizerUtils.constructCompilerConfig(own);
			compiler.set(ConfigType.IGNORE_READ_WRITE_METADATA, true);
			compiler.set(ConfigType.REJECT_READ_WRITE_UNKNOWNS, false);
			compiler.set(ConfigType.ALLOW_INDIVIDUAL_SB_SPECIFIC_OPS, false);
			ConfigurationManager.setLocalConfig(own);
			ConfigurationManager.setLocalConfig(compiler);
			if(!isDriver())
				DMLScript.setGlobalExecMode(ExecMode.SINGLE_NODE);
			DMLProgram script = ParserFactory.createParser().parse(null, text, Map.of());
			DMLTranslator translator = new DMLTranslator(script);
			translator.liveVariableAnalysis(script);
			translator.validateParseTree(script);
			translator.constructHops(script);
			translator.rewriteHopsDAG(script);
			translator.constructLops(script);
			return translator.getRuntimeProgram(script, own);
		}
		finally {
			ConfigurationManager.setLocalConfig(config);
			ConfigurationManager.setLocalConfig(before);
		}
	}

	/** Executors have no context of Spark, with which SystemDS would plan. */
	static boolean isDriver() {
		return SparkEnv.get() == null || "driver".equals(SparkEnv.get().executorId());
	}
}
