// Circles in a directed graph: its strongly connected components of more than one node (Tarjan 1972), and nodes that lead to themselves.

/** @param graph Map of node → nodes that it leads to; those that are no keys are leaves. @returns arrays of nodes, each in the map's order */
export function cycles(graph) {
  const order = [...graph.keys()];
  const index = new Map();
  const low = new Map();
  const open = [];
  const found = [];

  function visit(node) {
    index.set(node, index.size);
    low.set(node, index.get(node));
    open.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next)) continue;
      if (!index.has(next)) {
        visit(next);
        low.set(node, Math.min(low.get(node), low.get(next)));
      } else if (open.includes(next)) {
        low.set(node, Math.min(low.get(node), index.get(next)));
      }
    }
    if (low.get(node) !== index.get(node)) return;
    const component = open.splice(open.indexOf(node));
    const circular = component.length > 1 || [...(graph.get(node) ?? [])].includes(node);
    if (circular) found.push(component.sort((a, b) => order.indexOf(a) - order.indexOf(b)));
  }

  for (const node of order) if (!index.has(node)) visit(node);
  return found;
}
