import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { repositoryRoot } from '@atelier/testing';
import { main } from '../src/main';

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunningCli {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  ended: Promise<Ended>;
}

const BIN = join(repositoryRoot, 'cli', 'bin', 'atelier.js');

/** The command as a person starts it, with none of this machine's own settings; a port of its own, since specs run side by side. */
export function startCli(args: readonly string[], env: Record<string, string> = {}): RunningCli {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('ATELIER_') && name !== 'HF_TOKEN'),
  );
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...clean, ATELIER_NATS_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}

export function cli(args: readonly string[], env?: Record<string, string>): Promise<Ended> {
  return startCli(args, env).ended;
}

/** The same within this process, for what needs none of its own: a tenth of the time. */
export async function inProcess(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const before = { ...process.env };
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    jest.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  for (const name of Object.keys(process.env))
    if (name.startsWith('ATELIER_') || name === 'HF_TOKEN') delete process.env[name];
  Object.assign(process.env, env);
  try {
    process.exitCode = undefined;
    await main(args);
    return { code: process.exitCode ?? 0, ...written };
  } finally {
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
    process.env = before;
  }
}
