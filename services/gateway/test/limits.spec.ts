import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { newToken, tokenLine } from '@atelier/client';
import { waitFor } from '@atelier/testing';
import { addressee } from '../src/access/rates';
import { postJson, startGateway, type TestGateway } from './harness';

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: { error: { code: string; message: string } };
}

/** A request whose body is written by hand; what comes of it. */
function begin(
  url: string,
  method: string,
  headers: Record<string, string>,
): { request: ClientRequest; answer: Promise<Answer> } {
  const request = httpRequest(url, { method, headers });
  const answer = new Promise<Answer>((resolve, reject) => {
    request.on('error', reject).on('response', (response) => {
      const { statusCode: status = 0, headers: told } = response;
      text(response).then(
        (body) => resolve({ status, headers: told, body: JSON.parse(body) as Answer['body'] }),
        reject,
      );
    });
  });
  answer.catch(() => undefined);
  return { request, answer };
}

const FORM = { 'content-type': 'multipart/form-data; boundary=b' };
const HEAD =
  '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nherons\r\n' +
  '--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n';

describe('what one sender may ask for', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-limits-'));
  const [one, other] = ['one', 'other'].map((name) => newToken(name, ['read', 'train']));
  let gateway: TestGateway;
  beforeAll(async () => {
    const file = join(folder, 'tokens');
    writeFileSync(file, [one!, other!].map(({ entry }) => tokenLine(entry)).join('\n'));
    gateway = await startGateway({
      ATELIER_API_TOKENS_FILE: file,
      ATELIER_READS_PER_SECOND: '2',
      ATELIER_WRITES_PER_SECOND: '0.5',
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    rmSync(folder, { recursive: true });
  });
  const as = ({ token }: { token: string }) => ({ authorization: `Bearer ${token}` });

  test('is limited by its token, asking and changing apart; the refusal says when to go on', async () => {
    const write = () => postJson(`${gateway.url}/v1/finetunes/x/cancel`, {}, as(one!));
    for (let count = 0; count < 5; count++) expect((await write()).status).toBe(404);
    const refused = await write();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(10);
    expect(await refused.json()).toMatchObject({
      error: {
        type: 'rate_limit_error',
        code: 'rate_limit_exceeded',
        message: expect.stringMatching(/more than 0\.5 changes a second from token one: .*ATELIER_WRITES_PER_SECOND$/),
      },
    });
    expect((await fetch(`${gateway.url}/v1/models`, { headers: as(one!) })).status).toBe(200);
    expect((await postJson(`${gateway.url}/v1/finetunes/x/cancel`, {}, as(other!))).status).toBe(404);
  });

  test('who has no token that is known is limited by its address; probes and known tokens are not kept out by it', async () => {
    const guess = async () => (await fetch(`${gateway.url}/v1/models`, { headers: as({ token: 'guess' }) })).status;
    for (let count = 0; count < 20; count++) expect(await guess()).toBe(401);
    expect(await guess()).toBe(429);
    expect((await fetch(`${gateway.url}/v1/models`)).status).toBe(429);
    for (const probe of ['/livez', '/readyz', '/healthz']) expect((await fetch(gateway.url + probe)).status).toBe(200);
    expect((await fetch(`${gateway.url}/v1/models`, { headers: as(other!) })).status).toBe(200);
  });
});

describe('what all senders together may hold', () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startGateway({ ATELIER_UPLOADS: '1', ATELIER_BODY_IDLE_SECONDS: '0.5', ATELIER_CONNECTIONS: '4' });
  });
  afterAll(() => gateway?.stop());
  const datasets = () => `${gateway.url}/v1/datasets`;

  test('one upload more than may be at once is told to come again, and is taken when another has ended', async () => {
    const first = begin(datasets(), 'POST', FORM);
    first.request.write(HEAD);
    const goesOn = setInterval(() => first.request.write('x'.repeat(2000)), 50);
    const second = await waitFor('the first to hold the place', async () => {
      const { request, answer } = begin(datasets(), 'POST', FORM);
      request.end(`${HEAD}pixels\r\n--b--`);
      const told = await answer;
      return told.status === 429 ? told : undefined;
    });
    expect(second).toMatchObject({
      headers: { 'retry-after': '5' },
      body: { error: { code: 'rate_limit_exceeded', message: expect.stringContaining('ATELIER_UPLOADS') } },
    });
    clearInterval(goesOn);
    first.request.end('pixels\r\n--b--');
    expect((await first.answer).status).toBe(202);
    const third = begin(datasets(), 'POST', FORM);
    third.request.end(`${HEAD}pixels\r\n--b--`);
    expect((await third.answer).status).toBe(202);
  });

  test.each<[string, string, Record<string, string>, string]>([
    ['a form', '/v1/datasets', FORM, HEAD],
    ['JSON', '/v1/finetunes', { 'content-type': 'application/json', 'content-length': '100' }, '{"dataset":'],
    [
      'nothing of what was announced',
      '/v1/finetunes',
      { 'content-type': 'application/json', 'content-length': '100' },
      '',
    ],
  ])('%s that stops coming is ended, and its connection is closed', async (_what, path, headers, begun) => {
    const { request, answer } = begin(gateway.url + path, 'POST', headers);
    const closed = new Promise((resolve) => request.on('socket', (socket) => socket.once('close', resolve)));
    request.flushHeaders();
    if (begun) request.write(begun);
    expect(await answer).toMatchObject({
      status: 408,
      headers: { connection: 'close' },
      body: { error: { code: 'deadline_exceeded', message: expect.stringMatching(/^the body stopped coming/) } },
    });
    await closed;
  });

  test('a body that is refused before it came, and then stops coming, is ended too', async () => {
    const { request, answer } = begin(`${gateway.url}/v1/datasets`, 'POST', { ...FORM, host: 'elsewhere.example' });
    const closed = new Promise((resolve) => request.on('socket', (socket) => socket.once('close', resolve)));
    request.flushHeaders();
    request.write(HEAD);
    expect((await answer).status).toBe(403);
    await closed;
  });

  test('an upload that goes on is taken, however long it takes', async () => {
    const { request, answer } = begin(datasets(), 'POST', FORM);
    request.write(HEAD);
    for (let count = 0; count < 8; count++) {
      await sleep(200); // what a slow line is; five times the time that it may be idle goes by
      request.write('x'.repeat(2000));
    }
    request.end('\r\n--b--');
    expect((await answer).status).toBe(202);
  });

  test('connections beyond the limit are closed as they come, and there is room again when others go', async () => {
    const { port } = new URL(gateway.url);
    const open = (): Socket => connect(Number(port), '127.0.0.1').on('error', () => undefined);
    const held = Array.from({ length: 4 }, open);
    const isLeft = (socket: Socket) => new Promise<boolean>((resolve) => socket.once('close', () => resolve(true)));
    await waitFor('one more to be closed', () => {
      const socket = open();
      held.push(socket);
      return Promise.race([isLeft(socket), sleep(200).then(() => false)]);
    });
    for (const socket of held) socket.destroy();
    await waitFor('room again', () =>
      fetch(`${gateway.url}/livez`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  });
});

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.0.0.7', '10.0.0.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::6', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  [undefined, 'nowhere'],
])('of the address %s, %s is counted', (address, who) => {
  expect(addressee(address)).toBe(who);
});
