import { join } from 'node:path';
import { openCheckpoint } from '@atelier/checkpoint';
import { AtelierClient } from '@atelier/client';
import { AtelierError, type CompleteTrainOptions } from '@atelier/contracts';
import { Engine, engineTrainOptionsOf, type MemoryPlan } from '@atelier/engine';
import { memoryPlanView, type MemoryPlanView } from '@atelier/jobs';
import { Option, type Command } from 'commander';
import { meshAccess } from '../connect';
import { handle, type Context } from '../context';
import { EXIT, type ExitCode } from '../exit-codes';
import { addTrainFlags, trainOptionsOf } from '../finetune/train-flags';
import { openModel } from '../open-model';
import { bytes } from '../output';
import { choiceLines, DEFAULT_CARD, planForCard, planObject, timeLines } from '../plan/card';
import { integer, memory, size, type Size } from '../parse';
import { Progress } from '../progress';

interface Flags extends Record<string, unknown> {
  size: Size;
  textTokens?: number;
  vram?: number;
  gpu?: string;
  here?: boolean;
}

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
    const view = memoryPlanView(await planForCard(settings, options, gridOf(flags.size, textTokens), card, flags.vram));
    context.out.object({ ...planObject(view, options), ...budgetObject(view, flags.vram), gpu: card });
    planLines(context, view, `${what}, on a ${card}`, flags.vram);
    tellChoice(context, view, options, `the ${card}`);
    return EXIT.ok;
  }
  const client = flags.here ? undefined : await runningTrainer(context);
  try {
    const view = memoryPlanView(
      client
        ? await client.plan({ options, ...flags.size, textTokens })
        : await planHere(context, options, flags.size, textTokens),
    );
    context.out.object({ ...planObject(view, options), ...budgetObject(view, flags.vram) });
    planLines(context, view, what, flags.vram);
    tellChoice(context, view, options, "the trainer's card");
    if (flags.vram === undefined || view.total_bytes <= flags.vram) return EXIT.ok;
    context.out.note(
      `atelier: it does not fit in ${bytes(flags.vram)}: these options need ${bytes(view.total_bytes)} (${view.total_bytes} bytes). Less is taken with ${remedies(options)}`,
    );
    return EXIT.exhausted;
  } finally {
    await client?.close();
  }
}

function budgetObject({ total_bytes }: MemoryPlanView, budget: number | undefined): object {
  return budget === undefined ? {} : { budget_bytes: budget, fits: total_bytes <= budget };
}

function planLines({ out }: Context, plan: MemoryPlanView, what: string, budget: number | undefined): void {
  const parts: (readonly [string, number])[] = [
    ['weights', plan.weight_bytes],
    ['activations', plan.arena_bytes],
    ['adapter and optimizer', plan.state_bytes],
    ['workspace', plan.workspace_bytes],
    ...(plan.context_bytes > 0 ? [['driver', plan.context_bytes] as const] : []),
    ['total', plan.total_bytes],
  ];
  out.line(`memory of a run at ${what}`);
  for (const [name, amount] of parts)
    out.line(`  ${name.padEnd(22)} ${bytes(amount).padStart(10)}  ${String(amount).padStart(14)} bytes`);
  if (budget !== undefined && plan.total_bytes <= budget)
    out.line(`fits in ${bytes(budget)}, with ${bytes(budget - plan.total_bytes)} to spare`);
}

function tellChoice({ out }: Context, plan: MemoryPlanView, options: CompleteTrainOptions, card: string): void {
  const lines = [
    ...(plan.choice ? choiceLines(plan.choice, plan.parked_bytes) : []),
    ...(plan.predicted ? timeLines(plan.predicted, options, card) : []),
  ];
  for (const line of lines) out.line(line);
}

function gridOf({ width, height }: Size, textTokens: number): { gridH: number; gridW: number; textTokens: number } {
  return { gridH: height / PIXELS_A_TOKEN, gridW: width / PIXELS_A_TOKEN, textTokens };
}

/** A client whose mesh has a trainer, or nothing: then the plan is made here. */
async function runningTrainer({ settings, out }: Context): Promise<AtelierClient | undefined> {
  const { url, credentials } = await meshAccess(settings);
  const client = await AtelierClient.connect(url, 'atelier', { credentials }).catch(() => undefined);
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
): Promise<MemoryPlan> {
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
