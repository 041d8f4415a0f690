package keras2dml.kernels.float32;

/** An operation of a plan, and where its operands come from. */
final class Node {
	static final String STOP = "stop";

	final int id;
	final String name;
	final int[] in;
	final Kernel kernel;
	/** The number of an operation on cells, or -1. */
	final int cell;
	/** The variable that is read, or null. */
	final String variable;
	/** A number or a text, or null. */
	final Object constant;
	/** The shape in the first run. */
	int rows = -1, cols = -1;

	private Node(int id, String name, int[] in, Kernel kernel, int cell, String variable, Object constant) {
		this.id = id;
		this.name = name;
		this.in = in;
		this.kernel = kernel;
		this.cell = cell;
		this.variable = variable;
		this.constant = constant;
	}

	static Node operation(int id, String name, int[] in, Kernel kernel) {
		return new Node(id, name, in, kernel, -1, null, null);
	}

	static Node cells(int id, String name, int[] in, int cell) {
		return new Node(id, name, in, null, cell, null, null);
	}

	static Node variable(int id, String name) {
		return new Node(id, "read", new int[0], null, -1, name, null);
	}

	static Node constant(int id, Object value) {
		return new Node(id, "constant", new int[0], null, -1, null, value);
	}

	/** The same with other numbers, for itself and its operands. */
	Node numbered(int number, int[] numbers) {
		int[] operands = new int[in.length];
		for(int i = 0; i < in.length; i++)
			operands[i] = numbers[in[i]];
		return new Node(number, name, operands, kernel, cell, variable, constant);
	}

	/** Whether it ends the script, which is why it runs. */
	boolean stops() {
		return name.equals(STOP);
	}

	boolean isCells() {
		return cell >= 0;
	}
}
