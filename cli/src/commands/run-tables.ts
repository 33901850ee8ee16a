import { adaptersOf, bestStep, picturesOf } from '@atelier/jobs';
import type { Run } from '@atelier/contracts';
import type { Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { bytes } from '../output';

/** What a run made and what it learnt, in tables. */
export function runTables(runs: Command): void {
  runs
    .command('adapters')
    .argument('<run>')
    .description(
      'the adapters that a run made, by step, with their held-out loss; each is downloaded and drawn with by its name',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  atelier runs adapters herons\n  atelier generate "a heron" --adapter herons@200 -o heron.png',
    )
    .action(handle(adapters));
  runs
    .command('pictures')
    .argument('<run>')
    .description(
      'how the pictures fare that a run is trained on: learning, learnt, stuck (its caption is probably wrong), memorised',
    )
    .addHelpText('after', '\nExamples:\n  atelier runs pictures herons')
    .action(handle(pictures));
}

function adapters(context: Context, _flags: object, key: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const [run, all] = await Promise.all([client.run(key), client.adapters()]);
    const made = adaptersOf(run, all);
    for (const adapter of made) out.object(adapter);
    const rows = made.map(({ name, step, held_out_loss: loss, best, bytes: size }) => [
      name,
      step === null ? 'average' : String(step),
      loss === null ? '' : loss.toFixed(4),
      best ? 'best' : '',
      bytes(size),
    ]);
    const none = 'The run has made no adapter yet; --adapter-every keeps some on the way.';
    out.table(['ADAPTER', 'STEP', 'HELD-OUT LOSS', '', 'SIZE'], rows, none);
  });
}

function pictures(context: Context, _flags: object, key: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const { step, pictures: all } = picturesOf(await client.run(key));
    for (const picture of all) out.object({ ...picture, step });
    const rows = all.map(({ name, visits, loss, first, latest, standing, caption_gain: gain }) => [
      name,
      String(visits),
      ...[loss, first, latest].map((ratio) => ratio.toFixed(2)),
      gain === null ? '' : gain.toFixed(3),
      standing === 'stuck' ? 'stuck (caption?)' : standing,
    ]);
    const none = 'Nothing is known of its pictures before its training state is first saved (--checkpoint-every).';
    out.table(['PICTURE', 'VISITS', 'LOSS', 'FIRST', 'LATEST', 'CAPTION', `AT STEP ${step}`], rows, none);
  });
}

/** The held-out loss of a run, for people: nothing where it has none. */
export function heldOutLines({ heldOut, heldOutSamples, stoppedEarly }: Run): string[] {
  if (heldOut.length === 0) return [];
  const best = bestStep(heldOut);
  const shown = heldOut.map(
    ({ step, loss }) => `  step ${step ?? 0}: ${(loss ?? 0).toFixed(4)}${step === best ? '  lowest' : ''}`,
  );
  const early = stoppedEarly ? '; it fell no more and ended the run' : '';
  return [`held out   ${heldOutSamples} samples, lowest at step ${best}${early}`, ...shown];
}
