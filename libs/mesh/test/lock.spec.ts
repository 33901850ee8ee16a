import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLocked, takeLock } from '../src/lock';

describe('a lock that dies with its holder', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'atelier-lock-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('one has it at a time; released, the next may', async () => {
    const file = join(folder, 'up.lock');
    expect(await isLocked(file)).toBe(false);
    const first = await takeLock(file);
    expect(first).toBeDefined();
    expect(await isLocked(file)).toBe(true);
    expect(await takeLock(file)).toBeUndefined();
    first!.release();
    const next = await takeLock(file);
    expect(next).toBeDefined();
    next!.release();
  });

  test('a path too long for a socket is locked all the same', async () => {
    const file = join(folder, 'x'.repeat(120), 'up.lock');
    const lock = await takeLock(file);
    expect(await takeLock(file)).toBeUndefined();
    lock!.release();
  });

  test('a holder that was killed holds nothing', async () => {
    const file = join(folder, 'up.lock');
    const holder = spawn(
      process.execPath,
      ['-e', `require('net').createServer().listen(${JSON.stringify(file)}, () => console.log('held'))`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    expect(await takeLock(file)).toBeUndefined();
    holder.kill('SIGKILL');
    await new Promise((resolve) => holder.once('exit', resolve));
    const lock = await takeLock(file);
    expect(lock).toBeDefined();
    lock!.release();
  });
});
