import { acquireLease, leasesOf, waitersOf } from '@atelier/lease';
import { loadConfig } from '@atelier/mesh';
import { ComputeConfig, computeSettings, LeasedModels, leasePriorities, type Models } from '@atelier/models';
import { startTestMesh, tinyCheckpoint, waitFor, type TestMesh } from '@atelier/testing';

const CAPACITY = 2 ** 20;

let test: TestMesh;
let devices = 0;
let device: string;
let yields: number;
let held: LeasedModels[];

beforeAll(async () => {
  test = await startTestMesh();
});
afterAll(() => test.stop());
beforeEach(() => {
  device = `gpu-${++devices}`;
  yields = 0;
  held = [];
});
afterEach(async () => {
  await Promise.all(held.map((each) => each.onApplicationShutdown()));
});

function models(leases = true): LeasedModels {
  const env = {
    ATELIER_MODEL: tinyCheckpoint(),
    ATELIER_COMPUTE: 'cpu',
    ATELIER_THREADS: '1',
    ATELIER_DEVICE: device,
    ATELIER_DEVICE_MIB: `${CAPACITY / 2 ** 20}`,
    ATELIER_IDLE_SECONDS: '3600',
  };
  const tenant = { owner: 'a tenant', priority: leasePriorities.drawing, leases, onYield: () => (yields += 1) };
  const config = new ComputeConfig(loadConfig(computeSettings, env));
  const made = new LeasedModels(test.mesh, config, tenant);
  held.push(made);
  return made;
}

const bytesHeld = async (): Promise<number[]> => (await leasesOf(test.mesh, device)).map(({ bytes }) => bytes);
const vaeAnd = (bytes: number) => async (loaded: Models) => ({ vae: await loaded.vae(), bytes });

it('work runs with what it needs held; the models stay, and the lease with them', async () => {
  const tenant = models();
  const first = await tenant.use(vaeAnd(1000), async ({ vae, bytes }) => {
    expect(await bytesHeld()).toEqual([bytes]);
    return vae;
  });
  await tenant.use(vaeAnd(900), async ({ vae }) => expect(vae).toBe(first));
  expect(await bytesHeld()).toEqual([1000]);
  await tenant.onApplicationShutdown();
  expect(await bytesHeld()).toEqual([]);
});

it('who needs more lets models and lease go before it asks: nobody holds memory and waits for more', async () => {
  const tenant = models();
  const first = await tenant.use(vaeAnd(1000), async ({ vae }) => vae);
  const seen: number[][] = [];
  const need = async (loaded: Models) => {
    seen.push(await bytesHeld());
    return vaeAnd(2000)(loaded);
  };
  await tenant.use(need, async ({ vae }) => expect(vae).not.toBe(first));
  expect(seen).toEqual([[1000], []]);
  expect(await bytesHeld()).toEqual([2000]);
});

it('what the device could never hold is refused with the numbers', async () => {
  const work = jest.fn();
  await expect(models().use(vaeAnd(CAPACITY + 1), work)).rejects.toThrow(
    `a tenant needs ${CAPACITY + 1} bytes of ${device}, which has ${CAPACITY} in all`,
  );
  expect(work).not.toHaveBeenCalled();
});

it.each(['is done', 'fails'])('someone more urgent gets the memory when the work in hand %s', async (how) => {
  const tenant = models();
  let training: ReturnType<typeof acquireLease> | undefined;
  const ask = { device, capacity: CAPACITY, bytes: CAPACITY, owner: 'a run', priority: leasePriorities.training };
  const working = tenant.use(vaeAnd(1000), async ({ vae }) => {
    training = acquireLease(test.mesh, ask);
    await waitFor('a run that waits', async () => (await waitersOf(test.mesh, device)).length === 1);
    expect(vae.weightBytes).toBeGreaterThan(0);
    if (how === 'fails') throw new Error('damaged');
  });
  expect(await working.catch((error: Error) => error.message)).toBe(how === 'fails' ? 'damaged' : undefined);
  await (await training)!.release();
  expect(yields).toBe(1);
});

it('idle models go at once when someone more urgent asks', async () => {
  const tenant = models();
  await tenant.use(vaeAnd(1000), async () => undefined);
  const ask = { device, capacity: CAPACITY, bytes: CAPACITY, owner: 'a run', priority: leasePriorities.training };
  await (await acquireLease(test.mesh, ask)).release();
  expect(yields).toBe(1);
});

it('a tenant that does not lease stands in no ledger', async () => {
  await models(false).use(vaeAnd(CAPACITY + 1), async () => expect(await bytesHeld()).toEqual([]));
});
