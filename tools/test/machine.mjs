// What of this machine a test's outcome may depend on, in one line: nx keys cached results by it.
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';

const nats = spawnSync(process.env.ATELIER_NATS_SERVER || 'nats-server', ['--version'], { encoding: 'utf8' });
console.log(
  [process.version, process.platform, process.arch, cpus()[0]?.model, nats.stdout?.trim() ?? 'no nats-server'].join(
    ' | ',
  ),
);
