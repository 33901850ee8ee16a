import { isLocked } from '@atelier/mesh';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What is running on a data folder, as others on this machine find it. */
export interface Running {
  pid: number;
  natsUrl: string;
  gatewayUrl: string;
}

/** The places of a data folder. Fingerprints and quantised checkpoints lie in it too; libs/checkpoint and the services know where. */
export class DataFolder {
  readonly nats: string;
  readonly logs: string;
  readonly lock: string;
  private readonly state: string;

  constructor(readonly path: string) {
    this.nats = join(path, 'nats');
    this.logs = join(path, 'logs');
    this.lock = join(path, 'up.lock');
    this.state = join(path, 'up.json');
  }

  create(): void {
    mkdirSync(this.logs, { recursive: true });
  }

  announce(running: Running): void {
    writeFileSync(this.state, `${JSON.stringify(running, null, 1)}\n`);
  }

  withdraw(): void {
    rmSync(this.state, { force: true });
  }

  /** What runs here now. A file that a killed process left behind is nothing running: the lock tells. */
  async running(): Promise<Running | undefined> {
    try {
      const running = JSON.parse(readFileSync(this.state, 'utf8')) as Running;
      return (await isLocked(this.lock)) ? running : undefined;
    } catch {
      return undefined;
    }
  }
}
