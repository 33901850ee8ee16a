import { join } from 'node:path';
import { openCheckpoint } from '@atelier/checkpoint';
import { AtelierClient } from '@atelier/client';
import { AtelierError, type CompleteTrainOptions } from '@atelier/contracts';
import { Engine, engineTrainOptionsOf } from '@atelier/engine';
import { Option, type Command } from 'commander';
import { meshUrl } from '../connect';
import { handle, type Context } from '../context';
import { EXIT, type ExitCode } from '../exit-codes';
import { addTrainFlags, trainOptionsOf } from '../finetune/train-flags';
import { openModel } from '../open-model';
import { bytes } from '../output';
import { cardLines, cardObject, DEFAULT_CARD, planForCard } from '../plan/card';
import { integer, memory, size, type Size } from '../parse';
import { Progress } from '../progress';

interface Flags extends Record<string, unknown> {
  size: Size;
  textTokens?: number;
  vram?: number;
  gpu?: string;
  here?: boolean;
}

type Bytes = Record<'arenaBytes' | 'weightBytes' | 'stateBytes' | 'workspaceBytes' | 'totalBytes', number>;

const PIXELS_A_TOKEN = 16;
/** Where the trainer's checkpoint is on another machine. */
const LONGEST_TEXT = 512;

export function planCommand(program: Command): void {
  const command = program
    .command('plan')
    .summary("tell a run's memory, to the byte, before it starts")
    .description(
      [
        'Tells what memory a run would take. With --vram or --gpu it is planned for a card, which need not be here, nor any',
        'weights: the fastest choice within the budget of what is kept, made again and fetched, its bytes, and its time by the',
        "card's published rates; exit code 5 names the smallest budget that works. Without them the trainer answers, or, where",
        'none is running, the checkpoint opened here.',
      ].join(' '),
    )
    .addOption(
      new Option('--size <WxH>', 'the largest picture').argParser(size).default({ width: 512, height: 512 }, '512x512'),
    )
    .option(
      '--text-tokens <n>',
      "length of the T5 sequence (default: ATELIER_TEXT_TOKENS, else the checkpoint's)",
      integer,
    )
    .option('--vram <amount>', 'budget to plan within, such as 8GB', memory)
    .option('--gpu <name>', `card to plan for: 4090, 3090, 4060ti or h100 (default: ${DEFAULT_CARD})`)
    .option(
      '--here',
      'open the checkpoint here even if a trainer is running; --vram then says whether the options fit as they are',
    );
  addTrainFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  atelier plan --size 512x768 --rank 16
  atelier plan --size 512x768 --text-tokens 77 --vram 8GB
  atelier plan --size 1024x1024 --vram 24GB --gpu 3090 --accumulation 4
  atelier plan --here --model models/FLUX.1-dev --json`,
    )
    .action(handle<Flags>(plan));
}

async function plan(context: Context, flags: Flags): Promise<ExitCode> {
  const options = trainOptionsOf(flags);
  const { settings } = context;
  if (flags.textTokens !== undefined && !(flags.textTokens >= 1 && flags.textTokens <= 512))
    throw new AtelierError('OUT_OF_RANGE', `--text-tokens is ${flags.textTokens}: use 1 to 512`);
  const textTokens =
    flags.textTokens ??
    settings.textTokens ??
    (await openCheckpoint(settings.model).then(
      ({ t5MaxLength }) => t5MaxLength,
      () => LONGEST_TEXT,
    ));
  const what = `${flags.size.width}x${flags.size.height}, ${textTokens} text tokens, rank ${options.rank}`;
  if (flags.gpu && flags.here)
    throw new AtelierError('INVALID_ARGUMENT', '--gpu plans for a card, --here for this machine: give one of them');
  if (flags.gpu || (flags.vram !== undefined && !flags.here)) {
    const card = flags.gpu ?? DEFAULT_CARD;
    const answer = await planForCard(settings, options, gridOf(flags.size, textTokens), card, flags.vram);
    context.out.object({ ...planObject(answer, flags.vram), ...cardObject(answer, options, card) });
    planLines(context, answer, `${what}, on a ${card}`, [['driver', answer.contextBytes]], flags.vram);
    for (const line of cardLines(answer, options, card)) context.out.line(line);
    return EXIT.ok;
  }
  const client = flags.here ? undefined : await runningTrainer(context);
  try {
    const answer = client
      ? numbers(await client.plan({ options, ...flags.size, textTokens }))
      : await planHere(context, options, flags.size, textTokens);
    return report(context, answer, flags.vram, what, remedies(options));
  } finally {
    await client?.close();
  }
}

function report(context: Context, plan: Bytes, budget: number | undefined, what: string, smaller: string): ExitCode {
  context.out.object(planObject(plan, budget));
  planLines(context, plan, what, [], budget);
  if (budget === undefined || plan.totalBytes <= budget) return EXIT.ok;
  context.out.note(
    `atelier: it does not fit in ${bytes(budget)}: these options need ${bytes(plan.totalBytes)} (${plan.totalBytes} bytes). Less is taken with ${smaller}`,
  );
  return EXIT.exhausted;
}

function planObject(plan: Bytes, budget: number | undefined): object {
  return {
    type: 'plan',
    arena_bytes: plan.arenaBytes,
    weight_bytes: plan.weightBytes,
    state_bytes: plan.stateBytes,
    workspace_bytes: plan.workspaceBytes,
    total_bytes: plan.totalBytes,
    ...(budget !== undefined && { budget_bytes: budget, fits: plan.totalBytes <= budget }),
  };
}

function planLines(
  { out }: Context,
  plan: Bytes,
  what: string,
  more: readonly (readonly [string, number])[],
  budget: number | undefined,
): void {
  const parts = [
    ['weights', plan.weightBytes],
    ['activations', plan.arenaBytes],
    ['adapter and optimizer', plan.stateBytes],
    ['workspace', plan.workspaceBytes],
    ...more,
    ['total', plan.totalBytes],
  ] as const;
  out.line(`memory of a run at ${what}`);
  for (const [name, amount] of parts)
    out.line(`  ${name.padEnd(22)} ${bytes(amount).padStart(10)}  ${String(amount).padStart(14)} bytes`);
  if (budget !== undefined && plan.totalBytes <= budget)
    out.line(`fits in ${bytes(budget)}, with ${bytes(budget - plan.totalBytes)} to spare`);
}

function gridOf({ width, height }: Size, textTokens: number): { gridH: number; gridW: number; textTokens: number } {
  return { gridH: height / PIXELS_A_TOKEN, gridW: width / PIXELS_A_TOKEN, textTokens };
}

/** A client whose mesh has a trainer, or nothing: then the plan is made here. */
async function runningTrainer({ settings, out }: Context): Promise<AtelierClient | undefined> {
  const client = await AtelierClient.connect(await meshUrl(settings), 'atelier').catch(() => undefined);
  if (client && (await client.status()).some(({ service, running }) => service === 'trainer' && running)) return client;
  await client?.close();
  out.note(`no trainer is running: the plan is made here, with the checkpoint ${settings.model}`);
  return undefined;
}

async function planHere(
  { settings, out, interrupt }: Context,
  options: CompleteTrainOptions,
  size: Size,
  textTokens: number,
): Promise<Bytes> {
  const checkpoint = await openModel(settings);
  const engine = await Engine.open({ device: 'cpu' });
  let bar: Progress | undefined;
  try {
    const transformer = await engine.loadTransformer(checkpoint.component('transformer'), {
      quant: options.quant,
      cacheDir: join(settings.data, 'quantised'), // the trainer's: whoever quantises first, the other maps
      signal: interrupt.signal,
      onProgress: ({ done, total, stage }) => {
        bar ??= new Progress(out, { label: stage || 'loading', total });
        bar.update(done);
      },
    });
    bar?.done();
    return await transformer.planTraining(engineTrainOptionsOf(options), [gridOf(size, textTokens)], {
      signal: interrupt.signal,
    });
  } finally {
    bar?.done();
    await engine.close();
  }
}

function numbers({
  arenaBytes,
  weightBytes,
  stateBytes,
  workspaceBytes,
  totalBytes,
}: { [Field in keyof Bytes]?: unknown }): Bytes {
  return {
    arenaBytes: Number(arenaBytes),
    weightBytes: Number(weightBytes),
    stateBytes: Number(stateBytes),
    workspaceBytes: Number(workspaceBytes),
    totalBytes: Number(totalBytes),
  };
}

/** What would take less, of what has not been chosen yet. */
function remedies({ recompute, quant, optimizer, rank }: CompleteTrainOptions): string {
  return [
    !recompute && 'no --no-recompute',
    quant === 'none' && '--quant nf4',
    quant === 'nf4' && '--quant nf4_double',
    optimizer === 'adamw' && '--optimizer adamw8bit',
    rank > 4 && 'a lower --rank',
    'a smaller --size',
  ]
    .filter(Boolean)
    .join(', ');
}
