import { MAX_MESSAGE_BYTES } from '@atelier/contracts';
import { connect } from 'nats';
import { startTestNats } from '../src';

describe('the nats-server of a test', () => {
  it('has what was acknowledged after it was ended without warning, at the same address', async () => {
    const server = await startTestNats();
    const before = await connect({ servers: server.url, reconnect: false });
    await (await before.jetstreamManager()).streams.add({ name: 'KEPT', subjects: ['kept'] });
    await before.jetstream().publish('kept', 'a word');
    await Promise.all([before.closed(), server.restart()]);
    const after = await connect({ servers: server.url, waitOnFirstConnect: true });
    expect((await (await after.jetstreamManager()).streams.getMessage('KEPT', { seq: 1 })).string()).toBe('a word');
    await after.close();
    await server.stop();
  });

  it('takes the largest message that the mesh sends, with headers beside it', async () => {
    const server = await startTestNats();
    const connection = await connect({ servers: server.url });
    expect(connection.info?.max_payload).toBeGreaterThan(MAX_MESSAGE_BYTES);
    await connection.close();
    await server.stop();
  });
});
