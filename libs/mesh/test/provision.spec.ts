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
    const meshes = await Promise.all(Array.from({ length: 12 }, (_, i) => Mesh.connect({ url: server.url, name: `service-${i}` })));
    try {
      await Promise.all(meshes.map((mesh) => provisionMesh(mesh)));
      await provisionMesh(meshes[0]!);
      expect((await meshes[0]!.jsm.streams.info(streams.WORK)).config.name).toBe(streams.WORK);
    } finally {
      await Promise.all(meshes.map((mesh) => mesh.close()));
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
