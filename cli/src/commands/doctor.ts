import type { Command } from 'commander';
import { handle, type Context } from '../context';
import { checkAll } from '../doctor/checks';
import { EXIT, type ExitCode } from '../exit-codes';

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .summary('check what Atelier needs on this machine')
    .description(
      'Checks Node, nats-server, the native engine, the services, the checkpoint, disk, GPU and ports, and says what to do about each.\nExit code 1 when something that is needed is missing.',
    )
    .addHelpText(
      'after',
      `
Examples:
  atelier doctor
  atelier doctor --card
  atelier doctor --model models/FLUX.1-dev --json`,
    )
    .option('--card', "try each of the card's kernels beside the CPU's, also if that was done before")
    .action(handle<Flags>(doctor));
}

interface Flags {
  card?: boolean;
}

async function doctor({ settings, out }: Context, { card = false }: Flags): Promise<ExitCode> {
  let failed = 0;
  for await (const { name, state, text } of checkAll(settings, card)) {
    if (state === 'fail') failed += 1;
    out.object({ type: 'check', name, state, text });
    out.line(`${{ ok: 'ok  ', warn: 'note', fail: 'FAIL' }[state]}  ${name.padEnd(12)} ${text}`);
  }
  out.line(failed > 0 ? `${failed} ${failed > 1 ? 'things are' : 'thing is'} missing` : 'ready');
  return failed > 0 ? EXIT.failed : EXIT.ok;
}
