import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsServerConfig, natsServerSyncs } from '../src';

describe('whether a nats-server syncs each write', () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'atelier-version-'))));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    ['nats-server: v2.9.10', false],
    ['nats-server: v2.10.0', true],
    ['nats-server: v2.11.4', true],
    ['nats-server: v3.0.0', true],
    ['something else', false],
  ])('%s: %s', (said, syncs) => {
    const binary = join(folder, 'server');
    writeFileSync(binary, `#!/bin/sh\necho "${said}"\n`);
    chmodSync(binary, 0o755);
    expect(natsServerSyncs(binary)).toBe(syncs);
  });

  test('one that is not there does not', () => {
    expect(natsServerSyncs(join(folder, 'nobody'))).toBe(false);
  });

  test('it is configured only where it was asked for: older ones refuse the word', () => {
    const of = { storeDir: '/s', host: '127.0.0.1', port: 0 };
    expect(natsServerConfig(of)).not.toContain('sync_interval');
    expect(natsServerConfig({ ...of, syncAlways: true })).toMatch(/jetstream \{.*sync_interval: always \}/);
  });
});
