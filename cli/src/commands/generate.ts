import { extname, resolve } from 'node:path';
import { generateSchema, invalidArgument, nameFrom, type GenerateRequest } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { adapterUses, decimal, integer, size, type AdapterUse, type Size } from '../parse';
import { Progress } from '../progress';
import { saveStream } from '../save';

interface Flags {
  adapter?: AdapterUse[];
  size?: Size;
  steps?: number;
  guidance?: number;
  seed?: number;
  count?: number;
  fused?: boolean;
  output?: string;
  async?: boolean;
  up?: boolean;
}

const FORMATS: Record<string, GenerateRequest['format']> = {
  '.png': 'png',
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.webp': 'webp',
};

export function generateCommand(program: Command): void {
  program
    .command('generate')
    .argument('<prompt>', 'what to draw')
    .summary('draw pictures, with adapters or without')
    .description('Draws pictures from a prompt. Equal seeds draw equal pictures. Ctrl-C cancels the drawing.')
    .option('--adapter <name[:weight]>', 'adapter and its weight (default 1); may be given several times', adapterUses)
    .option('--size <WxH>', 'size of the picture (default: 512x512)', size)
    .option('--steps <n>', 'sampling steps (default: 28)', integer)
    .option('--guidance <x>', 'guidance (default: 3.5)', decimal)
    .option('--seed <n>', 'start noise (default: a new one, which is told)', integer)
    .option('--count <n>', 'pictures to draw (default: 1)', integer)
    .option('--fused', 'merge the adapters into the base weights, quantised again, instead of adding them beside')
    .option('-o, --output <file>', 'file to write: .png, .jpg or .webp; with --count a number is added')
    .option('--async', 'do not wait: say the id, by which "atelier drawings" finds the pictures')
    .option('--up', 'start Atelier for this command alone, if it is not running')
    .addHelpText(
      'after',
      `
Examples:
  atelier generate "a heron at dusk" --size 512x768 -o heron.png
  atelier generate "a heron at dusk" --adapter herons --adapter ink:0.5 --seed 7 --count 4 -o heron.webp
  atelier generate "a heron at dusk" --async
  atelier generate "a heron at dusk" --up --json`,
    )
    .action(handle<Flags>(generate));
}

async function generate(context: Context, flags: Flags, prompt: string): Promise<void> {
  const { out, interrupt } = context;
  const request: GenerateRequest = {
    prompt,
    adapters: flags.adapter,
    ...flags.size,
    steps: flags.steps,
    guidance: flags.guidance,
    seed: flags.seed,
    count: flags.count,
    fused: flags.fused,
    format: format(flags.output),
  };
  const parsed = generateSchema.safeParse(request);
  if (!parsed.success) throw invalidArgument('request', parsed.error);
  if (flags.async && (flags.up || flags.output !== undefined))
    throw new AtelierError(
      'INVALID_ARGUMENT',
      '--async waits for no picture, so that it goes with neither --up nor --output: save it with "atelier drawings save"',
    );
  await withClient(context, { up: flags.up, services: ['inference'] }, async (client) => {
    const { id, work } = await client.generate(request);
    const seed = work?.seed ?? 0;
    out.object({ type: 'queued', id, seed });
    if (flags.async) {
      out.line(`drawing ${id}  (seed ${seed})`);
      return;
    }
    void interrupt.arrival().then(() => client.cancelGeneration(id).catch(() => undefined));
    let bar: Progress | undefined;
    try {
      const { images } = await client.finishedGeneration(id, {
        onEvent: ({ event }) => {
          const { step, totalSteps } = event.generateProgress ?? {};
          if (step === undefined || step === null) return;
          bar ??= new Progress(out, { label: 'drawing', total: totalSteps ?? 0 });
          bar.update(step);
          out.object({ type: 'progress', step, total_steps: totalSteps });
        },
      });
      bar?.done();
      for (const [index, image] of images.entries()) {
        const file = outputFile(flags.output ?? `${nameFrom(prompt).slice(0, 40)}-${seed}.png`, index, images.length);
        await saveStream(await client.image(image), resolve(file));
        out.line(`${file}  (seed ${seed}${images.length > 1 ? `, ${index + 1} of ${images.length}` : ''})`);
        out.object({ type: 'image', file, seed, index });
      }
    } finally {
      bar?.done();
    }
  });
}

function format(file: string | undefined): GenerateRequest['format'] {
  if (file === undefined) return 'png';
  const known = FORMATS[extname(file).toLowerCase()];
  if (!known)
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `${file}: pictures are written as ${Object.keys(FORMATS).join(', ')}. Give the file one of these endings`,
    );
  return known;
}

/** heron.png, or heron-1.png, heron-2.png, … when there are several. */
export function outputFile(file: string, index: number, count: number): string {
  if (count === 1) return file;
  const ending = extname(file);
  return `${file.slice(0, file.length - ending.length)}-${index + 1}${ending}`;
}
