import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { AtelierError } from '@atelier/contracts';
import { isLocked } from '@atelier/mesh';
import { isOutOfHandles, NO_HANDLES } from '../no-handles';

/** Pictures, work and seeds are nobody else's. */
const PRIVATE = 0o700;

/** What is running on a data folder, as others on this machine find it. */
export interface Running {
  pid: number;
  natsUrl: string;
  gatewayUrl: string;
  /** Of user cli; not where the mesh is another's. */
  seedFile?: string;
}

/** The places of a data folder. Fingerprints and quantised checkpoints lie in it too; libs/checkpoint and the services know where. */
export class DataFolder {
  readonly nats: string;
  readonly logs: string;
  /** Of the users of the nats-server that runs on it. */
  readonly seeds: string;
  readonly lock: string;
  private readonly state: string;

  constructor(readonly path: string) {
    this.nats = join(path, 'nats');
    this.logs = join(path, 'logs');
    this.seeds = join(path, 'seeds');
    this.lock = join(path, 'up.lock');
    this.state = join(path, 'up.json');
  }

  /** Makes it, and sees that it can be written: what starts on it would each fail with a riddle of its own. */
  create(): void {
    const trial = join(this.nats, 'trial');
    try {
      for (const folder of [this.logs, this.nats, this.seeds]) {
        makeFolder(folder);
        hide(folder);
      }
      writeFileSync(trial, 'can this folder be written?');
    } catch (error) {
      throw unusable(this.path, error as NodeJS.ErrnoException);
    }
    rmSync(trial, { force: true });
  }

  announce(running: Running): void {
    writeFileSync(this.state, `${JSON.stringify(running, null, 1)}\n`, { mode: 0o600 });
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

/** An earlier version let others in; who may not change that has the folder from somebody who decides it. */
function hide(path: string): void {
  if ((statSync(path).mode & 0o077) === 0) return;
  try {
    chmodSync(path, PRIVATE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
}

/** As mkdir -p, for its user alone. Node's own says ENOENT where the file system is read-only. */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path, PRIVATE);
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error; // else someone else was as quick
  }
}

const OTHER_FOLDER = 'or choose another folder with --data or ATELIER_DATA';

function unusable(path: string, error: NodeJS.ErrnoException): AtelierError {
  const { code, message } = error;
  const refuse = (
    why: string,
    errorCode: 'FAILED_PRECONDITION' | 'RESOURCE_EXHAUSTED' = 'FAILED_PRECONDITION',
  ): AtelierError => new AtelierError(errorCode, `the data folder ${path} cannot be used: ${why}`);
  if (isOutOfHandles(error)) return refuse(NO_HANDLES, 'RESOURCE_EXHAUSTED');
  switch (code) {
    case 'EROFS':
      return refuse(`its file system is read-only. Mount it for writing, ${OTHER_FOLDER}`);
    case 'EACCES':
    case 'EPERM':
      return refuse(`user ${userInfo().username} may not write there. Make it that user's (chown), ${OTHER_FOLDER}`);
    case 'ENOSPC':
    case 'EDQUOT':
      return refuse(`its disk is full. Free space there, ${OTHER_FOLDER}`, 'RESOURCE_EXHAUSTED');
    case 'ENOTDIR':
    case 'EEXIST':
      return refuse(`a part of that path is a file. Take it away, ${OTHER_FOLDER}`);
    default:
      return refuse(`${message}. Mend that, ${OTHER_FOLDER}`);
  }
}
