import { AtelierClient } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { Context } from './context';
import { DataFolder } from './local/data-folder';
import { LocalMesh } from './local/local-mesh';
import { DEFAULT_NATS_URL, type Settings } from './settings';

/** The mesh that was named, else the one "up" started on the data folder, else the usual place. */
export async function meshUrl({ natsUrl, data }: Settings): Promise<string> {
  return natsUrl ?? (await new DataFolder(data).running())?.natsUrl ?? DEFAULT_NATS_URL;
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
    const client = await connect(local?.natsUrl ?? (await meshUrl(settings)));
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

async function connect(url: string): Promise<AtelierClient> {
  try {
    return await AtelierClient.connect(url, 'atelier');
  } catch (error) {
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
