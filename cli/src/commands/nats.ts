import { meshUsers } from '@atelier/contracts';
import {
  baseSettings,
  ensureSeeds,
  keyVariable,
  loadConfig,
  Mesh,
  provisionMesh,
  seedFile,
  usersConfig,
} from '@atelier/mesh';
import type { Command } from 'commander';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { meshAccess } from '../connect';
import { handle, type Context } from '../context';

export function natsUsersCommand(program: Command): void {
  program
    .command('nats-users <folder>')
    .summary('make the users of a nats-server of your own')
    .description(
      'Writes a seed for each user that has none in the folder yet (<user>.nk, readable by you alone), users.conf for\nnats-server, and users.env, the public keys alone for deploy/nats/users.conf. "up" does all this by itself.',
    )
    .addHelpText(
      'after',
      `
Examples:
  atelier nats-users ./nats-users

Then, in the configuration of nats-server: include ./nats-users/users.conf`,
    )
    .action(handle<object, [folder: string]>(natsUsers));
}

function natsUsers({ out }: Context, _flags: object, folder: string): Promise<void> {
  const place = resolve(folder);
  const keys = ensureSeeds(place);
  const env = meshUsers.map((user) => `${keyVariable(user)}=${keys[user]}\n`).join('');
  writeFileSync(join(place, 'users.conf'), usersConfig(keys));
  writeFileSync(join(place, 'users.env'), env);
  for (const user of meshUsers) {
    out.object({ type: 'user', user, key: keys[user], seed_file: seedFile(place, user) });
    out.line(`${user.padEnd(10)} ${keys[user]}  ${seedFile(place, user)}`);
  }
  return Promise.resolve();
}

export function provisionCommand(program: Command): void {
  program
    .command('provision')
    .summary('make the streams and buckets of a mesh with users')
    .description(
      'Makes what is missing and brings what is there up to this version, as user admin: set ATELIER_NATS_SEED_FILE to its\nseed. Services of a mesh with users make none and wait for it; "up" does it by itself. Done twice, it is done once.',
    )
    .addHelpText(
      'after',
      `
Examples:
  ATELIER_NATS_SEED_FILE=nats-users/admin.nk atelier provision --nats nats://nats.example:4222`,
    )
    .action(handle(provision));
}

async function provision({ settings, out }: Context): Promise<void> {
  const { url, credentials } = await meshAccess(settings);
  const mesh = await Mesh.connect({ url, name: 'provision', user: 'admin', credentials });
  try {
    await provisionMesh(mesh, { replicas: loadConfig(baseSettings).ATELIER_NATS_REPLICAS });
  } finally {
    await mesh.close();
  }
  out.object({ type: 'provisioned', nats: url });
  out.line(`streams and buckets are there on ${url}`);
}
