import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot, waitFor } from '@atelier/testing';
import { readable, ServiceLog, type LogLine } from './service-log';
import { ServiceProcess } from './service-process';

describe('service process', () => {
  let folder: string;
  let lines: LogLine[];
  let ends: { how: string; restartMs: number }[];
  const started: ServiceProcess[] = [];

  const service = (script: string): ServiceProcess => {
    const main = join(folder, 'main.js');
    writeFileSync(main, script);
    const log = new ServiceLog(folder, 'trainer', (line) => lines.push(line));
    const made = new ServiceProcess({
      name: 'trainer',
      main,
      env: process.env,
      log,
      onEnd: (how, restartMs) => ends.push({ how, restartMs }),
    });
    started.push(made);
    made.start();
    return made;
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atelier-service-'));
    lines = [];
    ends = [];
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((one) => one.stop()));
    rmSync(folder, { recursive: true, force: true });
  });

  test('its lines go into its log file and, in words, to whoever listens', async () => {
    service(
      `console.error(JSON.stringify({ level: 30, name: 'trainer', msg: 'ready', url: 'x' })); console.error('Segmentation fault'); setInterval(() => {}, 1000);`,
    );
    await waitFor('two lines', () => lines.length === 2);
    expect(lines).toEqual([
      { service: 'trainer', text: 'ready url=x', important: false },
      { service: 'trainer', text: 'Segmentation fault', important: true },
    ]);
    await waitFor('the log file', () =>
      readFileSync(join(folder, 'trainer.log'), 'utf8').endsWith('Segmentation fault\n'),
    );
  });

  test('killed, it is started again', async () => {
    const one = service('setInterval(() => {}, 1000)');
    const first = one.pid!;
    process.kill(first, 'SIGKILL');
    await waitFor('another process', () => one.pid !== first);
    expect(ends).toEqual([{ how: 'SIGKILL', restartMs: 500 }]);
  });

  test('one that ends again and again is started ever later', async () => {
    service('process.exit(7)');
    await waitFor('three ends', () => ends.length === 3);
    expect(ends.map(({ how, restartMs }) => [how, restartMs])).toEqual([
      ['code 7', 500],
      ['code 7', 1000],
      ['code 7', 2000],
    ]);
  });

  test('asked to stop it gets SIGTERM, may finish, and is not started again', async () => {
    const one = service(
      `process.on('SIGTERM', () => setTimeout(() => { console.error('saved'); process.exit(0); }, 200)); console.error('up'); setInterval(() => {}, 1000);`,
    );
    await waitFor('its start', () => lines.length === 1);
    await one.stop();
    expect(lines.at(-1)!.text).toBe('saved');
    expect(ends).toEqual([]);
  });

  test('when its launcher is killed it ends by itself', async () => {
    const script = join(folder, 'launcher.js');
    const main = join(folder, 'main.js');
    writeFileSync(
      main,
      `require('fs').writeFileSync(${JSON.stringify(join(folder, 'pid'))}, String(process.pid)); setInterval(() => {}, 1000);`,
    );
    const parts = JSON.stringify(join(repositoryRoot, 'cli', 'dist', 'local'));
    writeFileSync(
      script,
      `
      const { ServiceLog } = require(${parts} + '/service-log.js'); const { ServiceProcess } = require(${parts} + '/service-process.js');
      new ServiceProcess({ name: 'x', main: ${JSON.stringify(main)}, env: process.env, log: new ServiceLog(${JSON.stringify(folder)}, 'x', () => {}), onEnd: () => {} }).start();`,
    );
    const launcher = spawn(process.execPath, [script], { stdio: 'inherit' });
    const pid = await waitFor('the service', () => Number(readIf(join(folder, 'pid'))));
    launcher.kill('SIGKILL');
    await waitFor('its end', () => !isAlive(pid));
  });

  test('a line of the logger is its message and fields; any other line is itself, and important', () => {
    expect(readable('{"level":50,"time":"t","name":"trainer","msg":"failed","runId":"run-1"}')).toEqual({
      text: 'failed runId=run-1',
      important: true,
    });
    expect(readable('not json')).toEqual({ text: 'not json', important: true });
  });
});

function readIf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8') || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
