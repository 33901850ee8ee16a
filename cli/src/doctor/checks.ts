import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { AtelierClient } from '@atelier/client';
import { describeStore, isFull, natsServerBinary } from '@atelier/mesh';
import { meshAccess } from '../connect';
import { DataFolder } from '../local/data-folder';
import { freePort } from '../local/ports';
import { servicePrograms } from '../local/service-set';
import { openModel } from '../open-model';
import { bytes } from '../output';
import type { Settings } from '../settings';
import { checkCard, checkEngine, checkKernels, openEngine } from './card';
import type { Check, Finding } from './finding';

const OLDEST_NODE = [20, 11] as const;
/** Streams, logs, and the quantised copy of FLUX.1-dev's transformer. */
const ENOUGH_DISK = 20 * 1024 ** 3;
const run = promisify(execFile);

type Checks = Record<string, (settings: Settings) => Promise<Finding> | Finding>;

function checks(card: boolean): Checks {
  let opened: ReturnType<typeof openEngine> | undefined;
  const engine = (): ReturnType<typeof openEngine> => (opened ??= openEngine());
  return {
    node: checkNode,
    'nats-server': checkNatsServer,
    engine: async () => checkEngine(await engine()),
    services: checkServices,
    checkpoint: checkCheckpoint,
    disk: checkDisk,
    memory: checkMemory,
    gpu: async () => checkCard(await engine()),
    ...(card && { card: async ({ data }) => checkKernels((await engine()).compute, join(data, 'cards')) }),
    ports: checkPorts,
    mesh: checkMesh,
  };
}

/** One after the other, as they are found. A check that breaks is a failure of what it checks. */
export async function* checkAll(settings: Settings, card = false): AsyncGenerator<Check> {
  for (const [name, check] of Object.entries(checks(card))) {
    const finding = await Promise.resolve()
      .then(() => check(settings))
      .catch((error: Error): Finding => ({ state: 'fail', text: error.message.trim().replace(/\n\s*/g, '; ') }));
    yield { name, ...finding };
  }
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const new_ = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  return new_
    ? { state: 'ok', text: process.version }
    : { state: 'fail', text: `${process.version} is too old: install Node ${OLDEST_NODE.join('.')} or newer` };
}

async function checkNatsServer({ natsUrl }: Settings): Promise<Finding> {
  if (natsUrl) return { state: 'ok', text: `not needed: ${natsUrl} is used` };
  const binary = natsServerBinary();
  try {
    const { stdout } = await run(binary, ['--version']);
    return { state: 'ok', text: stdout.trim() };
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'is not installed'
        : `does not run (${(error as Error).message.split('\n')[0]})`;
    return {
      state: 'fail',
      text: `${binary} ${why}: install it (Debian: apt-get install nats-server), or set ATELIER_NATS_URL to one that runs elsewhere`,
    };
  }
}

function checkServices(settings: Settings): Finding {
  return {
    state: 'ok',
    text: servicePrograms(settings, { natsUrl: '', httpPort: 0 })
      .map(({ name }) => name)
      .join(', '),
  };
}

async function checkCheckpoint(settings: Settings): Promise<Finding> {
  const { dir, fluxConfig } = await openModel(settings);
  return { state: 'ok', text: `${dir} (${fluxConfig.guidance ? 'dev' : 'schnell'})` };
}

async function checkDisk({ data }: Settings): Promise<Finding> {
  let there = data;
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  const { bavail, bsize } = await statfs(there);
  const free = bavail * bsize;
  const text = `${bytes(free)} free for ${data}`;
  return free >= ENOUGH_DISK
    ? { state: 'ok', text }
    : {
        state: 'warn',
        text: `${text}: FLUX.1-dev wants ${bytes(ENOUGH_DISK)} beside its own 32 GiB; choose another disk with --data`,
      };
}

function checkMemory(): Finding {
  return { state: 'ok', text: `${bytes(freemem())} free of ${bytes(totalmem())}; ask "atelier plan" what a run takes` };
}

async function checkPorts({ data, httpHost, httpPort, natsPort }: Settings): Promise<Finding> {
  const running = await new DataFolder(data).running();
  if (running) return { state: 'ok', text: `Atelier is up: ${running.gatewayUrl}, ${running.natsUrl}` };
  if (httpPort !== 0 && (await freePort(httpPort, httpHost)) === undefined) {
    return {
      state: 'fail',
      text: `port ${httpPort} of ${httpHost} is in use: end what uses it, or choose another with "up --port" or ATELIER_HTTP_PORT`,
    };
  }
  return {
    state: 'ok',
    text: `${httpPort === 0 ? 'any free port' : `${httpPort}, which is free,`} for the gateway; nats-server takes ${natsPort === 0 ? '' : `${natsPort} or `}any free one`,
  };
}

async function checkMesh(settings: Settings): Promise<Finding> {
  const { url, credentials } = await meshAccess(settings);
  const client = await AtelierClient.connect(url, 'doctor', { credentials }).catch(() => undefined);
  if (!client)
    return {
      state: settings.natsUrl ? 'fail' : 'warn',
      text: settings.natsUrl
        ? `nothing answers at ${url}: start it, or correct ATELIER_NATS_URL`
        : 'not running: start it with "atelier up"',
    };
  try {
    const states = await client.status();
    const store = await client.store();
    if (isFull(store)) {
      const remedy = 'Free space on its disk, or delete what is no longer needed';
      return { state: 'fail', text: `${url}: the store is full: ${describeStore(store)}. ${remedy}` };
    }
    const absent = states
      .filter(({ ready }) => !ready)
      .map(({ service, running, detail }) => `${service} (${running ? detail || 'not ready' : 'not running'})`);
    return absent.length > 0
      ? { state: 'warn', text: `${url}: ${absent.join(', ')}` }
      : { state: 'ok', text: `${url}: all services are ready` };
  } finally {
    await client.close();
  }
}
