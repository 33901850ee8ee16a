// A lock that dies with its holder: a socket that is listened on. A pid in a file would mean someone else after a restart, in a container above all.
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Longest path of a Unix socket, with room for the systems that have less than Linux's 107 bytes. */
const LONGEST_PATH = 100;

function socketPath(file: string): string {
  if (Buffer.byteLength(file) <= LONGEST_PATH) return file;
  return join(tmpdir(), `atelier-${createHash('sha256').update(file).digest('hex').slice(0, 16)}.lock`);
}

export interface Lock {
  release(): void;
}

/** Takes the lock, or gives undefined where someone alive has it. */
export async function takeLock(file: string): Promise<Lock | undefined> {
  const path = socketPath(file);
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = await listen(path);
    if (server) return { release: () => void server.close() };
    if (await isLocked(file)) return undefined;
    rmSync(path, { force: true }); // its holder was killed
  }
  return undefined;
}

export function isLocked(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath(file));
    const answer = (locked: boolean): void => {
      socket.destroy();
      resolve(locked);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(path, () => resolve(server.unref()));
  });
}
