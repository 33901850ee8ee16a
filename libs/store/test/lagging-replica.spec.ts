import { buckets, Run, RunState, streams } from '@atelier/contracts';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import type { NatsConnection } from 'nats';

const MiB = 1024 ** 2;
const DIRECT = '$JS.API.DIRECT.GET.';

/** Each direct get is answered as by a replica that has heard of nothing yet: with nats-server's own 404. */
function lagBehind(nc: NatsConnection): jest.SpyInstance {
  const { request } = nc;
  return jest.spyOn(nc, 'request').mockImplementation((subject, payload, options) => {
    if (!subject.startsWith(DIRECT)) return request.call(nc, subject, payload, options);
    return request.call(nc, `${DIRECT}${streams.TENSORS}.nobody.knows`, undefined, options);
  });
}

describe('a replica that has not heard yet of what is there', () => {
  let test_: TestMesh;
  let asked: jest.SpyInstance;
  beforeAll(async () => (test_ = await startTestMesh()));
  beforeEach(() => (asked = lagBehind(test_.mesh.nc)));
  afterEach(() => asked.mockRestore());
  afterAll(() => test_.stop());

  const directly = (): number => asked.mock.calls.filter(([subject]) => String(subject).startsWith(DIRECT)).length;

  test('a tensor set, be it as large as they come, is asked of the leader; one that is not there is null', async () => {
    const tensors = new TensorStore(test_.mesh);
    const bytes = Buffer.alloc(8 * MiB - 1024, 'latents');
    await tensors.put('latents', 'k', bytes);
    expect(Buffer.compare((await tensors.get('latents', 'k'))!, bytes)).toBe(0);
    expect(await tensors.get('latents', 'none')).toBeNull();
    expect(directly()).toBe(2);
  });

  test('so is a state, which is changed and taken as ever', async () => {
    const runs = new StateStore(test_.mesh, buckets.state.runs, Run);
    await runs.create('r', Run.create({ id: 'r' }));
    expect((await runs.get('r'))?.value.id).toBe('r');
    expect((await runs.list()).map(({ id }) => id)).toEqual(['r']);
    await runs.update('r', (run) => Run.create({ ...run, state: RunState.RUN_STATE_TRAINING }));
    expect(await runs.take('r', () => undefined)).toMatchObject({ state: RunState.RUN_STATE_TRAINING });
    expect([await runs.get('r'), await runs.get('none')]).toEqual([null, null]);
    expect(directly()).toBeGreaterThan(0);
  });

  test('so is an object', async () => {
    const blobs = new BlobStore(test_.mesh);
    await blobs.put('samples', 'a.png', Buffer.alloc(MiB, 'a'));
    expect(await blobs.get('samples', 'a.png')).toHaveLength(MiB);
    expect(directly()).toBeGreaterThan(0);
  });
});
