/** `from` must come before `to`. */
export interface Dependency {
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

/**
 * One cycle of each set of nodes that all depend on each other (the strongly connected components, found as
 * Tarjan does, without recursion): a shortest one through its first node. Nothing, if there is an order.
 */
export function findCycles(nodes: number, dependencies: readonly Dependency[]): Dependency[][] {
  const outgoing: Dependency[][] = Array.from({ length: nodes }, () => []);
  for (const dependency of dependencies) outgoing[dependency.from].push(dependency);
  const cycles: Dependency[][] = [];
  for (const component of components(outgoing)) {
    if (component.length > 1) cycles.push(shortestCycle(outgoing, component));
  }
  return cycles;
}

/** The sets of nodes that all reach each other. */
function components(outgoing: readonly (readonly Dependency[])[]): number[][] {
  const found: number[][] = [];
  const order = new Int32Array(outgoing.length).fill(-1);
  const low = new Int32Array(outgoing.length);
  const isOpen = new Uint8Array(outgoing.length);
  const open: number[] = [];
  let count = 0;
  for (let root = 0; root < outgoing.length; root++) {
    if (order[root] >= 0) continue;
    const path: { node: number; next: number }[] = [];
    const enter = (node: number): void => {
      order[node] = low[node] = count++;
      isOpen[node] = 1;
      open.push(node);
      path.push({ node, next: 0 });
    };
    enter(root);
    while (path.length > 0) {
      const top = path[path.length - 1];
      if (top.next < outgoing[top.node].length) {
        const { to } = outgoing[top.node][top.next++];
        if (order[to] < 0) enter(to);
        else if (isOpen[to] === 1) low[top.node] = Math.min(low[top.node], order[to]);
        continue;
      }
      path.pop();
      const above = path.at(-1);
      if (above !== undefined) low[above.node] = Math.min(low[above.node], low[top.node]);
      if (low[top.node] === order[top.node]) found.push(close(open, isOpen, top.node));
    }
  }
  return found;
}

function close(open: number[], isOpen: Uint8Array, root: number): number[] {
  const component: number[] = [];
  for (;;) {
    const node = open.pop() ?? root;
    isOpen[node] = 0;
    component.push(node);
    if (node === root) return component;
  }
}

/** By a breadth-first search from the first node of a component back to itself. */
function shortestCycle(
  outgoing: readonly (readonly Dependency[])[],
  component: readonly number[],
): Dependency[] {
  const members = new Set(component);
  const start = Math.min(...component);
  const reachedBy = new Map<number, Dependency>();
  const queue = [start];
  for (let head = 0; head < queue.length; head++) {
    for (const dependency of outgoing[queue[head]]) {
      if (!members.has(dependency.to) || reachedBy.has(dependency.to)) continue;
      reachedBy.set(dependency.to, dependency);
      if (dependency.to === start) return walkBack(reachedBy, start);
      queue.push(dependency.to);
    }
  }
  return [];
}

function walkBack(reachedBy: ReadonlyMap<number, Dependency>, start: number): Dependency[] {
  const cycle: Dependency[] = [];
  for (let node = start; cycle.length === 0 || node !== start; ) {
    const dependency = reachedBy.get(node);
    if (dependency === undefined) break;
    cycle.unshift(dependency);
    node = dependency.from;
  }
  return cycle;
}
