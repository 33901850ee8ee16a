import { mkdtempSync, rmSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from '@atelier/engine';
import { createLogger, createRegistry, ServiceStatus } from '@atelier/mesh';
import { computing, ComputingStatus, type ComputeConfig } from '@atelier/models';

const REFUSAL = 'CUDA: no NVIDIA driver was found: install one for CUDA 13.0 or newer';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'atelier-computing-'))));
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(root, { recursive: true });
});

/** The engine's answer, of machines that this one is not; emulated_card_test has what it really says of each. */
const engineSays = (card: number, refusal: string): void => {
  const description = card < 0 ? 'cpu' : 'cuda: Some card, 24 GB';
  const outlook = { build: 'CUDA 13.0 for 8.9', card, description, bytes: card < 0 ? 0 : 24e9, refusal };
  jest.spyOn(Engine, 'outlook').mockReturnValue(outlook);
  jest.spyOn(Engine, 'cards').mockReturnValue([]);
};
const withCard = (): void => {
  mkdirSync(join(root, 'dev'));
  writeFileSync(join(root, 'dev', 'nvidia0'), '');
};

test('auto on a card, and on the CPU of a machine without one: nothing to know', () => {
  engineSays(0, '');
  const onCard = { device: 'cuda: Some card, 24 GB', cardBytes: 24e9, engine: 'CUDA 13.0 for 8.9', note: '' };
  expect(computing('auto', root)).toEqual(onCard);
  engineSays(-1, REFUSAL);
  expect(computing('auto', root)).toEqual({ device: 'cpu', cardBytes: 0, engine: 'CUDA 13.0 for 8.9', note: '' });
});

test('auto on the CPU beside a card says so, with the reason, the remedy, and how to say that it is meant', () => {
  engineSays(-1, REFUSAL);
  withCard();
  expect(computing('auto', root).note).toBe(
    `the CPU computes although an NVIDIA card is there: ${REFUSAL}. ATELIER_COMPUTE=cpu says that this is meant`,
  );
  expect(computing('cpu', root).note).toBe('');
});

test('a card that is named and cannot be had is refused, card or no card', () => {
  engineSays(-1, REFUSAL);
  for (const compute of ['cuda', 'cuda:1', 'cuda,fp8'])
    expect(() => computing(compute, root)).toThrow(
      `ATELIER_COMPUTE is "${compute}", which cannot be had here: ${REFUSAL}. Or set it to auto or cpu, to compute on the CPU`,
    );
});

test('this machine, whatever it has: its own engine answers, and the CPU can be had', () => {
  expect(computing('cpu')).toMatchObject({ device: 'cpu', cardBytes: 0, note: '' });
  expect(computing('cpu').engine).toMatch(/^(no CUDA|CUDA \d+\.\d+ for \d)/);
});

test('a status tells it from the start, and anew when a device is open: memory may have been short', async () => {
  const expected = { device: 'cuda: Some card, 24 GB', cardBytes: 24e9, engine: 'CUDA 13.0 for 8.9', note: '' };
  const status = new ServiceStatus();
  const { useFactory } = ComputingStatus.of({ computing: expected, device: 'cuda:0', deviceBytes: 20e9 } as ComputeConfig);
  const registry = createRegistry('a service');
  const told = useFactory(status, createLogger('a service', 'silent'), registry);
  expect(status.computing).toEqual(expected);
  told.opened('cpu avx2, 2 threads; not on a card: 1 bytes cannot be reserved on CUDA device 0');
  expect(status.computing).toMatchObject({
    device: 'cpu avx2, 2 threads',
    cardBytes: 0,
    note: expect.stringMatching(/although Some card, 24 GB is there: 1 bytes cannot be reserved/),
  });
  told.opened('cuda: Some card, 24 GB');
  expect(status.computing).toEqual(expected);
  const metrics = await registry.metrics();
  expect(metrics).toContain('atelier_device_memory_bytes{device="cuda_0",service="a service"} 20000000000');
  expect(metrics).toMatch(/^atelier_build_info\{version="[\d.]+",engine="CUDA 13\.0 for 8\.9",node="v\d+.*"\} 1$/m);
});
