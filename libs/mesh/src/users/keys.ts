// The users' key pairs. A user proves with its seed, which stays where it is, that a public key is its own; nats-server
// is told public keys alone.
import { meshUsers, type MeshUser } from '@atelier/contracts';
import { createUser, fromSeed } from 'nkeys.js';
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSeed } from './seed';

export type PublicKeys = Readonly<Record<MeshUser, string>>;

/** Where a user's seed lies in a folder of seeds. */
export const seedFile = (folder: string, user: MeshUser): string => join(folder, `${user}.nk`);

/**
 * Makes a seed for each user that has none in the folder, readable by nobody else, and resolves with the public keys of
 * all. A file is there whole or not at all.
 */
export function ensureSeeds(folder: string): PublicKeys {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700); // an older one, or a looser hand
  return Object.fromEntries(meshUsers.map((user) => [user, ensureSeed(seedFile(folder, user))])) as PublicKeys;
}

function ensureSeed(file: string): string {
  if (!existsSync(file)) {
    const seed = Buffer.from(createUser().getSeed());
    writeFileSync(`${file}.new`, `${seed.toString()}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return fromSeed(readSeed(file)).getPublicKey();
}
