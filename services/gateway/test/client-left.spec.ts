import { once } from 'node:events';
import { createServer, get, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buckets, Generation } from '@atelier/contracts';
import { BlobStore, StateStore } from '@atelier/store';
import { waitFor } from '@atelier/testing';
import type { Response as ExpressResponse } from 'express';
import { clientLeft } from '../src/client-left';
import { sendEvents } from '../src/events/event-stream';
import { sendFile } from '../src/send-file';
import { postJson, startGateway, type TestGateway } from './harness';

/** One answer of a real server, without Express around it. */
async function answering(
  answer: (response: ExpressResponse) => Promise<void>,
  ask: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer();
  const answered = (once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>).then(([, response]) => {
    const plain = response as ExpressResponse;
    plain.status = (code) => Object.assign(plain, { statusCode: code });
    plain.set = ((headers: Record<string, string>) => (
      Object.entries(headers).forEach(([name, value]) => plain.setHeader(name, value)),
      plain
    )) as ExpressResponse['set'];
    return answer(plain);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await Promise.all([ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), answered]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function leaveAtOnce(url: string): Promise<void> {
  const request = get(url).on('error', () => undefined);
  await once(request, 'socket');
  if (request.socket!.connecting) await once(request.socket!, 'connect');
  await new Promise<void>((resolve) => request.write('', () => resolve()));
  request.destroy();
}

describe('an answer whose client is gone before it begins', () => {
  const afterwards = (answer: (response: ExpressResponse) => Promise<void>): Promise<void> =>
    answering(async (response) => {
      if (!response.closed) await once(response, 'close');
      await answer(response);
    }, leaveAtOnce);

  test('says so to whoever asks then', () =>
    afterwards(async (response) => expect(clientLeft(response).aborted).toBe(true)));

  test('as events - ends, and lets the events go', async () => {
    let over = false;
    async function* events() {
      try {
        for (let id = 1; ; id++) yield { id, data: {} };
      } finally {
        over = true;
      }
    }
    await afterwards((response) => sendEvents(response, events(), { heartbeatMs: 1000, over: false }));
    expect(over).toBe(true);
  });

  test('as a file - lets the file go', async () => {
    const { Readable } = await import('node:stream');
    const file = Readable.from([Buffer.from('bytes')]);
    await afterwards((response) => sendFile(response, file, { type: 'image/png' }));
    expect(file.destroyed).toBe(true);
  });
});

test('a slow reader of events leaves no listeners behind', async () => {
  const listeners: number[] = [];
  await answering(
    (response) => {
      async function* events() {
        for (let id = 1; id <= 30; id++) {
          listeners.push(response.listenerCount('close') + response.listenerCount('error'));
          yield { id, data: 'x'.repeat(1_000_000) };
        }
      }
      return sendEvents(response, events(), { heartbeatMs: 1000, over: false });
    },
    async (url) => {
      let size = 0;
      for await (const chunk of (await fetch(url)).body as unknown as AsyncIterable<Uint8Array>) size += chunk.length;
      expect(size).toBeGreaterThan(30_000_000);
    },
  );
  expect(new Set(listeners).size).toBe(1);
});

describe('clients that leave the gateway', () => {
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await startGateway({ ATELIER_ADAPTER_MIB: '0.1' });
  });
  afterAll(() => gateway?.stop());

  test('who waits for a picture and leaves calls its drawing off', async () => {
    const generations = new StateStore(gateway.mesh, buckets.state.generations, Generation);
    const leave = new AbortController();
    const asked = fetch(`${gateway.url}/v1/images/generations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"prompt":"a heron","size":"64x64"}',
      signal: leave.signal,
    }).catch(() => undefined);
    await waitFor('the drawing to be queued', async () => (await generations.list()).length === 1);
    leave.abort();
    await asked;
    await waitFor('it to be called off', async () => (await generations.list())[0]!.cancelRequested);
  });

  test('who leaves in the middle of an adapter leaves nothing', async () => {
    const seen = once(gateway.app.getHttpServer(), 'request') as Promise<[unknown, ServerResponse]>;
    const request = httpRequest(`${gateway.url}/v1/adapters/half`, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', 'content-length': '50000' },
    });
    request.on('error', () => undefined).write('half an adapter');
    const [, answer] = await seen;
    request.destroy();
    await once(answer, 'close');
    await waitFor('the answer that nobody gets', () => answer.writableEnded);
    expect(answer.statusCode).toBe(499);
    expect((await fetch(`${gateway.url}/v1/adapters/half`)).status).toBe(404);
    expect(await new BlobStore(gateway.mesh).list(buckets.blobs.adapters)).toEqual([]);
  });

  test('an adapter over the limit that was not announced is refused with an answer, not by hanging up', async () => {
    const response = await fetch(`${gateway.url}/v1/adapters/large`, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Blob([Buffer.alloc(300_000)]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      error: { code: 'payload_too_large', message: expect.stringContaining('over the limit') },
    });
  });

  test('and it goes on', async () => {
    expect((await postJson(`${gateway.url}/v1/finetunes`, { dataset: 'none' })).status).toBe(404);
  });
});
