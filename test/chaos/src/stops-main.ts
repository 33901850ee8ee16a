import { clusterStops, type NodeCost } from './cluster-stops';
import { Stops, type Cost } from './stops';

const USAGE = `npm run stops [-- --cluster]

Stops a trainer and an inference in the middle of their work in every way a cluster does, and nats-server beside them, and prints what
was lost and how many seconds it took until the work went on. With --cluster: kills and
stops each of three nats-servers in turn while a run trains and drawings are made, and ends with 1 where one of them has other
bytes, or stood still for more than ten seconds.`;

/** What a node's death may cost. */
const LONGEST_STILL_S = 10;

function nodeRow({ what, trainingStill, slowestDrawing, drawings, refused, same }: NodeCost): string {
  const seconds = `${trainingStill.toFixed(1)} | ${slowestDrawing.toFixed(1)}`;
  return `| ${what} | ${seconds} | ${drawings} | ${refused} | ${same ? 'same' : 'OTHER'} |`;
}

async function cluster(): Promise<number> {
  console.log(
    '| node | training still, s | slowest drawing, s | drawings | refused | bytes |\n|---|---|---|---|---|---|',
  );
  const costs = await clusterStops((cost) => console.log(nodeRow(cost)));
  const held = costs.every(
    ({ trainingStill, slowestDrawing, refused, same }) =>
      same && refused === 0 && Math.max(trainingStill, slowestDrawing) <= LONGEST_STILL_S,
  );
  return held ? 0 : 1;
}

function row({ what, exit, lost, goesOnAfter, same }: Cost): string {
  const ended = exit ? `exit ${exit.code ?? 'killed'} in ${exit.seconds.toFixed(2)} s` : '';
  return `| ${what} | ${ended} | ${lost} | ${goesOnAfter.toFixed(1)} | ${same ? 'same' : 'OTHER'} |`;
}

async function main(): Promise<number> {
  if (process.argv.length === 3 && process.argv[2] === '--cluster') return cluster();
  if (process.argv.length > 2) {
    console.log(USAGE);
    return process.argv.some((word) => word === '--help' || word === '-h') ? 0 : 2;
  }
  const stops = await Stops.start();
  const costs: Cost[] = [];
  const tell = (cost: Cost): void => {
    costs.push(cost);
    console.log(row(cost));
  };
  try {
    console.log('| disturbance | exit | steps taken again | goes on after, s | bytes |\n|---|---|---|---|---|');
    for (const kind of ['trainer', 'inference'] as const) {
      tell(await stops.ended(kind, 'SIGTERM'));
      tell(await stops.ended(kind, 'SIGKILL'));
      tell(await stops.frozen(kind, 30));
      tell(await stops.natsKilled(kind));
      tell(await stops.natsFrozen(kind, 15));
      tell(await stops.endedWhileNatsIsAway(kind));
    }
    const { seconds, ...thirty } = await stops.thirtyTimes();
    tell(thirty);
    console.log(`thirty stops and starts took ${seconds.toFixed(0)} s; the exit is the slowest of them`);
    return costs.every(({ same }) => same) ? 0 : 1;
  } finally {
    await stops.stop();
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
