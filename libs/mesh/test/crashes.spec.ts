import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { AttemptCount, IngestWork, streams, subjects } from '@atelier/contracts';
import { consumerName, publishWork } from '@atelier/mesh';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import { nanos } from 'nats';

// Services that are processes, and die; three attempts are what they have (worker-process.cjs).
let test: TestMesh;
const running = new Set<number>();
beforeEach(async () => {
  test = await startTestMesh();
  await test.mesh.jsm.consumers.update(streams.WORK, consumerName(subjects.work.ingest), { ack_wait: nanos(500) });
  await publishWork(test.mesh, subjects.work.ingest, IngestWork, { datasetId: 'd1' }, { msgId: 'd1' });
});
afterEach(async () => {
  for (const pid of running) process.kill(pid, 'SIGKILL');
  await test.stop();
});

const deadLetters = async (): Promise<number> => (await test.mesh.jsm.streams.info(streams.DEAD)).state.messages;
const queued = async (): Promise<number> => (await test.mesh.jsm.streams.info(streams.WORK)).state.messages;

function start(what: string): {
  said: () => string;
  ended: Promise<unknown>;
  signal: (signal: NodeJS.Signals) => void;
} {
  const child = spawn(process.execPath, [join(__dirname, 'worker-process.cjs'), what, test.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child.pid!);
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const ended = once(child, 'close').then(() => running.delete(child.pid!));
  return { said: () => said, ended, signal: (signal) => void child.kill(signal) };
}

/** What it said until it was dead. */
async function dead(what: string): Promise<string> {
  const service = start(what);
  await service.ended;
  return service.said().trim();
}

describe('work whose service is killed', () => {
  it('at every attempt is given up after the last by the next service, which has not tried it', async () => {
    expect([await dead('die'), await dead('die'), await dead('die')]).toEqual(['begun 1', 'begun 2', 'begun 3']);
    expect(await deadLetters()).toBe(0);
    const next = start('end');
    await waitFor('an empty queue', async () => (await queued()) === 0);
    expect(next.said().trim()).toBe('given up d1');
    const letter = await test.mesh.jsm.streams.getMessage(streams.DEAD, {
      last_by_subj: subjects.dead(subjects.work.ingest),
    });
    expect(letter.header.get('atelier-reason')).toBe(
      'the service died while handling it, 3 times in a row without getting further',
    );
    next.signal('SIGKILL');
    await next.ended;
  });

  it('more often than that is not given up when it gets further in between', async () => {
    const said = [];
    for (const what of ['die', 'die', 'get further and die', 'die', 'get further and die', 'die', 'die'])
      said.push(await dead(what));
    expect(said).toEqual(['begun 1', 'begun 2', 'begun 3', 'begun 1', 'begun 2', 'begun 1', 'begun 2']);
    const last = start('end');
    await waitFor('an empty queue', async () => (await queued()) === 0);
    expect(last.said().trim()).toBe('begun 3');
    expect(await deadLetters()).toBe(0);
    last.signal('SIGKILL');
    await last.ended;
  });

  it('because it outstayed its grace after it was asked to stop is not given up', async () => {
    const kv = await test.mesh.js.views.kv('attempts');
    const count = async (): Promise<number | undefined> => {
      const entry = await kv.get(`${consumerName(subjects.work.ingest)}.1`);
      return entry?.operation === 'PUT' ? AttemptCount.decode(entry.value).attempts : undefined;
    };
    for (let stops = 0; stops < 4; stops++) {
      const service = start('hear no signal');
      await waitFor('work in hand', () => service.said().trim() === 'begun 1');
      service.signal('SIGTERM');
      await waitFor('the note', async () => (await count()) === 0);
      service.signal('SIGKILL');
      await service.ended;
    }
    const last = start('end');
    await waitFor('an empty queue', async () => (await queued()) === 0);
    expect(last.said().trim()).toBe('begun 1');
    await waitFor('the note to go with the message', async () => (await count()) === undefined);
    last.signal('SIGKILL');
    await last.ended;
  });
});
