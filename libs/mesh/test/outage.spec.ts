import { AtelierError, IngestWork, streams, subjects } from '@atelier/contracts';
import { publishWork, throughOutage } from '@atelier/mesh';
import { startTestMesh } from '@atelier/testing';

describe('through an outage', () => {
  it('work is published once, though nats-server is restarted under it', async () => {
    const test = await startTestMesh();
    const publish = (id: string) => throughOutage(() => publishWork(test.mesh, subjects.work.ingest, IngestWork, { datasetId: id }, { msgId: id }));
    await publish('before');
    const restarting = test.restartNats();
    await publish('during');
    await restarting;
    await publish('after');
    expect((await test.mesh.jsm.streams.info(streams.WORK)).state.messages).toBe(3);
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
    const test = await startTestMesh();
    await test.mesh.nc.close();
    await expect(throughOutage(() => test.mesh.nc.request('x'), { patienceMs: 300 })).rejects.toThrow(/CONNECTION_CLOSED|closed/i);
    const signal = AbortSignal.timeout(200);
    await expect(throughOutage(() => test.mesh.nc.request('x'), { signal })).rejects.toThrow(/timeout|aborted/i);
    await test.stop();
  });
});
