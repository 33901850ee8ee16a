import { AtelierError, IngestWork, streams, subjects } from '@atelier/contracts';
import { publishWork, throughOutage } from '@atelier/mesh';
import { startTestMesh } from '@atelier/testing';
import { ErrorCode, NatsError } from 'nats';

describe('through an outage', () => {
  it('work is published once, though nats-server is restarted under it', async () => {
    const test = await startTestMesh();
    const publish = (id: string) =>
      throughOutage(() => publishWork(test.mesh, subjects.work.ingest, IngestWork, { datasetId: id }, { msgId: id }));
    await publish('before');
    const restarting = test.restartNats();
    await publish('during');
    await restarting;
    await publish('after');
    expect((await test.mesh.jsm.streams.info(streams.WORK)).state.messages).toBe(3);
    await test.stop();
  });

  it('what was asked of a server that died, or is not back yet, is known to be lost at once, and asked again', async () => {
    const test = await startTestMesh();
    const MINUTE_MS = 60_000;
    test.mesh.nc.subscribe('silence', { callback: () => undefined });
    const silence = test.mesh.nc.request('silence', undefined, { timeout: MINUTE_MS }).catch((error: unknown) => error);
    await test.mesh.nc.flush();
    const start = Date.now();
    const restarting = test.restartNats();
    expect(await silence).toMatchObject({ code: 'DISCONNECT' });
    const messages = throughOutage(async () => (await test.mesh.jsm.streams.info(streams.WORK)).state.messages);
    expect(await messages).toBe(0); // each try of it would wait for 20 s
    expect(Date.now() - start).toBeLessThan(15_000);
    expect(test.mesh.interruptions).toBe(1);
    await restarting;
    await test.stop();
  });

  it('errors that are no outage are passed on at once', async () => {
    let tries = 0;
    const ask = throughOutage(async () => {
      tries++;
      throw new AtelierError('NOT_FOUND', 'there is none');
    });
    await expect(ask).rejects.toThrow('there is none');
    expect(tries).toBe(1);
  });

  it('patience has an end, and the signal ends it sooner', async () => {
    const away = (): Promise<never> => Promise.reject(new NatsError('no answer', ErrorCode.Timeout));
    await expect(throughOutage(away, { patienceMs: 300 })).rejects.toThrow('no answer');
    await expect(throughOutage(away, { signal: AbortSignal.timeout(200) })).rejects.toThrow(/timeout|aborted/i);
  });

  it('a connection that was closed here is no outage: it does not come back', async () => {
    const test = await startTestMesh();
    await test.mesh.close();
    let tries = 0;
    const ask = async (): Promise<unknown> => {
      tries++;
      return test.mesh.nc.request('x');
    };
    await expect(throughOutage(ask)).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    expect(tries).toBe(1);
    await test.stop();
  });
});
