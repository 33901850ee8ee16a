// The machine may have a card or not.
import { totalmem } from 'node:os';
import { Engine } from '@atelier/engine';
import { computeMemory } from '@atelier/models';

test("the memory that is shared out: the card's that is named or comes first, else the machine's", () => {
  const machine = { name: 'cpu', bytes: totalmem(), card: false };
  expect(computeMemory('cpu')).toEqual(machine);
  expect(computeMemory('cuda:1000')).toEqual(machine);
  const first = Engine.cards()[0];
  for (const device of ['auto', 'cuda', 'cuda:0']) {
    const { bytes, ...memory } = computeMemory(device);
    expect(memory).toEqual(first ? { name: 'cuda:0', card: true } : { name: 'cpu', card: false });
    expect(bytes).toBeLessThanOrEqual(first?.bytes ?? machine.bytes);
    expect(bytes).toBeGreaterThan(first ? first.bytes / 2 : machine.bytes - 1);
  }
});
