import { readFile } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import { nameFrom } from '@atelier/client';
import { adapterFormats, toDate, type AdapterInfo } from '@atelier/contracts';
import type { AdapterFormat } from '@atelier/engine';
import { Option, type Command } from 'commander';
import { convertToKohya, downloadAdapter } from '../adapter-file';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { bytes, when } from '../output';

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
    .summary('list, download, import, rename and convert adapters')
    .description('Trained LoRAs, the newest first.')
    .addHelpText(
      'after',
      `
Examples:
  atelier adapters
  atelier adapters download herons -o herons.safetensors
  atelier adapters download herons --format kohya
  atelier adapters import ink.safetensors --name ink
  atelier adapters rename ink pen-and-ink
  atelier adapters kohya pytorch_lora_weights.safetensors herons-comfyui.safetensors`,
    );
  adapters
    .command('list', { isDefault: true })
    .description('all adapters, the newest first')
    .addHelpText('after', '\nExamples:\n  atelier adapters list --json')
    .action(handle(list));
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
    .argument('<file>')
    .description('takes in a LoRA made elsewhere, with the keys of diffusers or of kohya')
    .option('--name <name>', "name it gets (default: the file's)")
    .option('--replace', 'let it take the place of one of the same name')
    .addHelpText('after', '\nExamples:\n  atelier adapters import ink.safetensors --name ink')
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
    for (const adapter of adapters) out.object(view(adapter));
    const rows = adapters.map((adapter) => [
      adapter.name,
      String(adapter.rank),
      String(adapter.alpha),
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

async function bringIn(context: Context, { name, replace }: ImportFlags, file: string): Promise<void> {
  const content = await readFile(file);
  await withClient(context, {}, async (client) => {
    const info = await client.importAdapter(name ?? nameFrom(basename(file, extname(file))), content, { replace });
    context.out.line(`${info.name}: rank ${info.rank}, alpha ${info.alpha}`);
    context.out.object(view(info));
  });
}

function rename(context: Context, _flags: object, name: string, to: string): Promise<void> {
  return withClient(context, {}, async (client) => {
    const info = await client.renameAdapter(name, to);
    context.out.object(view(info));
    context.out.line(`adapter ${name} is named ${info.name}`);
  });
}

async function kohya({ out }: Context, _flags: object, file: string, output: string): Promise<void> {
  await convertToKohya(resolve(file), resolve(output));
  out.line(output);
  out.object({ type: 'written', file: output, format: 'kohya' });
}

function view(adapter: AdapterInfo): object {
  return {
    name: adapter.name,
    run: adapter.runId || null,
    rank: adapter.rank,
    alpha: adapter.alpha,
    bytes: adapter.size,
    base_fingerprint: adapter.baseFingerprint || null,
    created_at: toDate(adapter.createdAt)?.toISOString() ?? null,
  };
}
