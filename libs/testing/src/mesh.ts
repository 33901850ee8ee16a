import { Mesh, provisionMesh } from '@atelier/mesh';
import { startTestNats } from './nats';

export interface TestMesh {
  url: string;
  mesh: Mesh;
  /** Ends the server without warning and starts it again on the same port and store. */
  restartNats(): Promise<void>;
  stop(): Promise<void>;
}

/** A real nats-server of the test's own (see startTestNats), provisioned. */
export async function startTestMesh(): Promise<TestMesh> {
  const server = await startTestNats();
  const { url } = server;
  const mesh = await Mesh.connect({ url, name: 'test' });
  await provisionMesh(mesh);
  return {
    url,
    mesh,
    restartNats: () => server.restart(),
    async stop() {
      await mesh.close();
      await server.stop();
    },
  };
}
