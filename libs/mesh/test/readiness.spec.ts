import 'reflect-metadata';
import { Controller, Injectable, Module, type Type } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { AtelierError, calls, streams, subjects, TrainWork } from '@atelier/contracts';
import {
  callService,
  publishWork,
  Readiness,
  startNatsServer,
  startService,
  Work,
  type RunningService,
} from '@atelier/mesh';
import { freePort, startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let missing = '';
let handled: string[] = [];
let act: () => void = () => undefined;

@Injectable()
class Needs {
  constructor(readiness: Readiness) {
    readiness.needsFor('its checkpoint', async () => {
      if (missing) throw new AtelierError('NOT_FOUND', missing);
    });
  }
}

@Controller()
class Player {
  @Work(subjects.work.train, TrainWork)
  async train(@Payload() { runId }: TrainWork): Promise<void> {
    act();
    handled.push(runId);
  }
}

@Module({ controllers: [Player], providers: [Needs] })
class PlayerModule {}

let service: RunningService | undefined;
let port: number;
const start = async (url: string, module: Type = PlayerModule): Promise<RunningService> =>
  (service = await startService(module, 'trainer', {
    ATELIER_NATS_URL: url,
    ATELIER_HEALTH_PORT: String(port),
    ATELIER_LOG_LEVEL: 'silent',
  }));
const probe = async (path: string): Promise<[number, string]> => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return [response.status, await response.text()];
};

beforeEach(async () => {
  port = await freePort();
});
afterEach(async () => {
  await service?.stop();
  service = undefined;
  missing = '';
  handled = [];
  act = () => undefined;
});

describe('a service that lacks what it needs', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await startTestMesh();
  });
  afterAll(() => mesh.stop());
  afterEach(async () => {
    await mesh.mesh.jsm.streams.purge(streams.WORK);
  });
  let asked = 0;
  const ask = (runId: string): Promise<unknown> =>
    publishWork(mesh.mesh, subjects.work.train, TrainWork, { runId }, { msgId: `${runId} ${asked++}` });
  const letters = async (): Promise<number> => (await mesh.mesh.jsm.streams.info(streams.DEAD)).state.messages;

  it('lives, is not ready, says why, and takes its work once it is there', async () => {
    missing = 'models/flux is not there';
    await start(mesh.url);
    await ask('r1');
    expect(await probe('/livez')).toEqual([200, 'ok\n']);
    expect(await probe('/readyz')).toEqual([503, 'its checkpoint: models/flux is not there\n']);
    expect(await probe('/healthz')).toEqual([200, 'ok\n']);
    expect(await callService(mesh.mesh, calls.status('trainer'), {}, {})).toMatchObject({
      ready: false,
      detail: 'its checkpoint: models/flux is not there',
    });
    expect((await mesh.mesh.jsm.consumers.info(streams.WORK, 'work-train')).num_ack_pending).toBe(0);
    missing = '';
    await waitFor('the work to be done', () => handled.length === 1);
    await waitFor('readiness', async () => (await probe('/readyz'))[0] === 200);
  });

  it('fails no work for good that it had taken before that', async () => {
    act = () => {
      if (handled.length === 0 && !missing) missing = 'models/flux is not there';
      if (missing) throw new AtelierError('NOT_FOUND', missing);
    };
    await start(mesh.url);
    await ask('r1');
    await waitFor('it to fail', () => missing !== '');
    await waitFor('it to be put back', async () => {
      const { num_ack_pending: inHand, num_redelivered: again } = await mesh.mesh.jsm.consumers.info(
        streams.WORK,
        'work-train',
      );
      return inHand + again > 0;
    });
    act = () => undefined;
    missing = '';
    await waitFor('the work to be done', () => handled.length === 1);
    expect(await letters()).toBe(0);
  });
});

describe('a service that starts before nats-server', () => {
  it('lives and waits, says for what, and works when it is there', async () => {
    const natsPort = await freePort();
    const starting = start(`nats://127.0.0.1:${natsPort}`);
    await waitFor('the probes', async () => (await probe('/livez').catch(() => [0]))[0] === 200);
    await waitFor('the reason', async () => (await probe('/readyz'))[1].includes('CONNECTION_REFUSED'));
    expect(await probe('/readyz')).toEqual([503, 'nats-server was not reached yet: CONNECTION_REFUSED\n']);
    const storeDir = mkdtempSync(join(tmpdir(), 'atelier-readiness-'));
    const nats = await startNatsServer({ storeDir, port: natsPort });
    await starting;
    expect(await probe('/readyz')).toEqual([200, 'ok\n']);
    await service?.stop();
    service = undefined;
    await nats.stop();
    rmSync(storeDir, { recursive: true, force: true });
  });

  it.each(['nats://[::1', 'no address'])('does not wait for what is no address: %s', async (url) => {
    await expect(start(url)).rejects.toThrow(`no mesh at ${url}`);
  });
});
