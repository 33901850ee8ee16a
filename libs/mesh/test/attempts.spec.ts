import { AttemptCount, IngestWork, streams, subjects } from '@atelier/contracts';
import {
  Attempts,
  consumerName,
  done,
  publishWork,
  retryLater,
  runWorker,
  type WorkContext,
  type HandleWork,
} from '@atelier/mesh';
import { dieOver, startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import { ErrorCode, NatsError, type JsMsg } from 'nats';

const MOST = 5;
let test: TestMesh;
let workers: { stop: AbortController; over: Promise<void> }[];

beforeEach(async () => {
  test = await startTestMesh();
  workers = [];
});
afterEach(async () => {
  await Promise.all(workers.map(stopped));
  await test.stop();
});

const subject = subjects.work.ingest;
const work = (id: string): Promise<unknown> =>
  publishWork(test.mesh, subject, IngestWork, { datasetId: id }, { msgId: id });
const left = async (): Promise<number> => (await test.mesh.jsm.streams.info(streams.WORK)).state.messages;
const notes = async (): Promise<number> => (await test.mesh.jsm.streams.info('KV_attempts')).state.last_seq;
/** Attempts that are noted of the first message. */
const noted = async (): Promise<number | undefined> => {
  const entry = await (await test.mesh.js.views.kv('attempts')).get(`${consumerName(subject)}.1`);
  return entry ? AttemptCount.decode(entry.value).attempts : undefined;
};
const stopped = ({ stop, over }: (typeof workers)[number]): Promise<void> => {
  stop.abort();
  return over;
};

function worker(handler: HandleWork<IngestWork>): (typeof workers)[number] {
  const stop = new AbortController();
  const started = { stop, over: runWorker(test.mesh, { subject, type: IngestWork, signal: stop.signal }, handler) };
  workers.push(started);
  return started;
}

/** What it is handed the work as, while nothing comes of it. */
async function takenAs(
  handler: (context: WorkContext) => ReturnType<HandleWork<IngestWork>>,
): Promise<[number, (typeof workers)[number]]> {
  let attempt = 0;
  const started = worker(async (_message, context) => {
    attempt = context.attempt;
    return handler(context);
  });
  await waitFor('the work', () => attempt > 0);
  return [attempt, started];
}

const raised = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve()));

describe('attempts at work', () => {
  it('that ends at its first delivery leave no trace', async () => {
    worker(async () => done);
    for (const id of ['a', 'b', 'c']) await work(id);
    await waitFor('an empty queue', async () => (await left()) === 0);
    expect(await notes()).toBe(0);
  });

  it.each<[string, () => ReturnType<HandleWork<IngestWork>>]>([
    ['putting it down', async () => retryLater(0, 'the service stops')],
    ['an error', () => Promise.reject(new Error('what it worked with is gone'))],
  ])('of services that were stopped do not count, though their answer was %s', async (_what, answer) => {
    await work('a');
    for (let stops = 0; stops < 3 * MOST; stops++) {
      const [attempt, started] = await takenAs(({ signal }) => raised(signal).then(answer));
      expect(attempt).toBe(1);
      await stopped(started);
    }
    const [attempt] = await takenAs(async () => done);
    expect(attempt).toBe(1);
    await waitFor('an empty queue', async () => (await left()) === 0);
    expect((await test.mesh.jsm.streams.info(streams.DEAD)).state.messages).toBe(0);
  });

  it('of services that were stopped do not hide those that came to nothing', async () => {
    await work('a');
    await dieOver(test.mesh, subject, MOST - 1);
    const [attempt, started] = await takenAs(({ signal }) =>
      raised(signal).then(() => retryLater(0, 'the service stops')),
    );
    expect(attempt).toBe(MOST);
    await stopped(started);
    const [next] = await takenAs(() => Promise.reject(new Error('it is broken')));
    expect(next).toBe(MOST);
    await waitFor('the dead letter', async () => (await left()) === 0);
    const letter = await test.mesh.jsm.streams.getMessage(streams.DEAD, { last_by_subj: subjects.dead(subject) });
    expect(letter.header.get('atelier-reason')).toBe('given up after 5 attempts: it is broken');
  });

  it('that fail because the mesh is away do not count', async () => {
    await work('a');
    await dieOver(test.mesh, subject, MOST - 1);
    const attempts: number[] = [];
    worker(async (_message, context) => {
      attempts.push(context.attempt);
      if (attempts.length === 1)
        throw new Error('could not be stored', { cause: NatsError.errorForCode(ErrorCode.NoResponders) });
      return done;
    });
    await waitFor('an empty queue', async () => (await left()) === 0);
    expect(attempts).toEqual([MOST, MOST]);
  });

  it('that fail for want of an answer, with the mesh at hand throughout, count', async () => {
    await work('a');
    await dieOver(test.mesh, subject, MOST - 1);
    worker(() => Promise.reject(NatsError.errorForCode(ErrorCode.Timeout)));
    await waitFor('the dead letter', async () => (await left()) === 0);
    expect((await test.mesh.jsm.streams.info(streams.DEAD)).state.messages).toBe(1);
  });

  it('through which nats-server was restarted do not count, whatever becomes of their service', async () => {
    await work('a');
    await dieOver(test.mesh, subject, 2);
    let end: () => void = () => undefined;
    const [attempt] = await takenAs(() => new Promise<void>((resolve) => (end = resolve)).then(() => done));
    expect([attempt, await noted()]).toEqual([3, 3]);
    await restarted();
    await waitFor('the note', async () => (await noted()) === 2);
    end();
    await waitFor('an empty queue', async () => (await left()) === 0);
  });

  it('that end while nats-server is away are over: the work leaves the queue when it is back, and is not done twice', async () => {
    let handled = 0;
    let back: Promise<void> | undefined;
    worker(async () => {
      handled++;
      const { interruptions } = test.mesh;
      back = restarted();
      await waitFor('the end of the connection', () => test.mesh.interruptions > interruptions);
      return done;
    });
    await work('a');
    await waitFor('the work', () => handled > 0);
    await back;
    await waitFor('an empty queue', async () => (await left()) === 0);
    expect(handled).toBe(1);
  });

  it('of messages that come after the signal are none', async () => {
    const idle = worker(async () => done);
    await waitFor(
      'the request for work',
      async () => (await test.mesh.jsm.consumers.info(streams.WORK, consumerName(subject))).num_waiting === 1,
    );
    await stopped(idle);
    await work('late');
    await waitFor('it to be put back', async () => (await notes()) === 1);
    const [attempt] = await takenAs(async () => done);
    expect(attempt).toBe(1);
    await waitFor('an empty queue', async () => (await left()) === 0);
  });

  it('of two that have the same message count one by one, whoever speaks first', async () => {
    await work('a');
    const first = await nextOf(await redelivered()); // it lives, though it was not heard of
    const second = await nextOf(await redelivered());
    expect([first.number, second.number]).toEqual([1, 2]);
    await first.excuse();
    expect((await nextOf(await redelivered())).number).toBe(2);
    await second.progress();
    expect((await nextOf(await redelivered())).number).toBe(1);
  });

  /** Asked before the client is back, a question waits for an answer that never comes. */
  async function restarted(): Promise<void> {
    await test.restartNats();
    await waitFor('the mesh', () =>
      test.mesh.nc.rtt().then(
        () => true,
        () => false,
      ),
    );
  }

  /** The next message, back in the queue at once. */
  async function redelivered(): Promise<JsMsg> {
    const consumer = await test.mesh.js.consumers.get(streams.WORK, consumerName(subject));
    const message = (await consumer.next({ expires: 5000 }))!;
    message.nak();
    return message;
  }
  const nextOf = (message: JsMsg): ReturnType<Attempts['begin']> => new Attempts(test.mesh, MOST).begin(message);
});
