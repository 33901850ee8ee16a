// What makes cached latents and prompts valid: sha256 over the files they were computed from. Hashing 30 GB takes a minute,
// so each file's hash is kept in the data folder until its path, size, inode or change time differ.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { dataFolder } from '@atelier/contracts';

interface KnownHash {
  version: string;
  sha256: string;
}

export interface Fingerprints {
  vae: string;
  clip: string;
  t5: string;
  transformer: string;
  tokenizers: string;
  /** Of clip, t5 and tokenizers together: all that a caption's prompt embeds depend on. */
  text: string;
}

/** One hash for several. */
export function joinHashes(...hashes: readonly string[]): string {
  return createHash('sha256').update(hashes.join('\n')).digest('hex');
}

export class FileHashes {
  private constructor(
    private readonly cacheFile: string,
    private readonly known: Map<string, KnownHash>,
  ) {}

  static async open(cacheFile = join(dataFolder(), 'fingerprints.json')): Promise<FileHashes> {
    return new FileHashes(cacheFile, await readKnown(cacheFile));
  }

  /** One hash for several files: their base names and contents, in this order. */
  async combined(files: readonly string[]): Promise<string> {
    const all = createHash('sha256');
    for (const file of files) all.update(`${basename(file)}\0${await this.of(file)}\n`);
    return all.digest('hex');
  }

  async of(file: string): Promise<string> {
    const path = resolve(file);
    const version = await versionOf(path);
    const known = this.known.get(path);
    if (known?.version === version) return known.sha256;
    const sha256 = await sha256OfFile(path);
    // A file that changed while it was read gets no entry: the next question reads it again.
    if ((await versionOf(path)) === version) this.known.set(path, { version, sha256 });
    return sha256;
  }

  /** Keeps the hashes for the next process. Entries that another process wrote meanwhile stay; a failed write only costs time later. */
  async save(): Promise<void> {
    const merged = new Map([...(await readKnown(this.cacheFile)), ...this.known]);
    await mkdir(dirname(this.cacheFile), { recursive: true });
    const draft = `${this.cacheFile}.${process.pid}`;
    await writeFile(draft, JSON.stringify(Object.fromEntries(merged), null, 1));
    await rename(draft, this.cacheFile);
  }
}

export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 4 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function versionOf(path: string): Promise<string> {
  const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true });
  return [size, mtimeNs, ctimeNs, ino].join(':');
}

/** A cache that cannot be read is an empty cache. */
async function readKnown(file: string): Promise<Map<string, KnownHash>> {
  try {
    const entries = Object.entries(JSON.parse(await readFile(file, 'utf8')) as Record<string, KnownHash>);
    return new Map(
      entries.filter(([, known]) => typeof known?.version === 'string' && typeof known.sha256 === 'string'),
    );
  } catch {
    return new Map();
  }
}
