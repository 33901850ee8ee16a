// `npm run parity`: the engine against the numbers of diffusers, transformers, peft and bitsandbytes. Prints a line a golden and exits
// with 1 unless all agree. Arguments name the subjects to run; ATELIER_FIXTURES the folder, by default the repository's.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from '@atelier/engine';
import { adapters } from './adapters';
import { Fixtures } from './fixtures';
import { gradients } from './gradients';
import { inference } from './inference';
import { linear } from './linear';
import { nf4 } from './nf4';
import { optimizers } from './optimizers';
import { schedules } from './schedules';
import { Subject } from './subject';
import { Table } from './table';
import { useTestingAddon } from './testing-addon';
import { text } from './text';
import { tokens } from './tokens';
import { training } from './training';
import { transformer } from './transformer';
import { vae } from './vae';

const SUBJECTS = {
  tokens,
  text,
  vae,
  nf4,
  linear,
  optimizers,
  schedules,
  transformer,
  gradients,
  training,
  adapters,
  inference,
};
const REPOSITORY = join(__dirname, '..', '..', '..');

async function main(chosen: string[]): Promise<boolean> {
  const unknown = chosen.filter((name) => !(name in SUBJECTS));
  if (unknown.length)
    throw new Error(`no subject ${unknown.join(', ')}; there are ${Object.keys(SUBJECTS).join(', ')}`);
  const began = performance.now();
  const fixtures = await Fixtures.open(
    process.env.ATELIER_FIXTURES || join(REPOSITORY, 'native', 'test', 'goldens', 'tiny-dev'),
  );
  useTestingAddon();
  const engine = await Engine.open({ device: 'cpu' });
  const scratch = await mkdtemp(join(tmpdir(), 'atelier-parity-'));
  const table = new Table(console.log);
  console.log(`${fixtures.dir} on ${engine.description}`);
  try {
    const subject = new Subject(fixtures, engine, table, scratch);
    for (const [name, check] of Object.entries(SUBJECTS)) {
      if (chosen.length && !chosen.includes(name)) continue;
      table.heading(name);
      await check(subject).catch((error: Error) => table.fail(name, error.message)); // the others still say what they find
    }
    if (!chosen.length) {
      const unread = await fixtures.unread();
      console.log(
        unread.length
          ? `\n${unread.length} tensors were not looked at: ${unread.join(', ')}`
          : '\nevery tensor of the folder was looked at',
      );
    }
    return table.summary((performance.now() - began) / 1000);
  } finally {
    await engine.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

main(process.argv.slice(2)).then(
  (passed) => {
    process.exitCode = passed ? 0 : 1;
  },
  (error: Error) => {
    console.error(`parity: ${error.message}`);
    process.exitCode = 1;
  },
);
