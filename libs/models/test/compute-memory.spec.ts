import { totalmem } from 'node:os';
import { computeMemory } from '@atelier/models';

const MACHINE = { name: 'cpu', bytes: totalmem(), card: false, baseBytes: 0 };

test('the memory of a machine without a card, or without the one that is named, is its own', () => {
  expect(computeMemory('cpu')).toEqual(MACHINE);
  expect(computeMemory('cuda:1000')).toEqual(MACHINE);
  for (const device of ['auto', 'cuda', 'cuda:0']) expect(computeMemory(device, [])).toEqual(MACHINE);
});

test("a card's memory is shared out less what the drivers and the engines of three other services hold of it", () => {
  const card = (bytes: number, contextBytes: number) => ({ name: 'a card', bytes, contextBytes, workspaceBytes: 100 });
  const cards = [card(10_000, 400), card(20_000, 500), card(1000, 400)];
  const first = { name: 'cuda:0', bytes: 10_000 - 3 * 500, card: true, baseBytes: 500 };
  for (const device of ['auto', 'cuda', 'cuda:0', 'cuda,fp8']) expect(computeMemory(device, cards)).toEqual(first);
  expect(computeMemory('cuda:1,fp8', cards)).toEqual({ name: 'cuda:1', bytes: 18_200, card: true, baseBytes: 600 });
  expect(computeMemory('cuda:2', cards)).toMatchObject({ bytes: 1 });
});
