package keras2dml.kernels.float32;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** The variables of a call of a function; it owns their values. */
final class Environment {
	private final Map<String, Object> values = new HashMap<>();

	Object get(String name) {
		Object value = values.get(name);
		if(value == null)
			throw new IllegalStateException("variable " + name + " is not bound");
		return value;
	}

	/** The value of a variable that is about to be bound anew. */
	Object take(String name) {
		Object value = get(name);
		values.remove(name);
		return value;
	}

	/** Bind a variable to a value, whose ownership is taken. */
	void put(String name, Object value) {
		Value.release(values.put(name, value));
	}

	/** These variables are not read again. */
	void remove(Set<String> names) {
		for(String name : names)
			Value.release(values.remove(name));
	}

	void end() {
		remove(Set.copyOf(values.keySet()));
	}
}
