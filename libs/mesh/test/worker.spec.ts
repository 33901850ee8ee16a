import { IngestWork, streams, subjects, type Event } from '@atelier/contracts';
import { dieOver, startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import {
  consumerName,
  deadLetter,
  done,
  publishWork,
  retryLater,
  runWorker,
  subscribeEvents,
  type GivenUpContext,
  type WorkContext,
} from '@atelier/mesh';
import { nanos } from 'nats';

describe('work', () => {
  let test: TestMesh;
  let stop: AbortController;
  let workers: Promise<void>[];

  beforeEach(async () => {
    test = await startTestMesh();
    stop = new AbortController();
    workers = [];
  });
  afterEach(async () => {
    stop.abort();
    await Promise.all(workers);
    await test.stop();
  });

  const work = (id: string, msgId = id) =>
    publishWork(test.mesh, subjects.work.ingest, IngestWork, { datasetId: id }, { msgId });
  const worker = (
    handler: (id: string, context: WorkContext) => ReturnType<Parameters<typeof runWorker>[2]>,
    concurrency = 1,
  ) =>
    void workers.push(
      runWorker(
        test.mesh,
        { subject: subjects.work.ingest, type: IngestWork, concurrency, signal: stop.signal },
        (message, context) => handler(message.datasetId, context),
      ),
    );
  const left = async () => (await test.mesh.jsm.streams.info(streams.WORK)).state.messages;

  it('comes in order, leaves the queue when done, and twice the same message is one', async () => {
    const seen: string[] = [];
    worker(async (id) => {
      seen.push(id);
      return done;
    });
    await work('a');
    await work('b');
    await work('a');
    await waitFor('an empty queue', async () => seen.length >= 2 && (await left()) === 0);
    expect(seen).toEqual(['a', 'b']);
  });

  it('comes again after retryLater and after an error that is thrown, counting attempts', async () => {
    const attempts: number[] = [];
    worker(async (_, context) => {
      attempts.push(context.attempt);
      if (attempts.length === 1) return retryLater(10, 'not yet');
      if (attempts.length === 2) throw new Error('broken for once');
      return done;
    });
    await work('again');
    await waitFor('three attempts', async () => attempts.length === 3 && (await left()) === 0);
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('that comes again is handled with nothing taken beside it, new ones as many at once as allowed', async () => {
    await work('again');
    await dieOver(test.mesh, subjects.work.ingest, 1);
    for (const id of ['a', 'b', 'c']) await work(id);
    const inHand = new Set<string>();
    const beside: Record<string, string[]> = {};
    worker(async (id) => {
      beside[id] = [...inHand];
      inHand.add(id);
      if (id === 'again') await new Promise((resolve) => setTimeout(resolve, 300));
      else await waitFor('three at once', async () => beside.c !== undefined);
      inHand.delete(id);
      return done;
    }, 3);
    await waitFor('an empty queue', async () => (await left()) === 0);
    expect(beside).toEqual({ again: [], a: [], b: ['a'], c: ['a', 'b'] });
  });

  it('that is no message of its kind goes to DEAD at once, and the next is served', async () => {
    await test.mesh.js.publish(subjects.work.ingest, Buffer.from([0x0a, 0xff]));
    const seen: string[] = [];
    worker(async (id) => (seen.push(id), done));
    await work('good');
    await waitFor('an empty queue', async () => (await left()) === 0);
    expect(seen).toEqual(['good']);
    const letter = await test.mesh.jsm.streams.getMessage(streams.DEAD, {
      last_by_subj: subjects.dead(subjects.work.ingest),
    });
    expect(letter.header.get('atelier-reason')).toMatch(/^it is no message of work\.ingest: index out of range/);
  });

  it('that is poison goes to DEAD with its reason and an event, and the next is served', async () => {
    const events: Event[] = [];
    const listening = (async () => {
      for await (const { event } of subscribeEvents(test.mesh, 'events.dead.>', { signal: stop.signal }))
        events.push(event);
    })();
    const seen: string[] = [];
    worker(async (id) => {
      seen.push(id);
      return id === 'poison' ? deadLetter('no picture in it', 'cat.jpg') : done;
    });
    await work('poison');
    await work('good');
    await waitFor('both', async () => seen.includes('good') && (await left()) === 0);
    const letter = (await waitFor('the event', () => events[0])).deadLetter;
    expect(letter).toMatchObject({
      subject: 'work.ingest',
      reason: 'no picture in it',
      name: 'cat.jpg',
      deliveries: 1,
    });
    expect((await test.mesh.jsm.streams.info(streams.DEAD)).state.messages).toBe(1);
    stop.abort();
    await listening;
  });

  it('that always throws is given up after its tries, not lost and not tried for ever', async () => {
    let tries = 0;
    worker(async () => {
      tries++;
      throw new Error('always');
    });
    await work('hopeless');
    await waitFor(
      'the dead letter',
      async () => (await test.mesh.jsm.streams.info(streams.DEAD)).state.messages === 1,
      40_000,
    );
    await waitFor('the queue to be empty', async () => (await left()) === 0); // it leaves the queue only after the dead letter is kept
    expect(tries).toBe(5);
  });

  it('that kills its service at every try is given up by the next one, which can say so before the dead letter', async () => {
    await work('deadly');
    await dieOver(test.mesh, subjects.work.ingest);
    const told: string[] = [];
    const options = { subject: subjects.work.ingest, type: IngestWork, signal: stop.signal };
    const giveUp = async (message: IngestWork, { reason }: GivenUpContext): Promise<void> =>
      void told.push(message.datasetId, reason);
    let handled = 0;
    workers.push(runWorker(test.mesh, { ...options, giveUp }, async () => (handled++, done)));
    await waitFor('the dead letter', async () => (await test.mesh.jsm.streams.info(streams.DEAD)).state.messages === 1);
    expect(told).toEqual(['deadly', 'the service died while handling it, 5 times in a row without getting further']);
    expect(handled).toBe(0);
    await waitFor('an empty queue', async () => (await left()) === 0);
  });

  it('that waits for a hand is not taken ahead: its lease does not run out, and it is delivered once', async () => {
    await test.mesh.jsm.consumers.update(streams.WORK, consumerName(subjects.work.ingest), { ack_wait: nanos(500) });
    let handled = 0;
    worker(async (_, context) => {
      handled++;
      const beat = setInterval(() => context.working(), 100);
      await new Promise((resolve) => setTimeout(resolve, 400)).finally(() => clearInterval(beat));
      return done;
    });
    for (const id of ['a', 'b', 'c', 'd', 'e']) await work(id);
    await waitFor('an empty queue', async () => (await left()) === 0);
    expect(handled).toBe(5);
  });

  it('runs as many at once as it was told, and no more', async () => {
    let now = 0;
    let most = 0;
    worker(async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 150));
      now--;
      return done;
    }, 3);
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await work(id);
    await waitFor('an empty queue', async () => (await left()) === 0);
    expect(most).toBe(3);
  });

  it('that a stopped worker holds is finished before it stops', async () => {
    let finished = false;
    worker(async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      finished = true;
      return done;
    });
    await work('slow');
    await waitFor('the handler', () => new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 100)));
    stop.abort();
    await Promise.all(workers);
    expect(finished).toBe(true);
    expect(await left()).toBe(0);
  });

  it('survives nats-server being killed and started again', async () => {
    const seen: string[] = [];
    worker(async (id) => {
      seen.push(id);
      return done;
    });
    await work('before');
    await waitFor('the first', () => seen.includes('before'));
    await test.restartNats();
    await waitFor('the mesh', () =>
      test.mesh.nc.rtt().then(
        () => true,
        () => false,
      ),
    );
    await waitFor('publishing', () =>
      work('after').then(
        () => true,
        () => false,
      ),
    );
    await waitFor('the second', () => seen.includes('after'), 40_000);
  });
});
