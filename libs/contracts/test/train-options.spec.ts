import { TrainOptions } from '@atelier/contracts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Released {
  title: string;
  bytes: string;
  /** What it says; of all but the first only where it differs from that, which is the defaults. */
  means: Record<string, unknown>;
}

const file = join(__dirname, 'released', 'train-options-0.1.0.json');
const released = JSON.parse(readFileSync(file, 'utf8')) as [Released, ...Released[]];

describe('train options as 0.1.0 wrote them', () => {
  test.each(released.map((entry) => [entry.title, entry] as const))('%s', (_title, { bytes, means }) => {
    const message = TrainOptions.decode(Buffer.from(bytes, 'hex'));
    const read = TrainOptions.toObject(message, { defaults: true, arrays: true });
    expect(read).toEqual({ ...released[0].means, ...means });
  });
});
