import { streams } from '@atelier/contracts';
import { Mesh, provisionMesh } from '@atelier/mesh';
import { startTestNats, type TestNats } from '@atelier/testing';

describe('provisioning', () => {
  let server: TestNats;
  beforeEach(async () => {
    server = await startTestNats();
  });
  afterEach(() => server.stop());

  it('is done by all services at once on a new server, and again by each that starts later', async () => {
    const meshes = await Promise.all(
      Array.from({ length: 12 }, (_, i) => Mesh.connect({ url: server.url, name: `service-${i}` })),
    );
    try {
      await Promise.all(meshes.map((mesh) => provisionMesh(mesh)));
      await provisionMesh(meshes[0]!);
      expect((await meshes[0]!.jsm.streams.info(streams.WORK)).config.name).toBe(streams.WORK);
    } finally {
      await Promise.all(meshes.map((mesh) => mesh.close()));
    }
  });

  it('takes no room in advance, and gives back what an earlier version had set aside for events, which stay', async () => {
    const mesh = await Mesh.connect({ url: server.url, name: 'test' });
    try {
      await mesh.jsm.streams.add({ name: streams.EVENTS, subjects: ['events.>'], max_bytes: 1024 ** 3 });
      await mesh.js.publish('events.run.r1.step', Buffer.from('kept'));
      await provisionMesh(mesh);
      const { config, state } = await mesh.jsm.streams.info(streams.EVENTS);
      expect(config).toMatchObject({ max_bytes: -1, max_msgs: 2_000_000 });
      expect(state.messages).toBe(1);
      for await (const { config: any } of mesh.jsm.streams.list()) expect(any.max_bytes).toBe(-1);
    } finally {
      await mesh.close();
    }
  });

  it("says so when another stream has one of ours' subjects", async () => {
    const mesh = await Mesh.connect({ url: server.url, name: 'test' });
    try {
      await mesh.jsm.streams.add({ name: 'STRANGER', subjects: ['work.>'] });
      await expect(provisionMesh(mesh)).rejects.toThrow('subjects overlap');
    } finally {
      await mesh.close();
    }
  });
});
