import { AtelierClient } from '@atelier/client';
import { AtelierError, type MeshUser } from '@atelier/contracts';
import {
  baseSettings,
  ensureSeeds,
  loadConfig,
  natsServerSyncs,
  provisionMesh,
  seedFile,
  takeLock,
  type Lock,
} from '@atelier/mesh';
import { computing, type Computing } from '@atelier/models';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshAccess } from '../mesh-access';
import { openModel } from '../open-model';
import type { Settings } from '../settings';
import { DataFolder } from './data-folder';
import { LogFile } from './log-file';
import { LocalNats } from './nats';
import { freePort, httpUrl } from './ports';
import { ServiceLog, type LogLine } from './service-log';
import { ServiceProcess } from './service-process';
import { servicePrograms, type ServiceName } from './service-set';
import { StoreKeeper } from './store-keeper';

export interface LocalMeshOptions {
  settings: Settings;
  /** What happens, in lines for people. */
  say: (text: string) => void;
  onLog?: (line: LogLine) => void;
  /** Gives up starting. */
  signal?: AbortSignal;
}

/** All of Atelier on this machine: nats-server, unless there is one already, and every service; each comes back when it dies. */
export class LocalMesh {
  private readonly services: ServiceProcess[] = [];
  private nats?: LocalNats;
  private keeper?: StoreKeeper;
  private lock?: Lock;
  private stopped?: Promise<void>;
  natsUrl = '';
  gatewayUrl = '';

  private constructor(
    private readonly folder: DataFolder,
    private readonly options: LocalMeshOptions,
    /** On what its services compute. */
    readonly computing: Computing,
  ) {}

  /** Resolves when every service is ready. When one cannot start, what did start is ended again and its last words are the error. */
  static async start(options: LocalMeshOptions): Promise<LocalMesh> {
    await openModel(options.settings);
    const on = computing(process.env.ATELIER_COMPUTE || 'auto'); // what cannot be had is said before anything is started
    const mesh = new LocalMesh(new DataFolder(options.settings.data), options, on);
    try {
      await mesh.begin();
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  /** Services first, so that they can say goodbye to the mesh; then nats-server; then the folder is free. */
  stop(): Promise<void> {
    this.stopped ??= this.end();
    return this.stopped;
  }

  /** Ends everything at once. Nothing acknowledged is lost: it is on nats-server's disk. */
  kill(): void {
    for (const service of this.services) service.kill();
    void this.nats?.kill();
    this.folder.withdraw();
    this.lock?.release();
  }

  /** Process ids by service, for those who look after them. */
  get pids(): Record<string, number> {
    return Object.fromEntries(this.services.map(({ name, pid }) => [name, pid ?? 0]));
  }

  private async begin(): Promise<void> {
    const { settings, say } = this.options;
    this.folder.create();
    this.lock = await takeLock(this.folder.lock);
    if (!this.lock) throw await this.taken();
    const httpPort = await freePort(settings.httpPort, settings.httpHost);
    if (httpPort === undefined) {
      throw new AtelierError(
        'FAILED_PRECONDITION',
        `port ${settings.httpPort} of ${settings.httpHost} is in use: end what uses it, or choose another with --port or ATELIER_HTTP_PORT (0: any free one)`,
      );
    }
    if (settings.natsUrl === undefined) {
      await this.startNats(settings.natsPort);
    }
    this.natsUrl = settings.natsUrl ?? this.nats!.url;
    this.gatewayUrl = httpUrl(settings.httpHost, httpPort);
    const { device, engine, note } = this.computing;
    say(`${'computes on'.padEnd(14)} ${device} (${engine} in this build)`);
    if (note) say(`NOTE           ${note}`);
    const user = this.nats ? 'admin' : 'cli';
    const { url, credentials } = this.access(user);
    const client = await AtelierClient.connect(url, 'up', { user, credentials });
    try {
      if (this.nats) await provisionMesh(client.mesh, { replicas: loadConfig(baseSettings).ATELIER_NATS_REPLICAS });
      const meeting = { natsUrl: url, httpPort, credentialsOf: (name: ServiceName) => this.access(name).credentials };
      for (const { name, main, env } of servicePrograms(settings, meeting)) {
        const log = new ServiceLog(this.folder.logs, name, (line) => this.options.onLog?.(line));
        const onEnd = (how: string, restartMs: number): void =>
          say(
            `${name} ended with ${how}; it is started again in ${restartMs / 1000} s. Its log: ${this.folder.logs}/${name}.log`,
          );
        this.services.push(new ServiceProcess({ name, main, env, log, onEnd }));
      }
      for (const service of this.services) service.start();
      await this.untilReady(client);
    } finally {
      await client.close();
    }
    const { natsUrl, gatewayUrl } = this;
    this.folder.announce({
      pid: process.pid,
      natsUrl,
      gatewayUrl,
      seedFile: this.nats && this.access('cli').credentials.seedFile,
    });
  }

  /** How a user gets at the mesh: by its seed in the data folder; of a mesh that was named, beside the seed that was. */
  access(user: MeshUser): MeshAccess {
    const { natsUrl: url, nats, folder } = this;
    if (nats) return { url, credentials: { seedFile: seedFile(folder.seeds, user) } };
    const { credentials } = this.options.settings;
    const given = credentials.seedFile;
    return { url, credentials: { ...credentials, ...(given && { seedFile: seedFile(dirname(given), user) }) } };
  }

  private async startNats(port: number): Promise<void> {
    const { say } = this.options;
    const log = new LogFile(join(this.folder.logs, 'nats-server.log'), say);
    const onEnd = (how: string): void =>
      say(`nats-server ended unasked (${how}); it is started again. Its log: ${log.path}`);
    try {
      this.nats = await LocalNats.start(this.folder.nats, { port, users: ensureSeeds(this.folder.seeds), onEnd, log });
    } catch (error) {
      if (!(error instanceof AtelierError)) throw error;
      throw new AtelierError(error.code, `${error.message}. Its log: ${log.path}`, error.details, { cause: error });
    }
    say(`nats-server    ready  ${this.nats.url}`);
    if (!natsServerSyncs()) {
      const what =
        'a power cut may take what was acknowledged in its last two minutes (a killed process takes nothing)';
      say(`NOTE           this nats-server is older than 2.10: ${what}`);
    }
    const { credentials } = this.access('admin');
    const tell = (text: string): void => say(`${text}. nats-server's log: ${log.path}`);
    this.keeper = await StoreKeeper.start(this.nats, tell, credentials);
  }

  private async untilReady(client: AtelierClient): Promise<void> {
    const up = new Set<string>();
    while (up.size < this.services.length) {
      if (this.options.signal?.aborted)
        throw new AtelierError('CANCELLED', 'starting was interrupted: everything is stopped again');
      const fallen = this.services.find(({ ends }) => ends > 0);
      if (fallen)
        throw new AtelierError(
          'FAILED_PRECONDITION',
          `service ${fallen.name} did not start: ${fallen.lastWords || 'it said nothing'}. Its log: ${this.folder.logs}/${fallen.name}.log`,
        );
      const states = [
        ...(await client.status()),
        { service: 'gateway', running: await answers(`${this.gatewayUrl}/readyz`), ready: true, detail: '' },
      ];
      for (const { service, ready, detail } of states.filter(({ running, service }) => running && !up.has(service))) {
        up.add(service);
        // One that lacks what it needs answers and waits for it: nobody else has to.
        const how = ready ? 'ready' : `waits  ${detail}`;
        this.options.say(`${service.padEnd(14)} ${how}${service === 'gateway' ? `  ${this.gatewayUrl}` : ''}`);
      }
      await sleep(100);
    }
  }

  private async taken(): Promise<AtelierError> {
    const running = await this.folder.running();
    const who = running ? ` (process ${running.pid}, ${running.gatewayUrl})` : '';
    return new AtelierError(
      'ALREADY_EXISTS',
      `Atelier is already running on ${this.folder.path}${who}: end it first (Ctrl-C where it runs${running ? `, or kill ${running.pid}` : ''}), or give another folder with --data`,
    );
  }

  private async end(): Promise<void> {
    if (this.lock) this.folder.withdraw();
    await Promise.all(this.services.map((service) => service.stop()));
    await this.keeper?.stop();
    await this.nats?.stop();
    this.lock?.release();
  }
}

async function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(1000) }).then(
    ({ ok }) => ok,
    () => false,
  );
}
