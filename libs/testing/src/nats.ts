import { natsServerConfig, startNatsServer, type NatsServerOptions } from '@atelier/mesh';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signalProcess } from './signals';

/** A nats-server of the test's own, on a free port, with a store of its own. */
export interface TestNats {
  url: string;
  /** Ends the server without warning and starts it again on the same port and store. */
  restart(): Promise<void>;
  /** Sends a signal to its process: of an installed server alone. */
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export type TestNatsOptions = Pick<NatsServerOptions, 'maxFileStore' | 'users' | 'tls'>;

/** The installed nats-server; or one in a container of the image that ATELIER_TEST_NATS_IMAGE names. */
export function startTestNats({
  image = process.env['ATELIER_TEST_NATS_IMAGE'],
  ...options
}: TestNatsOptions & { image?: string } = {}): Promise<TestNats> {
  return image ? inContainer(image, options) : asProcess(options);
}

async function asProcess(options: TestNatsOptions): Promise<TestNats> {
  const storeDir = mkdtempSync(join(tmpdir(), 'atelier-nats-'));
  let server = await startNatsServer({ storeDir, ...options });
  const { url } = server;
  return {
    url,
    async restart() {
      await server.kill();
      server = await startNatsServer({ storeDir, port: Number(new URL(url).port), ...options });
    },
    signal(signal) {
      const ports = readdirSync(storeDir).find((name) => name.endsWith('.ports'))!;
      signalProcess(Number(/\d+/.exec(ports)![0]), signal);
    },
    async stop() {
      await server.stop();
      rmSync(storeDir, { recursive: true, force: true });
    },
  };
}

const CONFIG = '/tmp/nats-server.conf';
const STORE = '/tmp/jetstream';
const PORT = 4222;

/** With the settings of startNatsServer, so that what a spec shows of one server it shows of the other. */
async function inContainer(image: string, options: TestNatsOptions): Promise<TestNats> {
  // Loaded only here: it looks for a container engine when it loads.
  const { GenericContainer, Wait } = await import('testcontainers');
  const port = await freePort(); // the engine's own choice would change with a restart
  const container = await new GenericContainer(image)
    .withEntrypoint(['nats-server'])
    .withCommand(['-c', CONFIG])
    .withCopyContentToContainer([
      { content: natsServerConfig({ storeDir: STORE, host: '0.0.0.0', port: PORT, ...options }), target: CONFIG },
    ])
    .withCopyFilesToContainer(Object.values(options.tls ?? {}).map((path) => ({ source: path, target: path })))
    .withExposedPorts({ container: PORT, host: port })
    .withWaitStrategy(Wait.forLogMessage('Server is ready'))
    .start();
  return {
    url: `nats://${container.getHost()}:${port}`,
    restart: () => container.restart({ timeout: 0 }), // no time to end by itself: SIGKILL
    signal() {
      throw new Error('a server in a container gets no signals: run this spec against the installed one');
    },
    async stop() {
      await container.stop();
    },
  };
}

/** Nothing listens there now; it is anybody's again. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
