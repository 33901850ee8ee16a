// Who is let in, and what is said to who is not.
import { startTestNats, type TestNats } from '@atelier/testing';
import { ensureSeeds, firstConnect, Mesh, provisionMesh, seedFile, type Credentials } from '@atelier/mesh';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string;
let nats: TestNats;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atelier-credentials-'));
  nats = await startTestNats({ users: ensureSeeds(folder) });
});
afterAll(async () => {
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
});

const connect = (credentials: Credentials): Promise<Mesh> =>
  Mesh.connect({ url: nats.url, name: 'trainer', user: 'trainer', credentials });

test('seeds are made once, each in a file that nobody else reads', () => {
  expect(ensureSeeds(folder)).toEqual(ensureSeeds(folder));
  expect(statSync(seedFile(folder, 'trainer')).mode & 0o777).toBe(0o600);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test('without a seed, with another mesh’s, with none in the file: each is refused by name, reason and remedy', async () => {
  await expect(connect({})).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringMatching(
      /wants to know who asks: set ATELIER_NATS_SEED_FILE to the file with the seed of its user trainer/,
    ),
  });
  const others = join(folder, 'others');
  ensureSeeds(others);
  await expect(connect({ seedFile: seedFile(others, 'trainer') })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining(
      `has no user with the seed in ${seedFile(others, 'trainer')} (ATELIER_NATS_SEED_FILE)`,
    ),
  });
  const broken = join(folder, 'broken.nk');
  writeFileSync(broken, 'SUAsecret');
  for (const [file, why] of [
    [broken, 'is none'],
    [join(folder, 'missing.nk'), 'cannot be read: ENOENT'],
  ] as const) {
    const error = await connect({ seedFile: file }).catch((refused: Error) => refused);
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(`the seed ${file} ${why}`),
    });
    expect((error as Error).message).not.toContain('SUAsecret');
  }
});

test('a service that is refused ends rather than wait; one whose streams are not made yet waits, and says so', async () => {
  const access = { url: nats.url, name: 'trainer', user: 'trainer' } as const;
  await expect(firstConnect(access)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  const reasons: string[] = [];
  const credentials = { seedFile: seedFile(folder, 'trainer') };
  const coming = firstConnect({ ...access, credentials }, { onWait: (reason) => reasons.push(reason) });
  while (reasons.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(reasons[0]).toMatch(/^stream \S+ is not there yet: user trainer makes none, "atelier provision" does$/);
  const admin = await Mesh.connect({
    url: nats.url,
    name: 'admin',
    user: 'admin',
    credentials: { seedFile: seedFile(folder, 'admin') },
  });
  await provisionMesh(admin);
  await admin.close();
  await (await coming).close();
});

test('what a user may not do fails at once, as what it is', async () => {
  const mesh = await connect({ seedFile: seedFile(folder, 'trainer') });
  await expect(mesh.jsm.streams.delete('TENSORS')).rejects.toMatchObject({ code: 'PERMISSIONS_VIOLATION' });
  await mesh.close();
});
