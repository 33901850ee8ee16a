import { buckets, backing, Dataset, IngestWork, streams, subjects } from '@atelier/contracts';
import { consumerName, Mesh, provisionMesh, publishWork, throughOutage } from '@atelier/mesh';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { startTestCluster, startTestMesh, waitFor } from '@atelier/testing';

const allStreams = [
  ...Object.values(streams),
  ...Object.values(buckets.blobs).map(backing.blobStream),
  ...Object.values(buckets.state).map(backing.stateStream),
];

test('with three servers, the death of any loses nothing, and work goes on with the others', async () => {
  const cluster = await startTestCluster();
  let mesh: Mesh | undefined;
  try {
    mesh = await waitFor(
      'the cluster',
      () => Mesh.connect({ url: cluster.url, name: 'test' }).catch(() => undefined),
      30_000,
    );
    await waitFor('its leader', () => mesh!.jsm.getAccountInfo().catch(() => undefined), 30_000);
    await provisionMesh(mesh); // as an installation began that had one copy of each
    await provisionMesh(mesh, { replicas: 3 });
    for (const stream of allStreams)
      expect([stream, (await mesh.jsm.streams.info(stream)).config.num_replicas]).toEqual([stream, 3]);
    const states = new StateStore(mesh, 'datasets', Dataset, throughOutage);
    const tensors = new TensorStore(mesh, throughOutage);
    const blobs = new BlobStore(mesh, throughOutage);
    const put = async (id: string): Promise<void> => {
      await states.put(id, () => Dataset.create({ id }));
      await tensors.put('latents', id, Buffer.from(id));
      await blobs.put('samples', id, Buffer.from(id));
      await throughOutage(() =>
        publishWork(mesh!, subjects.work.ingest, IngestWork, { datasetId: id }, { msgId: `ingest.${id}` }),
      );
    };
    await put('before');
    await waitFor(
      'copies',
      async () => {
        const infos = await Promise.all(allStreams.map((stream) => mesh!.jsm.streams.info(stream)));
        return infos.every(
          ({ cluster: of }) => of?.replicas?.length === 2 && of.replicas.every(({ current }) => current),
        );
      },
      60_000,
    );
    await cluster.kill(Number(/n(\d)/.exec(mesh.nc.info!.server_name)![1]));
    const killed = Date.now();
    await put('after');
    expect(Date.now() - killed).toBeLessThan(25_000); // what was asked of the dead one is waited for, 20 s
    for (const id of ['before', 'after']) {
      expect((await states.get(id))?.value.id).toBe(id);
      expect(Buffer.from((await tensors.get('latents', id))!).toString()).toBe(id);
      expect(Buffer.from(await blobs.get('samples', id)).toString()).toBe(id);
    }
    expect((await mesh.jsm.consumers.info(streams.WORK, consumerName(subjects.work.ingest))).num_pending).toBe(2);
  } finally {
    await mesh?.close();
    await cluster.stop();
  }
});

describe('with one server', () => {
  test('more copies than servers are refused with the setting and the remedy', async () => {
    const { mesh, stop } = await startTestMesh();
    try {
      await expect(provisionMesh(mesh, { replicas: 3 })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(/^ATELIER_NATS_REPLICAS is 3, and NATS has too few servers .*or lower it$/),
      });
    } finally {
      await stop();
    }
  });

  test('what another version made is updated, with what is in it', async () => {
    const { mesh, stop } = await startTestMesh();
    try {
      const name = consumerName(subjects.work.train);
      await publishWork(mesh, subjects.work.train, IngestWork, { datasetId: 'd' }, { msgId: 'm' });
      await mesh.jsm.consumers.update(streams.WORK, name, { ack_wait: 77e9 });
      await mesh.jsm.streams.update(streams.EVENTS, { max_msgs: 5 });
      await mesh.jsm.streams.update(backing.stateStream('attempts'), { max_age: 3600e9 });
      await provisionMesh(mesh);
      const consumer = await mesh.jsm.consumers.info(streams.WORK, name);
      expect([consumer.config.ack_wait, consumer.num_pending]).toEqual([10e9, 1]);
      expect((await mesh.jsm.streams.info(streams.EVENTS)).config.max_msgs).toBe(2_000_000);
      expect((await mesh.jsm.streams.info(backing.stateStream('attempts'))).config.max_age).toBe(30 * 86_400e9);
    } finally {
      await stop();
    }
  });
});
