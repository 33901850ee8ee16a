import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AtelierClient } from '@atelier/client';
import { signalProcess, tinyCheckpoint, waitFor } from '@atelier/testing';
import { cli, startCli, type RunningCli } from './run-cli';

interface Up {
  gateway: string;
  nats: string;
  nats_seed_file: string;
  pid: number;
  services: Record<string, number>;
}

const STARTING_MS = 90_000;

/** As the command line does. */
const connect = ({ nats, nats_seed_file: seedFile }: Up): Promise<AtelierClient> =>
  AtelierClient.connect(nats, 'test', { credentials: { seedFile } });

describe('atelier up', () => {
  let folder: string;
  const started: RunningCli[] = [];
  const start = (env: Record<string, string> = {}): RunningCli => {
    const run = startCli(['up', '--json', '--port', '0', '--data', folder, '--model', tinyCheckpoint()], {
      ATELIER_TEXT_TOKENS: '32',
      ...env,
    });
    started.push(run);
    return run;
  };
  const ready = async (run: RunningCli): Promise<Up> => {
    const line = await waitFor(
      'Atelier to be up',
      () => {
        if (run.child.exitCode !== null) throw new Error(`up ended with ${run.child.exitCode}: ${run.stderr()}`);
        return run
          .stdout()
          .split('\n')
          .find((text) => text.includes('"type":"up"'));
      },
      STARTING_MS,
    );
    return JSON.parse(line) as Up;
  };
  const end = async (run: RunningCli, signal: NodeJS.Signals): Promise<number | null> => {
    run.child.kill(signal);
    return (await run.ended).code;
  };
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'atelier-up-'))));
  afterEach(async () => {
    for (const run of started.splice(0))
      if (run.child.exitCode === null && run.child.signalCode === null) await end(run, 'SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  });

  test('starts nats-server and every service, is found by other commands, refuses a second, and ends all of it on SIGTERM', async () => {
    const run = start({ HF_TOKEN: 'hf_secret', ATELIER_API_TOKEN: 'a-secret-token' });
    const up = await ready(run);
    expect(Object.keys(up.services).sort()).toEqual([
      'gateway',
      'inference',
      'ingest',
      'latents',
      'prompts',
      'trainer',
    ]);
    expect((await fetch(`${up.gateway}/healthz`)).status).toBe(200);
    const client = await connect(up);
    expect((await client.status()).filter((state) => !state.ready)).toEqual([]);
    await client.close();
    await expectPrivate(up);

    expect(await cli(['runs', '--data', folder])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('There are no runs yet'),
    });

    const second = await cli(['up', '--port', '0', '--data', folder, '--model', tinyCheckpoint()]);
    expect(second.code).toBe(2);
    expect(second.stderr).toBe(
      `atelier: Atelier is already running on ${folder} (process ${up.pid}, ${up.gateway}): end it first (Ctrl-C where it runs, or kill ${up.pid}), or give another folder with --data\n`,
    );

    expect(await end(run, 'SIGTERM')).toBe(0);
    expect(run.stderr()).toContain('everything is stopped');
    expect(Object.values(up.services).filter(isAlive)).toEqual([]);
    await expect(AtelierClient.connect(up.nats)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(existsSync(join(folder, 'up.json'))).toBe(false);
    expect(readFileSync(join(folder, 'logs', 'trainer.log'), 'utf8')).toContain('"msg":"ready"');
  });

  /** Another user of this machine, or a process that was given nothing, gets at nothing. */
  async function expectPrivate({ nats, services }: Up): Promise<void> {
    await expect(AtelierClient.connect(nats)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringMatching(/wants to know who asks: set ATELIER_NATS_SEED_FILE to the file with the seed/),
    });
    for (const name of ['nats', 'logs', 'seeds']) expect(modeOf(join(folder, name))).toBe(0o700);
    const files = ['up.json', 'nats/nats-server.conf', 'logs/trainer.log', 'logs/nats-server.log', 'seeds/admin.nk'];
    for (const name of files) expect([name, modeOf(join(folder, name))]).toEqual([name, 0o600]);
    for (const [name, pid] of Object.entries(services)) {
      const env = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const secrets = env.filter((line) => /seeds|TOKEN/.test(line) && !line.startsWith('ATELIER_TEXT_TOKENS='));
      expect(secrets.sort()).toEqual([
        ...(name === 'gateway' ? ['ATELIER_API_TOKEN=a-secret-token'] : []),
        `ATELIER_NATS_SEED_FILE=${join(folder, 'seeds', `${name}.nk`)}`,
      ]);
    }
    const server = Number(/\d+/.exec(readdirSync(join(folder, 'nats')).find((name) => name.endsWith('.ports'))!)![0]);
    expect(readFileSync(`/proc/${server}/environ`, 'utf8')).not.toMatch(/TOKEN|ATELIER/);
  }

  test('a service that is killed is started again, and so is nats-server', async () => {
    const run = start();
    const up = await ready(run);
    process.kill(up.services.ingest!, 'SIGKILL');
    await waitFor('its end to be told', () =>
      run.stderr().includes('ingest ended with SIGKILL; it is started again in 0.5 s'),
    );
    const client = await connect(up);
    await waitFor(
      'ingest to answer again',
      async () => (await client.status()).find(({ service }) => service === 'ingest')?.ready,
      STARTING_MS,
    );
    await client.close();

    const ports = readdirSync(join(folder, 'nats')).find((name) => name.endsWith('.ports'))!;
    process.kill(Number(/\d+/.exec(ports)![0]), 'SIGKILL');
    await waitFor('its end to be told', () => run.stderr().includes('nats-server ended unasked'));
    const back = await waitFor('the same address to answer', () => connect(up).catch(() => null), STARTING_MS);
    await waitFor(
      'every service to be back on it',
      async () => (await back.status()).every(({ ready }) => ready),
      STARTING_MS,
    );
    await back.close();
    expect(await end(run, 'SIGINT')).toBe(0);
  });

  test('a second Ctrl-C ends at once what does not end by itself: exit code 130', async () => {
    const run = start();
    const up = await ready(run);
    signalProcess(up.services.trainer!, 'SIGSTOP'); // hears no SIGTERM
    run.child.kill('SIGINT');
    await waitFor('the first to be heard', () => run.stderr().includes('ending;'));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(run.child.exitCode).toBeNull();
    expect(await end(run, 'SIGINT')).toBe(130);
    await waitFor('everything to be gone', () => !Object.values(up.services).some(isAlive));
    await expect(AtelierClient.connect(up.nats)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('asked to end while nats-server does not answer, it ends all of it within its grace, and nats-server too', async () => {
    const run = start();
    const up = await ready(run);
    const ports = readdirSync(join(folder, 'nats')).find((name) => name.endsWith('.ports'))!;
    const nats = Number(/\d+/.exec(ports)![0]);
    signalProcess(nats, 'SIGSTOP');
    const asked = Date.now();
    expect(await end(run, 'SIGTERM')).toBe(0);
    expect(Date.now() - asked).toBeLessThan(60_000);
    expect([...Object.values(up.services), nats].filter(isAlive)).toEqual([]);
    expect(readFileSync(join(folder, 'logs', 'nats-server.log'), 'utf8')).toContain('Server is ready');
  });

  test('a terminal that is closed ends everything in order', async () => {
    const run = start();
    const up = await ready(run);
    run.child.stdout!.destroy();
    run.child.stderr!.destroy();
    run.child.kill('SIGHUP');
    expect(await new Promise<number | null>((resolve) => run.child.once('exit', resolve))).toBe(0);
    expect(Object.values(up.services).filter(isAlive)).toEqual([]);
    await expect(AtelierClient.connect(up.nats)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('killed itself, it leaves no service behind, and the next one on the folder finds all that was kept', async () => {
    const first = start();
    const up = await ready(first);
    const before = await connect(up);
    await before.createDataset({ name: 'kept', files: [{ name: 'a.txt', data: Buffer.from('no picture') }] });
    await before.close();
    await end(first, 'SIGKILL');
    await waitFor('the services to end', () => !Object.values(up.services).some(isAlive), 60_000);
    const again = await ready(start());
    const after = await connect(again);
    expect((await after.datasets()).map(({ name }) => name)).toEqual(['kept']);
    await after.close();
  });

  test('a service that cannot start is the error, in its own words, and everything is ended again', async () => {
    const { code, stdout, stderr } = await start({ ATELIER_THREADS: 'many' }).ended;
    expect(stderr).toMatch(/\natelier: service \w+ did not start: .*ATELIER_THREADS is "many".*\. Its log: .*\.log\n$/);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'error', code: 'FAILED_PRECONDITION' });
    expect(code).toBe(1);
    const url = /nats:\/\/\S+/.exec(stderr)![0];
    await expect(AtelierClient.connect(url)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('interrupted while it starts, it ends what it started: exit code 4', async () => {
    const run = start();
    await waitFor('nats-server', () => run.stderr().includes('nats-server    ready'));
    const url = /nats:\/\/\S+/.exec(run.stderr())![0];
    expect(await end(run, 'SIGINT')).toBe(4);
    await expect(AtelierClient.connect(url)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('a port that is in use, and a nats-server that is not there, are refused in one line', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const taken = await cli(['up', '--port', String(port), '--data', folder, '--model', tinyCheckpoint()]);
    other.close();
    expect(taken).toEqual({
      code: 1,
      stdout: '',
      stderr: `atelier: port ${port} of 127.0.0.1 is in use: end what uses it, or choose another with --port or ATELIER_HTTP_PORT (0: any free one)\n`,
    });
    const missing = await cli(['up', '--port', '0', '--data', folder, '--model', tinyCheckpoint()], {
      ATELIER_NATS_SERVER: '/no/such/nats-server',
    });
    expect(missing).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^atelier: nats-server did not start: it is not installed.*\n$/),
    });
  });
});

const modeOf = (path: string): number => statSync(path).mode & 0o777;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
