import { setImmediate as nextTurn } from 'node:timers/promises';
import { pipeline, Readable } from 'node:stream';
import type { JetStreamClient, ObjectStore, PubAck } from 'nats';
import { Sending, sliced } from '../src/sending';

const MIB = 1024 * 1024;

/** A server that takes nothing until it is told to; and the object store's client, which sends whatever it can read. */
function slowServer(total: number): {
  sent: () => number;
  take: (count: number, error?: Error) => void;
  put: Promise<void>;
} {
  const waiting: { resolve: (ack: PubAck) => void; reject: (error: Error) => void }[] = [];
  let sent = 0;
  const publish = (_subject: string, data?: Uint8Array): Promise<PubAck> => {
    sent += data?.length ?? 0;
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };
  const sending = new Sending({ publish } as unknown as JetStreamClient);
  const { js } = sending.through({} as ObjectStore) as unknown as { js: JetStreamClient };
  const stream = pipeline(sliced(new Uint8Array(total)), sending.measured(), () => undefined) as unknown as Readable;
  const put = (async () => {
    const published: Promise<PubAck>[] = [];
    for await (const chunk of stream as AsyncIterable<Uint8Array>) published.push(js.publish('chunk', chunk));
    await Promise.all(published);
  })();
  put.catch(() => undefined);
  const take = (count: number, error?: Error): void => {
    for (const { resolve, reject } of waiting.splice(0, count))
      if (error) reject(error);
      else resolve({ stream: 's', seq: 1, duplicate: false, domain: '' });
  };
  return { sent: () => sent, take, put };
}

/** As far as it comes by itself. */
async function settled(sent: () => number): Promise<number> {
  let before = sent();
  for (let still = 0; still < 20;) {
    await nextTurn();
    still = sent() === before ? still + 1 : 0;
    before = sent();
  }
  return before;
}

test('a large object is sent no faster than it is taken', async () => {
  const { sent, take, put } = slowServer(40 * MIB);
  for (let taken = 0; taken < 32; taken += 4) {
    const ahead = (await settled(sent)) - taken * MIB;
    expect(ahead).toBeGreaterThanOrEqual(8 * MIB);
    expect(ahead).toBeLessThan(10 * MIB);
    take(8); // of half a MiB each
  }
  const all = setInterval(() => take(100), 1);
  await put;
  clearInterval(all);
  expect(sent()).toBe(40 * MIB);
});

test('what the server refuses ends it, and the rest is not sent', async () => {
  const { sent, take, put } = slowServer(40 * MIB);
  await settled(sent);
  take(100, new Error('no room'));
  await expect(put).rejects.toThrow('no room');
  expect(sent()).toBeLessThan(10 * MIB);
});
