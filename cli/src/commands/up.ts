import type { Command } from 'commander';
import { handle, type Context } from '../context';
import { EXIT, type ExitCode } from '../exit-codes';
import { LocalMesh } from '../local/local-mesh';
import { port } from '../parse';

interface Flags {
  port?: number;
  verbose?: boolean;
}

export function upCommand(program: Command): void {
  program
    .command('up')
    .summary('start everything on this machine, until Ctrl-C')
    .description(
      'Starts nats-server (unless --nats or ATELIER_NATS_URL names one) and all services, and starts again what dies.\nCtrl-C ends everything in order; a second one ends it at once. Logs are in the data folder, logs/<service>.log.',
    )
    .option('--port <n>', 'port of the gateway and studio page; 0: any free one', port)
    .option('--verbose', 'show all that the services log, not only warnings')
    .addHelpText(
      'after',
      `
Examples:
  atelier up
  atelier up --model models/FLUX.1-dev --data /var/lib/atelier
  atelier up --port 0 --json`,
    )
    .action(handle<Flags>(up));
}

async function up({ settings, out, interrupt }: Context, flags: Flags): Promise<ExitCode> {
  interrupt.ownProcesses();
  const mesh = await LocalMesh.start({
    settings: { ...settings, httpPort: flags.port ?? settings.httpPort },
    say: (text) => out.note(text),
    onLog: ({ service, text, important }) => (important || flags.verbose) && out.note(`${service.padEnd(9)} | ${text}`),
    signal: interrupt.signal,
  });
  interrupt.beforeKill(() => mesh.kill());
  out.line(`Atelier is up: ${mesh.gatewayUrl} (studio), ${mesh.natsUrl} (mesh). Ctrl-C ends it.`);
  const { gatewayUrl: gateway, natsUrl: nats, pids: services, computing } = mesh;
  const nats_seed_file = mesh.access('cli').credentials.seedFile;
  out.object({ type: 'up', gateway, nats, nats_seed_file, pid: process.pid, services, computing });
  await interrupt.arrival();
  out.note('ending; Ctrl-C once more ends it at once');
  await mesh.stop();
  out.note('everything is stopped');
  return EXIT.ok;
}
