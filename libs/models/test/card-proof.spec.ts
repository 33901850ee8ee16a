import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine, type KernelFinding } from '@atelier/engine';
import { cardRefusal, proofNote, proveCard } from '@atelier/models';

const agrees: KernelFinding = {
  family: 'optimizers',
  error: 1e-6,
  allowed: 1 / 128,
  instead: '',
  errorInstead: 0,
  agrees: true,
  usable: true,
};
const wrong: KernelFinding = {
  ...agrees,
  family: 'flash attention',
  error: Infinity,
  instead: 'plain attention',
  errorInstead: 2e-3,
  agrees: false,
};

let folder: string;
let identity: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atelier-proof-'));
  identity = 'a card, a driver, a build';
  jest.spyOn(Engine, 'cardIdentity').mockImplementation(() => identity);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** An opened card that finds these; card_check_test has what a real check finds on an emulated one. */
function card(findings: KernelFinding[], description = 'cuda: A card, 24 GB') {
  const checkKernels = jest.fn(() => Promise.resolve(findings));
  const avoidKernels = jest.fn();
  return { engine: { description, checkKernels, avoidKernels } as unknown as Engine, checkKernels, avoidKernels };
}
const prove = (engine: Engine, options = {}) => proveCard(engine, 'cuda', join(folder, 'cards'), options);

test('the CPU has nothing to prove', async () => {
  const { engine, checkKernels } = card([agrees], 'cpu avx2, 2 threads');
  expect(await prove(engine)).toBeUndefined();
  expect(checkKernels).not.toHaveBeenCalled();
});

test('a card is checked once; another driver or build is checked anew, and so is one that is asked for again', async () => {
  const { engine, checkKernels, avoidKernels } = card([agrees]);
  expect(await prove(engine)).toMatchObject({ fresh: true, identity, findings: [agrees] });
  expect(await prove(engine)).toMatchObject({ fresh: false, identity, findings: [agrees] });
  expect(avoidKernels).toHaveBeenLastCalledWith([]);
  expect(checkKernels).toHaveBeenCalledTimes(1);
  identity = 'a card, a newer driver, a build';
  expect(await prove(engine)).toMatchObject({ fresh: true });
  expect(await prove(engine, { again: true })).toMatchObject({ fresh: true });
  expect(checkKernels).toHaveBeenCalledTimes(3);
});

test('what disagreed and was replaced is avoided from then on, and told with its figures', async () => {
  const { engine, avoidKernels } = card([agrees, wrong]);
  const first = await prove(engine);
  const second = await prove(engine);
  expect(avoidKernels).toHaveBeenCalledWith(['flash attention']);
  expect(second!.findings).toEqual([agrees, wrong]);
  for (const proof of [first, second])
    expect(proofNote(proof!)).toBe(
      `this card does not compute all that the CPU does: flash attention is off by what is no number (0.78 % is allowed), plain attention takes its place. Please open an issue with ${proof!.file}, which has all figures`,
    );
});

test('a card that disagrees where nothing can take its place is refused, the next time without another check', async () => {
  const { engine, checkKernels } = card([{ ...agrees, error: 0.5, agrees: false, usable: false }]);
  const refusal = /optimizers is off by 50 % of the largest value \(0\.78 % is allowed\)\. Please open an issue with/;
  await expect(prove(engine)).rejects.toThrow(refusal);
  await expect(prove(engine)).rejects.toThrow(refusal);
  expect(checkKernels).toHaveBeenCalledTimes(1);
  expect(await cardRefusal('cuda', join(folder, 'cards'))).toMatch(refusal);
});

test('a check that is interrupted leaves nothing behind; what is cut off or of something else is checked again', async () => {
  const { engine, checkKernels } = card([agrees]);
  checkKernels.mockRejectedValueOnce(new Error('cancelled by the caller'));
  await expect(prove(engine)).rejects.toThrow('cancelled');
  expect(readdirSync(folder)).toEqual([]);
  const { file } = (await prove(engine))!;
  expect(readdirSync(join(folder, 'cards'))).toEqual([file.split('/').pop()]);
  const whole = readFileSync(file, 'utf8');
  for (const text of [whole.slice(0, 40), whole.replace('a driver', 'no driver'), '{}']) {
    writeFileSync(file, text);
    expect(await prove(engine)).toMatchObject({ fresh: true });
  }
});
