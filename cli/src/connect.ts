import { AtelierClient } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { Context } from './context';
import { DataFolder } from './local/data-folder';
import { LocalMesh } from './local/local-mesh';
import type { MeshAccess } from './mesh-access';
import { DEFAULT_NATS_URL, type Settings } from './settings';

/** The mesh that was named, else the one "up" started on the data folder, else the usual place. */
export async function meshAccess({ natsUrl, data, credentials }: Settings): Promise<MeshAccess> {
  const running = natsUrl === undefined ? await new DataFolder(data).running() : undefined;
  if (!running) return { url: natsUrl ?? DEFAULT_NATS_URL, credentials };
  return { url: running.natsUrl, credentials: running.seedFile ? { seedFile: running.seedFile } : {} };
}

export interface Needs {
  /** Start Atelier for this command alone where none is running. */
  up?: boolean;
  /** Services the command waits for. Those that do not answer are named, since their work stays in the queue until they do. */
  services?: readonly string[];
}

/** Runs something with a client of a mesh that is there, and leaves nothing behind. */
export async function withClient<Result>(
  context: Context,
  { up, services = [] }: Needs,
  use: (client: AtelierClient) => Promise<Result>,
): Promise<Result> {
  const { settings, out, interrupt } = context;
  const local = up && !(await isRunning(settings)) ? await startFor(context) : undefined;
  if (local) interrupt.beforeKill(() => local.kill());
  try {
    const client = await connect(local?.access('cli') ?? (await meshAccess(settings)));
    try {
      if (services.length > 0) await checkServices(client, services, (text) => out.note(text));
      return await use(client);
    } finally {
      await client.close();
    }
  } finally {
    await local?.stop();
  }
}

async function isRunning(settings: Settings): Promise<boolean> {
  return settings.natsUrl === undefined && (await new DataFolder(settings.data).running()) !== undefined;
}

async function startFor({ settings, out, interrupt }: Context): Promise<LocalMesh> {
  interrupt.ownProcesses();
  out.note('starting Atelier for this command');
  return LocalMesh.start({
    settings: { ...settings, httpPort: 0, natsPort: 0 }, // nobody was told of a port
    say: (text) => !/ ready( |$)/.test(text) && out.note(text),
    onLog: ({ service, text, important }) => important && out.note(`${service}: ${text}`),
    signal: interrupt.signal,
  });
}

async function connect({ url, credentials }: MeshAccess): Promise<AtelierClient> {
  try {
    return await AtelierClient.connect(url, 'atelier', { credentials });
  } catch (error) {
    if ((error as AtelierError).code !== 'UNAVAILABLE') throw error;
    throw new AtelierError(
      'UNAVAILABLE',
      `Atelier is not running at ${url}: start it with "atelier up" in another terminal, add --up to "finetune" or "generate", or name another mesh with --nats or ATELIER_NATS_URL`,
      {},
      { cause: error },
    );
  }
}

async function checkServices(
  client: AtelierClient,
  needed: readonly string[],
  note: (text: string) => void,
): Promise<void> {
  const states = await client.status();
  if (!states.some(({ running }) => running)) {
    throw new AtelierError(
      'UNAVAILABLE',
      'nats-server answers, but no service of Atelier does: start them with "atelier up"',
    );
  }
  const absent = states
    .filter(({ service, running }) => needed.includes(service) && !running)
    .map(({ service }) => service);
  if (absent.length > 0)
    note(
      `not running: ${absent.join(', ')}; the work waits in the queue until ${absent.length > 1 ? 'they start' : 'it starts'}`,
    );
}
