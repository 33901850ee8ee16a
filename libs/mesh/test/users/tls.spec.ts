// NATS that is spoken to by TLS, and asks for a certificate itself: with its authority it is trusted, without it is not. Whom it lets in
// is its own affair.
import { startTestNats, type TestNats } from '@atelier/testing';
import { Mesh, type Credentials } from '@atelier/mesh';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string;
let nats: TestNats;
const file = (name: string): string => join(folder, name);

const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** An authority with its certificate, and certificates that it has signed for nats-server and for a service. */
function makeCertificates(): void {
  for (const authority of ['ca', 'stranger'])
    openssl(
      'req',
      '-x509',
      ...KEY,
      '-days',
      '2',
      '-subj',
      `/CN=${authority}`,
      '-keyout',
      `${authority}.key`,
      '-out',
      `${authority}.pem`,
    );
  writeFileSync(file('names'), 'subjectAltName=DNS:localhost');
  for (const name of ['server', 'service']) {
    openssl('req', ...KEY, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-days', '2', '-extfile', 'names', '-out', `${name}.pem`);
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atelier-tls-'));
  makeCertificates();
  nats = await startTestNats({ tls: { cert: file('server.pem'), key: file('server.key'), ca: file('ca.pem') } });
});
afterAll(async () => {
  await nats?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const connect = (credentials: Credentials): Promise<Mesh> =>
  Mesh.connect({ url: nats.url.replace('127.0.0.1', 'localhost'), name: 'trainer', credentials });
const shown = (name: string): Credentials => ({ tlsCert: file(`${name}.pem`), tlsKey: file(`${name}.key`) });

test('with its authority and a certificate from there, all is as without TLS', async () => {
  const mesh = await connect({ tlsCa: file('ca.pem'), ...shown('service') });
  expect((await mesh.jsm.getAccountInfo()).limits).toBeDefined();
  await mesh.close();
});

test.each([
  ['another authority', () => ({ tlsCa: file('stranger.pem'), ...shown('service') })],
  ['none', () => shown('service')],
])('with %s it is not trusted, and the setting is named', async (_, credentials) => {
  await expect(connect(credentials())).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringMatching(/cannot be trusted .*set ATELIER_NATS_TLS_CA/),
  });
});

test.each([
  ['none', () => ({}), /wants to be shown a certificate: set ATELIER_NATS_TLS_CERT and ATELIER_NATS_TLS_KEY$/],
  [
    'of a stranger',
    () => shown('stranger'),
    /refuses the certificate in .*stranger\.pem \(ATELIER_NATS_TLS_CERT\): set one that/,
  ],
])('of ours it asks for a certificate, and %s is refused at once, with the settings', async (_, ours, words) => {
  const began = performance.now();
  await expect(connect({ tlsCa: file('ca.pem'), ...ours() })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringMatching(words),
  });
  expect(performance.now() - began).toBeLessThan(10_000); // a request that nobody answers is waited for longer
});

test('files that are not there, and half a pair, are named before anything is asked', async () => {
  await expect(connect({ tlsCa: file('missing.pem') })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/^ATELIER_NATS_TLS_CA cannot be read: ENOENT/),
  });
  await expect(connect({ tlsCert: file('service.pem') })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: 'ATELIER_NATS_TLS_CERT and ATELIER_NATS_TLS_KEY belong together: set both, or neither',
  });
});
