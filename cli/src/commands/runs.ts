import { toDate, trainOptionsJson, type Run } from '@atelier/contracts';
import { bestStep, isRunOver, placesOf, runStatus, runWarnings, statusOf, waitsFor } from '@atelier/jobs';
import { MOST_PRIORITY, type AtelierClient } from '@atelier/client';
import type { Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { finished, followRun, keptText } from '../finetune/follow';
import { bytes, when } from '../output';
import { heldOutLines, runTables } from './run-tables';

export function runsCommand(program: Command): void {
  const runs = program
    .command('runs')
    .summary('list, show, follow, order, pause and cancel runs')
    .description(
      'Fine-tunes, the newest first. A run is named by its id, or by its adapter for the newest of that name.',
    )
    .addHelpText(
      'after',
      `
Examples:
  atelier runs
  atelier runs show herons
  atelier runs follow herons
  atelier runs priority herons 10
  atelier runs pause herons
  atelier runs adapters herons
  atelier runs pictures herons
  atelier runs cancel run-0k3v9x2m1abcdefgh`,
    );
  runs
    .command('list', { isDefault: true })
    .description('all runs, the newest first')
    .addHelpText('after', '\nExamples:\n  atelier runs list --json')
    .action(handle(list));
  runs
    .command('show')
    .argument('<run>')
    .description('one run with its options and its memory')
    .addHelpText('after', '\nExamples:\n  atelier runs show herons')
    .action(handle(show));
  runs
    .command('follow')
    .argument('<run>')
    .description('shows a run from its first event to its end; Ctrl-C leaves the run alone')
    .option('--validation-dir <folder>', 'write validation pictures to a folder')
    .addHelpText(
      'after',
      '\nExamples:\n  atelier runs follow herons\n  atelier runs follow herons --json --validation-dir pictures',
    )
    .action(handle<{ validationDir?: string }>(follow));
  runs
    .command('cancel')
    .argument('<run>')
    .description('asks for the end of a run, of which only adapters by step stay; the trainer sees it within a step')
    .addHelpText('after', '\nExamples:\n  atelier runs cancel herons')
    .action(handle(cancel));
  runs
    .command('pause')
    .argument('<run>')
    .description('puts a run down until it is resumed; what it came to is kept')
    .addHelpText('after', '\nExamples:\n  atelier runs pause herons')
    .action(handle(pause));
  runs
    .command('resume')
    .argument('<run>')
    .description('lets a paused run go on where it was, to the same adapter')
    .addHelpText('after', '\nExamples:\n  atelier runs resume herons')
    .action(handle(resume));
  runs
    .command('priority')
    .argument('<run>')
    .argument('<number>', `from -${MOST_PRIORITY} to ${MOST_PRIORITY}; 0 where none was given`)
    .description('changes when the turn of a run comes: of those that wait the one with the largest goes first')
    .addHelpText('after', '\nExamples:\n  atelier runs priority herons 10\n  atelier runs priority herons -- -10')
    .action(handle<object, [key: string, priority: string]>(prioritize));
  runTables(runs);
}

function list(context: Context): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const runs = await client.runs();
    const places = placesOf(runs);
    for (const run of runs) out.object(view(run, places.get(run.id)));
    const rows = runs.map((run) => [
      run.id,
      run.name,
      statusOf(run, places.get(run.id)),
      `${run.step}/${trainOptionsJson(run.options).total_steps}`,
      run.step > 0 ? run.loss.toFixed(4) : '',
      when(toDate(run.createdAt)),
    ]);
    out.table(
      ['RUN', 'ADAPTER', 'STATUS', 'STEP', 'LOSS', 'STARTED (UTC)'],
      rows,
      'There are no runs yet: start one with "atelier finetune".',
    );
  });
}

function show(context: Context, _flags: object, key: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const [run, store, runs] = await Promise.all([
      client.run(key),
      client.store().catch(() => undefined),
      client.runs(),
    ]);
    const place = placesOf(runs).get(run.id);
    const waiting = waitsFor(run, store);
    out.object({ ...view(run, place), waits_for: waiting || null });
    out.line(`run        ${run.id}`);
    out.line(`adapter    ${run.name}`);
    out.line(`status     ${statusOf(run, place)}${run.error ? `: ${run.error}` : ''}`);
    if (waiting) out.line(`waits for  ${waiting}`);
    if (run.priority !== 0) out.line(`priority   ${run.priority}`);
    out.line(
      `step       ${run.step} of ${trainOptionsJson(run.options).total_steps}${run.step > 0 ? `, loss ${run.loss.toFixed(4)}` : ''}`,
    );
    if (run.attempts > 1) {
      out.line(`attempts   ${run.attempts} since its training state was last saved: its trainer crashed or failed`);
    }
    if (run.skipped > 0) out.line(`left out   ${run.skipped} pictures that could not be encoded`);
    for (const line of heldOutLines(run)) out.line(line);
    for (const warning of runWarnings(run)) out.line(`warning    ${warning}`);
    if (run.plan) out.line(`memory     ${bytes(run.plan.totalBytes ?? 0)}`);
    for (const [option, value] of Object.entries(trainOptionsJson(run.options)))
      out.line(`  ${option.padEnd(20)} ${Array.isArray(value) ? value.join(', ') : String(value)}`);
  });
}

function follow(context: Context, { validationDir }: { validationDir?: string }, key: string): Promise<void> {
  const { out, interrupt } = context;
  return withClient(context, {}, async (client) => {
    const { id } = await client.run(key);
    const last = await followRun(client, out, id, { signal: interrupt.signal, validationFolder: validationDir });
    if (last) out.line(`adapter    ${finished(last).adapter}`);
  });
}

function cancel(context: Context, _flags: object, key: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const run = await client.cancelRun(key);
    out.object(view(run));
    const asked = isRunOver(run) ? 'is cancelled' : 'is asked to end';
    out.line(`run ${run.id} ${run.cancelRequested ? asked : `is over already: ${runStatus(run.state)}`}`);
    const kept = keptText(run).replace('; ', '');
    if (run.cancelRequested)
      out.note(kept || 'no adapter is made of it; "atelier runs pause" puts a run down and keeps what it came to');
  });
}

function pause(context: Context, _flags: object, key: string): Promise<void> {
  return change(context, (client) => client.pauseRun(key));
}

function resume(context: Context, _flags: object, key: string): Promise<void> {
  return change(context, (client) => client.resumeRun(key));
}

function prioritize(context: Context, _flags: object, key: string, priority: string): Promise<void> {
  return change(context, (client) => client.prioritizeRun(key, Number(priority)));
}

/** Says how the run stands then. */
function change(context: Context, ask: (client: AtelierClient) => Promise<Run>): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const run = await ask(client);
    const place = placesOf(await client.runs()).get(run.id);
    out.object(view(run, place));
    const is = isRunOver(run) ? 'is over already' : `has priority ${run.priority} and is`;
    out.line(`run ${run.id} ${is}: ${statusOf(run, place)}`);
  });
}

function view(run: Run, place?: number): object {
  return {
    id: run.id,
    name: run.name,
    dataset: run.datasetId,
    status: runStatus(run.state),
    place: place ?? null,
    priority: run.priority,
    attempts: run.attempts,
    preemptions: run.preemptions,
    step: run.step,
    total_steps: trainOptionsJson(run.options).total_steps,
    loss: run.step > 0 ? run.loss : null,
    skipped: run.skipped,
    cancel_requested: run.cancelRequested,
    pause_requested: run.pauseRequested,
    error: run.error || null,
    adapter: run.adapter || null,
    samples: run.sampleImages,
    held_out: run.heldOut.map(({ step, loss }) => ({ step: step ?? 0, loss: loss ?? 0 })),
    best_step: bestStep(run.heldOut) ?? null,
    stopped_early: run.stoppedEarly,
    warnings: runWarnings(run),
    options: trainOptionsJson(run.options),
    created_at: toDate(run.createdAt)?.toISOString() ?? null,
    finished_at: toDate(run.finishedAt)?.toISOString() ?? null,
  };
}
