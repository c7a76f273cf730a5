/**
 * @param parents each node's parent; what has none is null. Parents that are not keys end the walk.
 * @returns the nodes of a cycle in order, each the parent of the one before, or null where every node hangs from a root.
 */
export function findCycle<K>(parents: ReadonlyMap<K, K | null>): K[] | null {
  const sound = new Set<K>();
  for (const start of parents.keys()) {
    const path: K[] = [];
    const onPath = new Set<K>();
    let node: K | null = start;
    while (node !== null && !sound.has(node)) {
      if (onPath.has(node)) return path.slice(path.indexOf(node));
      path.push(node);
      onPath.add(node);
      node = parents.get(node) ?? null;
    }
    for (const seen of path) sound.add(seen);
  }
  return null;
}
