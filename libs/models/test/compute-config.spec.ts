import { join } from 'node:path';
import { dataFolder } from '@atelier/contracts';
import { loadConfig } from '@atelier/mesh';
import { ComputeConfig, computeMemory, computeSettings, computing } from '@atelier/models';

const config = (env: Record<string, string>): ComputeConfig =>
  new ComputeConfig(loadConfig(computeSettings, { ATELIER_MODEL: 'models/nano', ...env }));

test('without settings: the checkpoint, what computes by itself, and its whole memory, which encoders lease on a card alone', () => {
  const { name, bytes, card, baseBytes } = computeMemory('auto');
  expect(config({})).toEqual({
    model: 'models/nano',
    cacheDir: join(dataFolder(), 'quantised'),
    cardsDir: join(dataFolder(), 'cards'),
    compute: 'auto',
    computing: computing('auto'),
    threads: 0,
    card,
    device: name,
    deviceBytes: bytes,
    baseBytes,
    deviceShared: card,
    idleMs: 60_000,
  });
});

test('what is said counts: the data folder, the CPU, and a memory that encoders lease from too', () => {
  const said = { ATELIER_DATA: '/data', ATELIER_COMPUTE: 'cpu', ATELIER_THREADS: '3', ATELIER_IDLE_SECONDS: '0' };
  const shared = { ATELIER_DEVICE: 'node-1/cpu', ATELIER_DEVICE_MIB: '1.5' };
  const onTheCpu = { cacheDir: join('/data', 'quantised'), compute: 'cpu', threads: 3, card: false, idleMs: 0 };
  expect(config(said)).toMatchObject({ ...onTheCpu, device: 'cpu', deviceShared: false });
  expect(config({ ...said, ...shared })).toMatchObject({
    ...onTheCpu,
    device: 'node-1/cpu',
    deviceBytes: 1.5 * 2 ** 20,
    deviceShared: true,
  });
});

test('a card that is asked for and cannot be had is refused as a service starts, not with its first work', () => {
  expect(() => config({ ATELIER_COMPUTE: 'cuda:999' })).toThrow(/ATELIER_COMPUTE is "cuda:999", which cannot be had/);
});

test('what cannot be is refused, all of it at once, each by the name of its variable', () => {
  expect(() =>
    config({
      ATELIER_MODEL: '',
      ATELIER_COMPUTE: 'gpu',
      ATELIER_THREADS: '-1',
      ATELIER_DEVICE_MIB: '0',
      ATELIER_IDLE_SECONDS: '86401',
    }),
  ).toThrow(
    /ATELIER_MODEL is not set: the folder[^]*ATELIER_COMPUTE is "gpu": expected cpu[^]*ATELIER_THREADS[^]*ATELIER_DEVICE_MIB is "0"[^]*ATELIER_IDLE_SECONDS is "86401"/,
  );
});
