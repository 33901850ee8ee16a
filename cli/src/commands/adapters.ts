import { resolve } from 'node:path';
import { nameFrom } from '@atelier/client';
import { adapterFormats, toDate } from '@atelier/contracts';
import type { AdapterFormat } from '@atelier/engine';
import { Option, type Command } from 'commander';
import { convertToKohya, downloadAdapter } from '../adapter-file';
import { contentsLines, ranksText, viewAdapter } from '../adapter-view';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { bytes, when } from '../output';
import { readPeftAdapter } from '../peft-folder';

interface DownloadFlags {
  output?: string;
  format: AdapterFormat;
}

interface ImportFlags {
  name?: string;
  replace?: boolean;
}

export function adaptersCommand(program: Command): void {
  const adapters = program
    .command('adapters')
    .summary('list, show, download, import, rename and convert adapters')
    .description('Trained LoRAs, the newest first.')
    .addHelpText(
      'after',
      `
Examples:
  atelier adapters
  atelier adapters download herons -o herons.safetensors
  atelier adapters download herons --format kohya
  atelier adapters import ink.safetensors --name ink
  atelier adapters show ink
  atelier adapters rename ink pen-and-ink
  atelier adapters kohya pytorch_lora_weights.safetensors herons-comfyui.safetensors`,
    );
  adapters
    .command('list', { isDefault: true })
    .description('all adapters, the newest first')
    .addHelpText('after', '\nExamples:\n  atelier adapters list --json')
    .action(handle(list));
  adapters
    .command('show')
    .argument('<name>')
    .description(
      'what an adapter holds: ranks, modules, what its file says of its training, and what is left out of it',
    )
    .addHelpText('after', '\nExamples:\n  atelier adapters show herons')
    .action(handle(show));
  adapters
    .command('download')
    .argument('<name>')
    .description('writes an adapter to a safetensors file')
    .option('-o, --output <file>', 'file to write (default: <name>.safetensors)')
    .addOption(
      new Option('--format <name>', "key names: diffusers' and PEFT's, or kohya's and ComfyUI's")
        .choices(adapterFormats)
        .default('diffusers'),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  atelier adapters download herons --format kohya -o herons-comfyui.safetensors',
    )
    .action(handle<DownloadFlags>(download));
  adapters
    .command('import')
    .argument('<file>', "a safetensors file, or peft's folder: its adapter_config.json decides the strength")
    .description(
      "takes in a LoRA made elsewhere, in any trainer's spelling; what cannot be drawn with is refused, with why",
    )
    .option('--name <name>', "name it gets (default: the file's, or the folder's)")
    .option('--replace', 'let it take the place of one of the same name')
    .addHelpText(
      'after',
      '\nExamples:\n  atelier adapters import ink.safetensors --name ink\n  atelier adapters import output/checkpoint-500',
    )
    .action(handle<ImportFlags>(bringIn));
  adapters
    .command('rename')
    .argument('<name>')
    .argument('<to>')
    .description('gives an adapter another name')
    .addHelpText('after', '\nExamples:\n  atelier adapters rename ink pen-and-ink')
    .action(handle(rename));
  adapters
    .command('kohya')
    .argument('<file>')
    .argument('<output>')
    .description('converts a LoRA file to the keys of kohya and ComfyUI; needs nothing running')
    .addHelpText(
      'after',
      '\nExamples:\n  atelier adapters kohya pytorch_lora_weights.safetensors herons-comfyui.safetensors',
    )
    .action(handle(kohya));
}

function list(context: Context): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const adapters = await client.adapters();
    for (const adapter of adapters) out.object(viewAdapter(adapter));
    const rows = adapters.map((adapter) => [
      adapter.name,
      ...ranksText(adapter),
      bytes(adapter.size),
      adapter.runId || 'imported',
      when(toDate(adapter.createdAt)),
    ]);
    out.table(
      ['ADAPTER', 'RANK', 'ALPHA', 'SIZE', 'RUN', 'MADE (UTC)'],
      rows,
      'There are no adapters yet: train one with "atelier finetune", or bring one in with "atelier adapters import".',
    );
  });
}

function download(context: Context, { output, format }: DownloadFlags, name: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const known = await client.adapter(name);
    const file = output ?? `${known.name}${format === 'kohya' ? '.kohya' : ''}.safetensors`;
    await downloadAdapter(client, known.name, resolve(file), format);
    out.line(file);
    out.object({ type: 'written', file, format });
  });
}

function show(context: Context, _flags: object, name: string): Promise<void> {
  return withClient(context, {}, async (client) => {
    const info = await client.adapter(name);
    context.out.object(viewAdapter(info));
    for (const line of contentsLines(info)) context.out.line(line);
  });
}

async function bringIn(context: Context, { name, replace }: ImportFlags, source: string): Promise<void> {
  const { label, content, config } = await readPeftAdapter(resolve(source));
  await withClient(context, {}, async (client) => {
    const info = await client.importAdapter(name ?? nameFrom(label), content, { replace, config });
    const strength = config === undefined ? '' : ', as its adapter_config.json says';
    context.out.line(`${info.name}: rank ${info.rank}, alpha ${info.alpha}${strength}`);
    for (const note of info.contents?.notes ?? []) context.out.note(`${info.name}: ${note}`);
    context.out.object(viewAdapter(info));
  });
}

function rename(context: Context, _flags: object, name: string, to: string): Promise<void> {
  return withClient(context, {}, async (client) => {
    const info = await client.renameAdapter(name, to);
    context.out.object(viewAdapter(info));
    context.out.line(`adapter ${name} is named ${info.name}`);
  });
}

async function kohya({ out }: Context, _flags: object, file: string, output: string): Promise<void> {
  await convertToKohya(resolve(file), resolve(output));
  out.line(output);
  out.object({ type: 'written', file: output, format: 'kohya' });
}
