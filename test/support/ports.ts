import { createServer, type Server } from 'node:net';

/** Below those that a system gives out by itself (Linux: from 32768), where nobody takes one meanwhile. */
const FIRST = 21_000;
const LAST = 31_000;

/** The first of so many ports in a row that nobody listens on. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const opened = await Promise.all(Array.from({ length: count }, (_, at) => listening(first + at)));
    for (const server of opened) server?.close();
    if (opened.every(Boolean)) return first;
  }
}

function listening(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined)).listen(port, () => resolve(server));
  });
}
