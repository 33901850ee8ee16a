import { sweepRules, upkeepSettings } from '@atelier/client';
import { toDate } from '@atelier/contracts';
import { describeStore, loadConfig } from '@atelier/mesh';
import type { Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { bytes, when } from '../output';

export function storeCommand(program: Command): void {
  program
    .command('store')
    .summary('what takes how much of the store')
    .description('What is in the store by kind, the largest first, and how much it still takes.')
    .addHelpText('after', '\nExamples:\n  atelier store\n  atelier store --json')
    .action(handle(store));
}

export function gcCommand(program: Command): void {
  program
    .command('gc')
    .summary('clear from the store what nothing names any more')
    .description(
      'Clears encodings that no data set names, prompts of drawings that are old, files of uploads that never ended, training states of ' +
        'ended runs. The gateway does so by itself now and then; it is safe beside everything else. How long what is kept: ' +
        'ATELIER_SWEEP_GRACE_HOURS, ATELIER_PROMPTS_KEPT_HOURS, ATELIER_PROMPTS_MIB, ATELIER_DRAWINGS_MIB, ATELIER_PREVIEWS_KEPT_DAYS.',
    )
    .option('--dry-run', 'take nothing away: say what would be')
    .addHelpText('after', '\nExamples:\n  atelier gc --dry-run\n  ATELIER_SWEEP_GRACE_HOURS=1 atelier gc')
    .action(handle<{ dryRun?: boolean }>(gc));
}

function store(context: Context): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const [state, kinds, last] = await Promise.all([client.store(), client.storeUsage(), client.lastSweep()]);
    for (const each of kinds) out.object({ type: 'kind', ...each });
    const { path, room, limit, reserve } = state;
    const known = (value: number): number | null => (Number.isFinite(value) ? value : null);
    out.object({ type: 'store', path, room_bytes: known(room), limit_bytes: known(limit), reserve_bytes: reserve });
    out.table(
      ['KIND', 'COUNT', 'SIZE'],
      kinds.filter(({ count }) => count > 0).map((each) => [each.kind, String(each.count), bytes(each.bytes)]),
      'The store is empty.',
    );
    out.line(`\n${bytes(kinds.reduce((sum, each) => sum + each.bytes, 0))} in all; ${describeStore(state)}`);
    const swept = toDate(last?.finishedAt);
    if (swept) out.line(`last swept ${when(swept)} (UTC)`);
  });
}

async function gc(context: Context, { dryRun = false }: { dryRun?: boolean }): Promise<void> {
  const { out } = context;
  const rules = sweepRules(loadConfig(upkeepSettings));
  await withClient(context, {}, async (client) => {
    const cleared = await client.sweep(rules, { dryRun });
    for (const each of cleared) out.object({ type: dryRun ? 'would_clear' : 'cleared', ...each });
    out.table(
      [dryRun ? 'WOULD BE CLEARED' : 'CLEARED', 'COUNT', 'SIZE'],
      cleared.map((each) => [each.kind, String(each.count), bytes(each.bytes)]),
      'There is nothing to clear.',
    );
  });
}
