import { join } from 'node:path';
import { openCheckpoint } from '@atelier/checkpoint';
import { AtelierClient } from '@atelier/client';
import { AtelierError, type ITrainOptions } from '@atelier/contracts';
import { Engine, type MemoryPlan } from '@atelier/engine';
import { Option, type Command } from 'commander';
import { meshUrl } from '../connect';
import { handle, type Context } from '../context';
import { EXIT, type ExitCode } from '../exit-codes';
import { addTrainFlags, trainOptionsOf } from '../finetune/train-flags';
import { openModel } from '../open-model';
import { bytes } from '../output';
import { integer, memory, size, type Size } from '../parse';
import { Progress } from '../progress';

interface Flags extends Record<string, unknown> {
  size: Size;
  textTokens?: number;
  vram?: number;
  here?: boolean;
}

const PIXELS_A_TOKEN = 16;
/** Where the trainer's checkpoint is on another machine. */
const LONGEST_TEXT = 512;

export function planCommand(program: Command): void {
  const command = program
    .command('plan')
    .summary("tell a run's memory, to the byte, before it starts")
    .description('Tells what memory a run would take and whether it fits a budget (exit code 5 when it does not). The trainer answers; where none is running, the checkpoint is opened here.')
    .addOption(new Option('--size <WxH>', 'the largest picture').argParser(size).default({ width: 512, height: 512 }, '512x512'))
    .option('--text-tokens <n>', "length of the T5 sequence (default: ATELIER_TEXT_TOKENS, else the checkpoint's)", integer)
    .option('--vram <amount>', 'budget to fit, such as 8GB', memory)
    .option('--here', 'open the checkpoint here even if a trainer is running');
  addTrainFlags(command)
    .addHelpText('after', `
Examples:
  atelier plan --size 512x768 --rank 16
  atelier plan --size 1024x1024 --vram 8GB --no-recompute
  atelier plan --here --model models/FLUX.1-dev --json`)
    .action(handle<Flags>(plan));
}

async function plan(context: Context, flags: Flags): Promise<ExitCode> {
  const options = trainOptionsOf(flags);
  const { settings } = context;
  if (flags.textTokens !== undefined && !(flags.textTokens >= 1 && flags.textTokens <= 512)) throw new AtelierError('OUT_OF_RANGE', `--text-tokens is ${flags.textTokens}: use 1 to 512`);
  const textTokens = flags.textTokens ?? settings.textTokens ?? (await openCheckpoint(settings.model).then(({ t5MaxLength }) => t5MaxLength, () => LONGEST_TEXT));
  const client = flags.here ? undefined : await runningTrainer(context);
  try {
    const answer = client ? numbers(await client.plan({ options, ...flags.size, textTokens })) : await planHere(context, options, flags.size, textTokens);
    return report(context, answer, flags.vram, `${flags.size.width}x${flags.size.height}, ${textTokens} text tokens, rank ${options.rank}`, remedies(options));
  } finally {
    await client?.close();
  }
}

function report({ out }: Context, plan: MemoryPlan, budget: number | undefined, what: string, smaller: string): ExitCode {
  const fits = budget === undefined || plan.totalBytes <= budget;
  const parts = [['weights', plan.weightBytes], ['activations', plan.arenaBytes], ['adapter and optimizer', plan.stateBytes], ['workspace', plan.workspaceBytes], ['total', plan.totalBytes]] as const;
  out.object({
    type: 'plan',
    arena_bytes: plan.arenaBytes,
    weight_bytes: plan.weightBytes,
    state_bytes: plan.stateBytes,
    workspace_bytes: plan.workspaceBytes,
    total_bytes: plan.totalBytes,
    ...(budget !== undefined && { budget_bytes: budget, fits }),
  });
  out.line(`memory of a run at ${what}`);
  for (const [name, amount] of parts) out.line(`  ${name.padEnd(22)} ${bytes(amount).padStart(10)}  ${String(amount).padStart(14)} bytes`);
  if (budget === undefined) return EXIT.ok;
  if (fits) {
    out.line(`fits in ${bytes(budget)}, with ${bytes(budget - plan.totalBytes)} to spare`);
    return EXIT.ok;
  }
  out.note(`atelier: it does not fit in ${bytes(budget)}: these options need ${bytes(plan.totalBytes)} (${plan.totalBytes} bytes). Less is taken with ${smaller}`);
  return EXIT.exhausted;
}

/** A client whose mesh has a trainer, or nothing: then the plan is made here. */
async function runningTrainer({ settings, out }: Context): Promise<AtelierClient | undefined> {
  const client = await AtelierClient.connect(await meshUrl(settings), 'atelier').catch(() => undefined);
  if (client && (await client.status()).some(({ service, running }) => service === 'trainer' && running)) return client;
  await client?.close();
  out.note(`no trainer is running: the plan is made here, with the checkpoint ${settings.model}`);
  return undefined;
}

async function planHere({ settings, out, interrupt }: Context, options: ITrainOptions, { width, height }: Size, textTokens: number): Promise<MemoryPlan> {
  const checkpoint = await openModel(settings);
  const engine = await Engine.open();
  let bar: Progress | undefined;
  try {
    const transformer = await engine.loadTransformer(checkpoint.component('transformer'), {
      quant: options.quant as 'none' | 'nf4' | 'nf4_double',
      cacheDir: join(settings.data, 'quantised'), // the trainer's: whoever quantises first, the other maps
      signal: interrupt.signal,
      onProgress: ({ done, total, stage }) => {
        bar ??= new Progress(out, { label: stage || 'loading', total });
        bar.update(done);
      },
    });
    bar?.done();
    const { rank, alpha, targets, recompute, optimizer, accumulation, totalSteps } = options;
    const engineOptions = { rank, alpha, targets, recompute, optimizer, accumulation, totalSteps } as Parameters<typeof transformer.planTraining>[0];
    return await transformer.planTraining(engineOptions, [{ gridH: height / PIXELS_A_TOKEN, gridW: width / PIXELS_A_TOKEN, textTokens }], { signal: interrupt.signal });
  } finally {
    bar?.done();
    await engine.close();
  }
}

function numbers({ arenaBytes, weightBytes, stateBytes, workspaceBytes, totalBytes }: Record<string, unknown> | MemoryPlan): MemoryPlan {
  return { arenaBytes: Number(arenaBytes), weightBytes: Number(weightBytes), stateBytes: Number(stateBytes), workspaceBytes: Number(workspaceBytes), totalBytes: Number(totalBytes) };
}

/** What would take less, of what has not been chosen yet. */
function remedies({ recompute, quant, optimizer, rank }: ITrainOptions): string {
  return [
    !recompute && 'no --no-recompute',
    quant === 'none' && '--quant nf4',
    quant === 'nf4' && '--quant nf4_double',
    optimizer === 'adamw' && '--optimizer adamw8bit',
    (rank ?? 0) > 4 && 'a lower --rank',
    'a smaller --size',
  ].filter(Boolean).join(', ');
}
