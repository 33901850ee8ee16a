import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkDataset, checkName, type AtelierClient, type DatasetInput } from '@atelier/client';
import { adapterFormats, AtelierError, type Dataset } from '@atelier/contracts';
import type { AdapterFormat } from '@atelier/engine';
import { runWarnings } from '@atelier/jobs';
import { Option, type Command } from 'commander';
import { downloadAdapter } from '../adapter-file';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { CAPTION_COLUMN_HELP, TRIGGER_HELP } from '../finetune/dataset-flags';
import { defaultName, localFiles, type LocalFiles, type Unreadable } from '../finetune/files';
import { finished, followRun } from '../finetune/follow';
import { agreeToLeaveOut, tellRead, untilRead } from '../finetune/read';
import { addTrainFlags, asFlags, chosenByRecipe, trainOptionsOf } from '../finetune/train-flags';
import { upload } from '../finetune/upload';
import { bytes } from '../output';
import { integer, size, type Size } from '../parse';

interface Flags extends Record<string, unknown> {
  dataset?: string;
  name?: string;
  replace?: boolean;
  size?: Size;
  buckets?: boolean;
  flip?: boolean;
  trigger?: string;
  captionColumn?: string;
  output?: string;
  format: AdapterFormat;
  validationDir?: string;
  detach?: boolean;
  priority?: number;
  up?: boolean;
}

export function finetuneCommand(program: Command): void {
  const command = program
    .command('finetune')
    .argument(
      '[pictures...]',
      'a folder of pictures with captions (.txt beside each, metadata.jsonl or metadata.csv), a .zip, a .tar or a .parquet',
    )
    .summary('train an adapter on pictures: upload, encode, train')
    .description(
      'Trains a LoRA adapter. Uploads the pictures, encodes what is not cached yet, trains, and keeps the adapter under its name.\nCtrl-C cancels the run; --detach leaves it to itself.',
    )
    .option('--name <name>', "name of the adapter (default: the folder's)")
    .option('--replace', 'let the new adapter take the place of one of the same name')
    .option('--dataset <key>', 'train on a data set that is there already, by name or id, instead of pictures')
    .option('--up', 'start Atelier for this command alone, if it is not running')
    .option('--detach', 'start the run and return')
    .option('--priority <number>', 'of runs that wait for a trainer the largest goes first (default: 0)', integer)
    .option('-o, --output <file>', 'write the adapter to a file')
    .addOption(
      new Option('--format <name>', "key names of that file: diffusers' and PEFT's, or kohya's and ComfyUI's")
        .choices(adapterFormats)
        .default('diffusers'),
    )
    .option('--validation-dir <folder>', 'write validation pictures to a folder')
    .addOption(
      new Option('--size <WxH>', 'size that pictures are cropped and resized to (default: 512x512)')
        .argParser(size)
        .helpGroup('Pictures:'),
    )
    .addOption(
      new Option('--buckets', 'keep each picture near its own aspect ratio, at the area of --size').helpGroup(
        'Pictures:',
      ),
    )
    .addOption(new Option('--flip', 'mirror pictures left to right').helpGroup('Pictures:'))
    .addOption(new Option('--trigger <text>', TRIGGER_HELP).helpGroup('Pictures:'))
    .addOption(new Option('--caption-column <name>', CAPTION_COLUMN_HELP).helpGroup('Pictures:'));
  addTrainFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  atelier finetune examples/art-nouveau --size 512x768 --steps 700 --rank 16
  atelier finetune my-drawings/ --recipe style --size 768x768
  atelier finetune herons.zip --name herons --trigger "a heron in sks style" -o herons.safetensors --format kohya
  atelier finetune --dataset herons --name herons-32 --rank 32 --validation-prompt "a heron at dusk" --validate-every 100
  atelier finetune pictures.parquet --detach --json`,
    )
    .action(handle<Flags, [pictures: string[]]>(finetune));
}

async function finetune(context: Context, flags: Flags, pictures: string[]): Promise<void> {
  const { out, interrupt } = context;
  const options = trainOptionsOf(flags);
  if (flags.name !== undefined) checkName('adapter name', flags.name);
  if (flags.detach && flags.output)
    throw usage('--detach and --output exclude each other: fetch the adapter later with "atelier adapters download"');
  if (flags.output !== undefined) await requireFileName(flags.output);
  const chosen = chosenByRecipe(flags);
  if (Object.keys(chosen).length > 0 && !out.json) out.note(`recipe     ${options.recipe}: ${asFlags(chosen)}`);
  const source = await chooseSource(flags, pictures);
  await withClient(context, { up: flags.up, services: ['ingest', 'latents', 'prompts', 'trainer'] }, async (client) => {
    const { dataset, unreadable } = await source(context, client);
    if (!flags.detach || (await ingestRuns(client))) {
      const read = tellRead(out, await untilRead(context, client, dataset), unreadable);
      await agreeToLeaveOut(context, read, options.onBadSample);
    } else out.note(`what of the pictures is used: atelier datasets show ${dataset.id}`);
    const { name, replace, priority } = flags;
    const run = await client.startFinetune({ dataset: dataset.id, name, options, replace, priority });
    const warnings = runWarnings(run);
    const { recipe } = options;
    out.object({ type: 'run', id: run.id, name: run.name, dataset: dataset.id, recipe, chosen, warnings });
    if (!out.json) out.note(`run        ${run.id}, adapter ${run.name}`);
    for (const warning of warnings) out.note(`warning    ${warning}`);
    if (flags.detach) {
      out.line(run.id);
      return;
    }
    void interrupt.arrival().then(async () => {
      out.note('cancelling the run; Ctrl-C once more leaves it as it is');
      await client.cancelRun(run.id).catch((error: Error) => out.note(`it could not be cancelled: ${error.message}`));
    });
    const last = await followRun(client, out, run.id, {
      validationFolder: flags.validationDir,
      uploaded: flags.dataset === undefined ? dataset.id : undefined,
    });
    const { adapter, skipped } = finished(last!);
    if (skipped > 0) out.note(`trained without ${skipped} pictures that could not be encoded`);
    const { rank, size: adapterBytes } = await client.adapter(adapter);
    out.line(
      `adapter    ${adapter}: rank ${rank}, ${bytes(adapterBytes)}. Draw with it: atelier generate "..." --adapter ${adapter}`,
    );
    if (flags.output) {
      await downloadAdapter(client, adapter, resolve(flags.output), flags.format);
      out.line(`written    ${flags.output}`);
      out.object({ type: 'written', file: flags.output, format: flags.format });
    }
  });
}

/** Told before the run, not after it. */
async function requireFileName(output: string): Promise<void> {
  const info = await stat(output).catch(() => null);
  if (info?.isDirectory() || /[/\\]$/.test(output))
    throw usage(`--output ${output} is a folder: name a file in it, such as ${join(output, 'adapter.safetensors')}`);
}

/** Nobody waits with --detach for a service that is not there. */
async function ingestRuns(client: AtelierClient): Promise<boolean> {
  return (await client.status()).some(({ service, running }) => service === 'ingest' && running);
}

type Source = (
  context: Context,
  client: AtelierClient,
) => Promise<{ dataset: Dataset; unreadable: readonly Unreadable[] }>;

/** Where the pictures come from. Everything that can be refused without a mesh is refused here. */
async function chooseSource(flags: Flags, pictures: string[]): Promise<Source> {
  const { dataset } = flags;
  if (dataset !== undefined) {
    if (pictures.length > 0) throw usage('give pictures or --dataset, not both');
    if (flags.size ?? flags.buckets ?? flags.flip ?? flags.trigger ?? flags.captionColumn)
      throw usage(
        '--size, --buckets, --flip, --trigger and --caption-column belong to pictures that are uploaded; a data set has its own',
      );
    return async (_context, client) => ({ dataset: await client.dataset(dataset), unreadable: [] });
  }
  if (pictures.length === 0)
    throw usage('give a folder of pictures, an archive or a .parquet, or --dataset for one that is there already');
  const local = await localFiles(pictures);
  return uploadSource(flags, pictures[0]!, local);
}

function uploadSource(flags: Flags, first: string, local: LocalFiles): Source {
  const input: DatasetInput = {
    name: flags.name ?? defaultName(first),
    trigger: flags.trigger ?? '',
    ...(flags.size ?? {}),
    buckets: flags.buckets ?? false,
    flip: flags.flip ?? false,
    caption_column: flags.captionColumn ?? '',
  };
  checkDataset(input);
  return async (context, client) => ({
    dataset: await upload(context, client, input, local),
    unreadable: local.unreadable,
  });
}

function usage(message: string): AtelierError {
  return new AtelierError('INVALID_ARGUMENT', message);
}
