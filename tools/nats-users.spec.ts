// What deploy/ lets NATS's users do.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { meshUsers } from '@atelier/contracts';
import { ensureSeeds, keyVariable, natsServerBinary } from '@atelier/mesh';

const root = join(__dirname, '..');

test('is what contracts say', () => {
  expect(execFileSync(process.execPath, [join(root, 'tools', 'nats-users.mjs')], { encoding: 'utf8' })).toContain(
    'agree',
  );
});

test('is a configuration that nats-server takes, with the keys of its environment and not without', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-users-'));
  const keys = ensureSeeds(folder);
  const own = Object.fromEntries(meshUsers.map((user) => [keyVariable(user), keys[user]]));
  const check = (env: Record<string, string>): unknown =>
    execFileSync(natsServerBinary(), ['-t', '-c', join(root, 'deploy/k8s/base/nats/users.conf')], {
      env: { PATH: process.env.PATH, ...env },
      stdio: 'pipe',
    });
  try {
    expect(() => check(own)).not.toThrow();
    expect(() => check({})).toThrow(/NATS_USER_INGEST/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
