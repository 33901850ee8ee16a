import { parseArgs } from 'node:util';
import { Atelier } from '../../support/atelier';
import { Soak, type Reading } from './soak';

const USAGE = `npm run soak -- [--runs N --drawings N] [--samples N]

Starts Atelier with a tiny model and prints the memory and handles of every process, and the store, over N runs and drawings, or over
two runs on one data set of N small pictures; then deletes all of it, sweeps, and says what is left.`;

function line({ after, memory, handles, store, encoded }: Reading): string {
  const processes = Object.entries(memory).map(([name, mib]) => `${name} ${mib.toFixed(0)}`);
  return `${after}: MiB: ${processes.join(', ')}; handles ${handles}; store ${store.toFixed(1)} MiB; encoded ${encoded}`;
}

async function main(): Promise<number> {
  const whole = { type: 'string', default: '0' } as const;
  const { values } = parseArgs({
    options: {
      runs: whole,
      drawings: whole,
      samples: whole,
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [runs, drawings, samples] = [values.runs, values.drawings, values.samples].map(Number) as [
    number,
    number,
    number,
  ];
  const wrong = [runs, drawings, samples].some((count) => !Number.isInteger(count) || count < 0);
  if (values.help || wrong || runs + samples === 0) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const atelier = await Atelier.start();
  try {
    const soak = new Soak(atelier, (reading) => console.log(line(reading)));
    if (runs > 0) await soak.runsAndDrawings(runs, drawings);
    if (samples > 0) await soak.manySamples(samples);
    const left = await soak.end();
    for (const each of left) console.log(`LEFT ${each}`);
    return left.length === 0 ? 0 : 1;
  } finally {
    await atelier.stop();
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
