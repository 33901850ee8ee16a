import { leasePriorities } from '@atelier/models';

test('training is served first, then what training waits for, then drawing', () => {
  const { training, encoding, drawing } = leasePriorities;
  expect(Math.sign(training - encoding)).toBe(1);
  expect(Math.sign(encoding - drawing)).toBe(1);
});
