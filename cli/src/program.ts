import { Command } from 'commander';
import { adaptersCommand } from './commands/adapters';
import { datasetsCommand } from './commands/datasets';
import { doctorCommand } from './commands/doctor';
import { drawingsCommand } from './commands/drawings';
import { eventsCommand } from './commands/events';
import { finetuneCommand } from './commands/finetune';
import { generateCommand } from './commands/generate';
import { modelCommand } from './commands/model';
import { natsUsersCommand, provisionCommand } from './commands/nats';
import { planCommand } from './commands/plan';
import { rmCommand } from './commands/rm';
import { runsCommand } from './commands/runs';
import { gcCommand, storeCommand } from './commands/store';
import { tokenCommand } from './commands/token';
import { upCommand } from './commands/up';
import { webhooksCommand } from './commands/webhooks';
import { EXIT_HELP } from './exit-codes';
import { SETTINGS_HELP } from './settings';

/** The whole command line. Commands made from it inherit how errors and help are written. */
export function createProgram(): Command {
  const program = new Command('atelier')
    .description('Fine-tunes FLUX.1 on your pictures and draws with the result.')
    .version('0.1.0')
    .option('--data <folder>', 'data folder (ATELIER_DATA)')
    .option('--model <folder>', 'checkpoint folder (ATELIER_MODEL)')
    .option('--nats <url>', 'a mesh that runs elsewhere (ATELIER_NATS_URL)')
    .option('--json', 'answer in JSON, one object a line')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, helpWidth: process.stdout.columns || 120 })
    .configureOutput({ outputError: (text, write) => write(`${usageError(text)}\n`) })
    .addHelpText(
      'after',
      `
Examples:
  atelier up
  atelier finetune examples/art-nouveau --size 512x768 --steps 700
  atelier generate "a lighthouse, art nouveau style" --adapter art-nouveau -o lighthouse.png
${EXIT_HELP}
${SETTINGS_HELP}`,
    );
  for (const add of [
    upCommand,
    finetuneCommand,
    generateCommand,
    runsCommand,
    datasetsCommand,
    adaptersCommand,
    drawingsCommand,
    eventsCommand,
    webhooksCommand,
    rmCommand,
    storeCommand,
    gcCommand,
    tokenCommand,
    planCommand,
    modelCommand,
    doctorCommand,
    natsUsersCommand,
    provisionCommand,
  ])
    add(program);
  return program;
}

/** Commander's complaint as one line, as all other errors are. */
export function usageError(text: string): string {
  const line = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ');
  return `atelier: ${line}${/[.)]$/.test(line) ? '' : '.'} See --help`;
}
