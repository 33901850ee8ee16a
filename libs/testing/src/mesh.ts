import { Mesh, provisionMesh, startNatsServer, type NatsServer } from '@atelier/mesh';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestMesh {
  url: string;
  mesh: Mesh;
  /** The server's JetStream folder. */
  storeDir: string;
  /** Stops the server without warning and starts it again on the same port and store. */
  restartNats(): Promise<void>;
  stop(): Promise<void>;
}

/** A real nats-server of the test's own, on a free port with a store of its own, provisioned. Docker where there is no binary. */
export async function startTestMesh({ maxFileStore }: { maxFileStore?: number } = {}): Promise<TestMesh> {
  const storeDir = mkdtempSync(join(tmpdir(), 'atelier-nats-'));
  let server = await startServer(storeDir, maxFileStore);
  const { url } = server;
  const mesh = await Mesh.connect({ url, name: 'test' });
  await provisionMesh(mesh);
  return {
    url,
    mesh,
    storeDir,
    async restartNats() {
      await server.kill();
      server = await startNatsServer({ storeDir, port: Number(new URL(url).port), maxFileStore });
    },
    async stop() {
      await mesh.close();
      await server.stop();
      rmSync(storeDir, { recursive: true, force: true });
    },
  };
}

async function startServer(storeDir: string, maxFileStore?: number): Promise<NatsServer> {
  if (spawnSync('nats-server', ['--version']).status === 0) return startNatsServer({ storeDir, maxFileStore });
  // No binary: an image, where there is Docker. Loaded only then, since it looks for Docker when it loads.
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer('nats:2.10-alpine').withCommand(['-js', '--max_payload', '9437184']).withExposedPorts(4222).withWaitStrategy(Wait.forLogMessage('Server is ready')).start();
  let over: (how: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => (over = resolve));
  const end = async (): Promise<void> => {
    await container.stop();
    over('it was stopped');
  };
  return { url: `nats://${container.getHost()}:${container.getMappedPort(4222)}`, ended, stop: end, kill: end };
}
