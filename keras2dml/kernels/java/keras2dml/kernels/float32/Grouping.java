package keras2dml.kernels.float32;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Which operations on cells run as one region. */
final class Grouping {
	private final Node[] nodes;
	/** Any node and whatever needs it through other than cells of the same shape are on different levels. */
	private final int[] level, region;

	private Grouping(Node[] nodes) {
		this.nodes = nodes;
		level = new int[nodes.length];
		region = new int[nodes.length];
	}

	/** The units of a plan; `kept` are the nodes of which variables are bound. */
	static List<Plan.Unit> of(Node[] nodes, Collection<Integer> kept) {
		return new Grouping(nodes).units(new HashSet<>(kept));
	}

	private List<Plan.Unit> units(Set<Integer> kept) {
		for(Node node : nodes) {
			region[node.id] = node.id;
			for(int in : node.in)
				level[node.id] = Math.max(level[node.id], level[in] + (joins(node, nodes[in]) ? 0 : 1));
		}
		delay(kept);
		for(Node node : nodes)
			for(int in : node.in)
				if(joins(node, nodes[in]) && level[node.id] == level[in])
					merge(node.id, in);
		// Nodes of a region run where its last one does: whatever needs an earlier one is on a higher level.
		List<Plan.Unit> units = new ArrayList<>();
		boolean[] done = new boolean[nodes.length];
		for(Node node : nodes)
			emit(node.id, done, units, kept);
		return units;
	}

	/** Cells that only one later region needs are computed there. */
	private void delay(Set<Integer> kept) {
		int[] later = new int[nodes.length];
		for(int id = nodes.length - 1; id >= 0; id--) {
			if(later[id] > 0 && nodes[id].isCells() && !kept.contains(id))
				level[id] = later[id];
			for(int in : nodes[id].in) {
				boolean other = !joins(nodes[id], nodes[in]) || later[in] != 0 && later[in] != level[id];
				later[in] = other ? -1 : level[id];
			}
		}
	}

	private void emit(int id, boolean[] done, List<Plan.Unit> units, Set<Integer> kept) {
		if(done[id])
			return;
		List<Node> members = new ArrayList<>();
		for(Node node : nodes)
			if(root(node.id) == root(id))
				members.add(node);
		for(Node member : members)
			done[member.id] = true;
		for(Node member : members)
			for(int in : member.in)
				emit(in, done, units, kept);
		if(!nodes[id].isCells()) {
			units.add(Plan.single(nodes[id]));
			return;
		}
		Set<Integer> inside = new HashSet<>(), visible = new HashSet<>();
		for(Node member : members)
			inside.add(member.id);
		for(Node node : nodes)
			for(int in : node.in)
				if(!inside.contains(node.id) && inside.contains(in))
					visible.add(in);
		units.add(new Region(members, at -> visible.contains(at) || kept.contains(at)));
	}

	private static boolean joins(Node node, Node in) {
		return node.isCells() && in.isCells() && node.rows == in.rows && node.cols == in.cols && node.rows >= 0;
	}

	private int root(int id) {
		while(region[id] != id)
			id = region[id];
		return id;
	}

	private void merge(int a, int b) {
		region[Math.max(root(a), root(b))] = Math.min(root(a), root(b));
	}
}
