import { parseArgs } from 'node:util';
import { chaos, faultsOf, type Round } from './chaos';

const USAGE = `npm run chaos -- [--rounds N] [--seed N]

Starts Atelier with a tiny model, and does its main job once undisturbed and then N times (default 20) under kills (SIGKILL),
stops (SIGTERM) and standstills (SIGSTOP) of random processes at random moments, nats-server and "atelier up" among them. Ends
with 1 where an adapter or a picture has other bytes, something acknowledged is lost, something is encoded twice, something stands
still for more than a minute once it is calm, or something is left over after a sweep. The seed repeats what a round disturbs and
when; what that meets is up to the machine.`;

const BOUNDS = { most: 4, within: 8, longestStill: 20 };

function line({ round, seconds, longestStill, encoded, keys, disturbances, faults }: Round): string {
  const figures = `${seconds.toFixed(1)} s, still ${longestStill.toFixed(1)} s, encoded ${encoded} of ${keys}`;
  return [`round ${round}: ${figures}: ${disturbances.join('; ')}`, ...faults.map((fault) => `  FAULT ${fault}`)].join(
    '\n',
  );
}

const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '20' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [rounds, seed] = [Number(values.rounds), Number(values.seed)];
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (!(Number.isInteger(rounds) && rounds > 0 && Number.isInteger(seed))) {
    console.error(`--rounds ${values.rounds} --seed ${values.seed}: whole numbers are wanted, at least one round`);
    return 2;
  }
  console.log(`${rounds} rounds, seed ${seed}`);
  const figures = await chaos({ rounds, seed, bounds: BOUNDS, onRound: (round) => console.log(line(round)) });
  const seconds = figures.rounds.map((round) => round.seconds);
  const still = figures.rounds.map((round) => round.longestStill);
  const count = figures.rounds.reduce((sum, round) => sum + round.disturbances.length, 0);
  const faults = faultsOf(figures);
  console.log(
    `${rounds} rounds with ${count} disturbances; undisturbed ${figures.undisturbed.toFixed(1)} s, disturbed ` +
      `${median(seconds).toFixed(1)} s (median; most ${Math.max(...seconds).toFixed(1)}); longest still ` +
      `${Math.max(...still).toFixed(1)} s; ${faults.length} faults`,
  );
  for (const fault of faults) console.log(`FAULT ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
