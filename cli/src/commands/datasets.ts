import { checkDataset } from '@atelier/client';
import { DatasetState, toDate, type Dataset } from '@atelier/contracts';
import { datasetStatus, datasetUse, datasetUseText } from '@atelier/jobs';
import type { Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { CAPTION_COLUMN_HELP, TRIGGER_HELP } from '../finetune/dataset-flags';
import { defaultName, localFiles } from '../finetune/files';
import { tellRead, untilRead } from '../finetune/read';
import { upload } from '../finetune/upload';
import { when } from '../output';
import { size, type Size } from '../parse';

interface AddFlags {
  name?: string;
  size?: Size;
  buckets?: boolean;
  flip?: boolean;
  trigger?: string;
  captionColumn?: string;
  detach?: boolean;
}

export function datasetsCommand(program: Command): void {
  const datasets = program
    .command('datasets')
    .summary('list, show, add, cancel and rename data sets')
    .description(
      'Data sets, the newest first. What is encoded once is never encoded again, whatever data set it comes in.',
    )
    .addHelpText(
      'after',
      `
Examples:
  atelier datasets
  atelier datasets show herons
  atelier datasets add herons.zip --size 512x768
  atelier datasets cancel herons
  atelier datasets rename herons waders`,
    );
  datasets
    .command('list', { isDefault: true })
    .description('all data sets, the newest first')
    .addHelpText('after', '\nExamples:\n  atelier datasets list --json')
    .action(handle(list));
  datasets
    .command('show')
    .argument('<dataset>')
    .description('one data set, with the files that could not be used')
    .addHelpText('after', '\nExamples:\n  atelier datasets show herons')
    .action(handle(show));
  datasets
    .command('add')
    .argument('<pictures...>')
    .description('uploads and encodes pictures without training on them yet, and says what of them is used')
    .option('--name <name>', "name of the data set (default: the folder's)")
    .option('--size <WxH>', 'size that pictures are cropped and resized to (default: 512x512)', size)
    .option('--buckets', 'keep each picture near its own aspect ratio, at the area of --size')
    .option('--flip', 'mirror pictures left to right')
    .option('--trigger <text>', TRIGGER_HELP)
    .option('--caption-column <name>', CAPTION_COLUMN_HELP)
    .option('--detach', 'upload and return, without waiting for what can be used')
    .addHelpText('after', '\nExamples:\n  atelier datasets add pictures/ --name herons --size 512x768')
    .action(handle<AddFlags, [pictures: string[]]>(add));
  datasets
    .command('cancel')
    .argument('<dataset>')
    .description('ends a data set that is not read yet; runs that wait for it fail')
    .addHelpText('after', '\nExamples:\n  atelier datasets cancel herons')
    .action(handle(cancel));
  datasets
    .command('rename')
    .argument('<dataset>')
    .argument('<name>')
    .description('gives a data set another name')
    .addHelpText('after', '\nExamples:\n  atelier datasets rename herons waders')
    .action(handle(rename));
}

function list(context: Context): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const datasets = await client.datasets();
    for (const dataset of datasets) out.object(view(dataset));
    const rows = datasets.map((dataset) => [
      dataset.id,
      dataset.name,
      datasetStatus(dataset.state),
      String(dataset.samples),
      sizeOf(dataset),
      when(toDate(dataset.createdAt)),
    ]);
    out.table(
      ['DATA SET', 'NAME', 'STATUS', 'PICTURES', 'SIZE', 'ADDED (UTC)'],
      rows,
      'There are no data sets yet: add one with "atelier finetune" or "atelier datasets add".',
    );
  });
}

function show(context: Context, _flags: object, key: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const dataset = await client.dataset(key);
    out.object(view(dataset));
    out.line(`data set   ${dataset.id}`);
    out.line(`name       ${dataset.name}`);
    out.line(`status     ${datasetStatus(dataset.state)}${dataset.error ? `: ${dataset.error}` : ''}`);
    out.line(
      `pictures   ${datasetUseText(dataset)}, of ${sizeOf(dataset)} from ${dataset.files.length} files, ${dataset.duplicates} duplicates`,
    );
    if (dataset.samples > 0) out.line(`samples    ${dataset.samples}`);
    for (const { name, reason, picture } of dataset.rejected)
      out.line(`${picture ? 'left out ' : 'not used '}  ${name}: ${reason}`);
    for (const { name, text } of dataset.notes) out.line(`note       ${name ? `${name} ` : ''}${text}`);
  });
}

async function add(context: Context, flags: AddFlags, pictures: string[]): Promise<void> {
  const local = await localFiles(pictures);
  const input = checkDataset({
    name: flags.name ?? defaultName(pictures[0]!),
    trigger: flags.trigger,
    ...flags.size,
    buckets: flags.buckets,
    flip: flags.flip,
    caption_column: flags.captionColumn,
  });
  await withClient(context, { services: ['ingest', 'latents', 'prompts'] }, async (client) => {
    const dataset = await upload(context, client, input, local);
    if (!flags.detach) tellRead(context.out, await untilRead(context, client, dataset), local.unreadable);
    context.out.line(`${dataset.id}  ${dataset.name}`);
  });
}

function cancel(context: Context, _flags: object, key: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const dataset = await client.cancelDataset(key);
    out.object(view(dataset));
    const cancelled = dataset.state === DatasetState.DATASET_STATE_CANCELLED;
    out.line(`data set ${dataset.id} is ${cancelled ? 'cancelled' : `over already: ${datasetStatus(dataset.state)}`}`);
  });
}

function rename(context: Context, _flags: object, key: string, name: string): Promise<void> {
  return withClient(context, {}, async (client) => {
    const dataset = await client.renameDataset(key, name);
    context.out.object(view(dataset));
    context.out.line(`data set ${dataset.id} is named ${dataset.name}`);
  });
}

function sizeOf({ transform }: Dataset): string {
  return `${transform?.width ?? 0}x${transform?.height ?? 0}${transform?.buckets ? ' (buckets)' : ''}`;
}

function view(dataset: Dataset): object {
  return {
    id: dataset.id,
    name: dataset.name,
    status: datasetStatus(dataset.state),
    trigger: dataset.trigger,
    width: dataset.transform?.width ?? 0,
    height: dataset.transform?.height ?? 0,
    buckets: dataset.transform?.buckets ?? false,
    files: dataset.files.length,
    samples: dataset.samples,
    duplicates: dataset.duplicates,
    pictures: datasetUse(dataset).pictures,
    used: datasetUse(dataset).used,
    left_out: datasetUse(dataset).leftOut,
    rejected: dataset.rejected.map(({ name, reason, picture }) => ({ name, reason, picture: picture ?? false })),
    notes: dataset.notes.map(({ name, text }) => ({ name, text })),
    error: dataset.error || null,
    created_at: toDate(dataset.createdAt)?.toISOString() ?? null,
  };
}
