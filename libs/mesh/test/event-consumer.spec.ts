import { Event } from '@atelier/contracts';
import type { Mesh } from '../src';
import { takeEvents } from '../src';

/** A consumer that has one message, and then none until it is closed. */
function oneMessage() {
  let close: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (close = resolve));
  const message = {
    subject: 'events.run.a',
    seq: 1,
    data: Event.encode({}).finish(),
    info: { timestampNanos: 0, deliveryCount: 1 },
  };
  async function* messages() {
    yield message;
    await closed;
  }
  const fetch = () => Promise.resolve(Object.assign(messages(), { close }));
  return { js: { consumers: { get: () => Promise.resolve({ fetch }) } } } as unknown as Mesh;
}

test('an event that cannot be handled is told of while the next is waited for, and ends nothing', async () => {
  const over = new AbortController();
  const heard: string[] = [];
  const failed = (error: Error): void => {
    heard.push(error.message);
    over.abort();
  };
  const handle = () => Promise.reject(new Error('no room to note it'));
  await takeEvents(oneMessage(), 'webhook-a', { signal: over.signal, atOnce: 8, failed }, handle);
  expect(heard).toEqual(['no room to note it']);
});
