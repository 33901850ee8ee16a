import { DELETABLE, type Deletable } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import { Argument, type Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';

const KINDS: Record<Deletable, string> = {
  dataset: 'data set',
  run: 'run',
  adapter: 'adapter',
  drawing: 'drawing',
  picture: 'picture',
};

export function rmCommand(program: Command): void {
  program
    .command('rm')
    .summary('delete data sets, runs, adapters, drawings and pictures')
    .addArgument(new Argument('<kind>', 'what they are').choices(DELETABLE))
    .argument('<ids...>', 'ids; of data sets and runs also names that one alone has, of adapters their names')
    .description(
      'Deletes what is no longer needed. What is under way, or used by what is, stays, and it is said by whom. ' +
        "A run's adapter stays when the run is deleted. What was encoded of a data set is cleared by the next sweep.",
    )
    .option('-f, --force', 'it is no error where there is none')
    .addHelpText(
      'after',
      `
Examples:
  atelier rm dataset herons
  atelier rm run run-0k3v9x2m1abcdefgh run-0k3v9x2m1ijklmnop
  atelier rm adapter herons-2 --force
  atelier rm picture gen-0k3v9x2m1abcdefgh/0.png`,
    )
    .action(handle<{ force?: boolean }, [kind: string, ids: string[]]>(rm));
}

function rm(context: Context, { force }: { force?: boolean }, kind: string, ids: string[]): Promise<void> {
  const { out } = context;
  const what = kind as Deletable;
  return withClient(context, {}, async (client) => {
    const missing: string[] = [];
    for (const key of ids) {
      const gone = await client.delete(what, key);
      out.object({ type: 'deleted', kind, id: gone ?? key, deleted: gone !== undefined });
      if (gone === undefined) missing.push(key);
      else out.line(`${KINDS[what]} ${gone} is deleted`);
    }
    if (missing.length > 0 && !force)
      throw new AtelierError(
        'NOT_FOUND',
        `there is no ${KINDS[what]} ${missing.join(', ')}: it was deleted, or never was`,
      );
  });
}
