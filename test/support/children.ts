import { readdirSync, readFileSync } from 'node:fs';

/**
 * The processes that "atelier up" looks after at this moment, by name: what was started again has another id than it had.
 * By /proc, which Linux has.
 */
export function childrenOf(parent: number): Map<string, number> {
  const children = new Map<string, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const child = childNamed(name, parent);
    if (child) children.set(child, Number(name));
  }
  return children;
}

function childNamed(pid: string, parent: number): string | undefined {
  try {
    // "pid (name) state ppid …": a name may hold anything, so what counts is what comes after the last bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(ppid) !== parent || state === 'Z') return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (command[0]?.endsWith('nats-server')) return 'nats-server';
    return command.map((word) => /services\/(\w+)\/dist\/main\.js$/.exec(word)?.[1]).find(Boolean);
  } catch {
    return undefined; // it ended meanwhile
  }
}
