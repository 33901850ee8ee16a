import { eventSubjects, LatentsWork, subjects } from '@atelier/contracts';
import { deadLetter, publishEvent, publishWork, runWorker } from '@atelier/mesh';
import { EncodeRefused, TensorArrivals, TensorStore } from '@atelier/store';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';

let test: TestMesh;
let arrivals: TensorArrivals;
beforeEach(async () => {
  test = await startTestMesh();
  arrivals = await TensorArrivals.fromNow(test.mesh);
});
afterEach(async () => {
  await arrivals.close();
  await test.stop();
});

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const failed = (key: string, reason: string) =>
  publishEvent(test.mesh, eventSubjects.encoder('latents', key, 'failed'), {
    encodeFailed: { key, kind: 'latents', reason },
  });

describe('tensors on their way', () => {
  it('that are there already are given at once', async () => {
    await new TensorStore(test.mesh).put('latents', 'k', bytes('here'));
    expect(Buffer.from((await arrivals.get('latents', 'k')) as Uint8Array).toString()).toBe('here');
  });

  it('reach everyone who waits for them, each their own', async () => {
    const tensors = new TensorStore(test.mesh);
    const waiting = ['a', 'b', 'a'].map((key) => arrivals.get('prompts', key));
    for (const key of ['b', 'a']) {
      await tensors.put('prompts', key, bytes(`of ${key}`));
      await publishEvent(test.mesh, eventSubjects.encoder('prompts', key, 'ready'), {
        encodeReady: { key, kind: 'prompts' },
      });
    }
    expect((await Promise.all(waiting)).map((each) => Buffer.from(each as Uint8Array).toString())).toEqual([
      'of a',
      'of b',
      'of a',
    ]);
  });

  it('that the encoder refused are told with its reason', async () => {
    const waiting = arrivals.get('latents', 'bad');
    await failed('bad', 'no picture in it');
    expect(await waiting).toEqual(new EncodeRefused('no picture in it'));
  });

  it('whose encoder died over them every time are told by the dead letter', async () => {
    const stop = new AbortController();
    const encoder = runWorker(
      test.mesh,
      { subject: subjects.work.latents, type: LatentsWork, signal: stop.signal },
      async () => deadLetter('the service died while handling it'),
    );
    const waiting = arrivals.get('latents', 'deadly');
    await publishWork(test.mesh, subjects.work.latents, LatentsWork, { key: 'deadly' }, { msgId: 'deadly' });
    expect(await waiting).toEqual(new EncodeRefused('the service died while handling it'));
    stop.abort();
    await encoder;
  });

  it('that were refused before anybody asked this time are still waited for', async () => {
    await failed('again', 'an earlier try');
    const later = await TensorArrivals.fromNow(test.mesh);
    const waiting = later.get('latents', 'again');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await new TensorStore(test.mesh).put('latents', 'again', bytes('this time'));
    await publishEvent(test.mesh, eventSubjects.encoder('latents', 'again', 'ready'), {
      encodeReady: { key: 'again', kind: 'latents' },
    });
    expect(await waiting).toBeInstanceOf(Uint8Array);
    await later.close();
  });

  it('are waited for through a restart of nats-server, and no longer than the signal says', async () => {
    const waiting = arrivals.get('latents', 'late');
    const stop = new AbortController();
    const given = arrivals.get('latents', 'never', stop.signal);
    await test.restartNats();
    await waitFor('the mesh', () =>
      test.mesh.nc.rtt().then(
        () => true,
        () => false,
      ),
    );
    await new TensorStore(test.mesh).put('latents', 'late', bytes('after the restart'));
    expect(await waiting).toBeInstanceOf(Uint8Array);
    stop.abort(new Error('given up'));
    await expect(given).rejects.toThrow('given up');
  });
});
