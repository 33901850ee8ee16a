import { basename, join, resolve } from 'node:path';
import { COMPONENT_NAMES, openCheckpoint, pullModel } from '@atelier/checkpoint';
import { inspectCheckpoint } from '@atelier/engine';
import type { Command } from 'commander';
import { handle, type Context } from '../context';
import { bytes } from '../output';
import { Progress } from '../progress';
import { modelsFolder } from '../settings';

const DEFAULT_REPOSITORY = 'black-forest-labs/FLUX.1-dev';

interface PullFlags {
  dir?: string;
  revision?: string;
  token?: string;
  endpoint?: string;
}

interface InspectFlags {
  fingerprints?: boolean;
}

export function modelCommand(program: Command): void {
  const model = program
    .command('model')
    .summary('download and inspect checkpoints')
    .description('Checkpoints: weights on disk, in the layout that diffusers publishes FLUX.1 in.')
    .addHelpText(
      'after',
      `
Examples:
  atelier model pull
  atelier model pull black-forest-labs/FLUX.1-schnell --dir /models/schnell
  atelier model inspect models/FLUX.1-dev`,
    );
  model
    .command('pull')
    .argument('[repository]', 'owner/name on the Hugging Face hub', DEFAULT_REPOSITORY)
    .description(
      'Downloads a checkpoint. Goes on where it stopped, verifies every file, keeps what is there already.\nFLUX.1-dev is gated: accept its licence on its page, then give a token of that account.',
    )
    .option('--dir <folder>', 'where to (default: <data>/models/<name>)')
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .option('--token <token>', 'access token; better in HF_TOKEN, which other users of this machine cannot read')
    .option('--endpoint <url>', "the hub's address, for mirrors (default: https://huggingface.co)")
    .addHelpText(
      'after',
      '\nExamples:\n  HF_TOKEN=hf_... atelier model pull\n  atelier model pull black-forest-labs/FLUX.1-schnell',
    )
    .action(handle<PullFlags>(pull));
  model
    .command('inspect')
    .argument('[folder]', 'a checkpoint (default: --model, or ATELIER_MODEL)')
    .description('Opens a checkpoint, checks every component, and tells their tensors and sizes.')
    .option('--fingerprints', 'also hash the weights: what makes cached latents and prompts valid')
    .addHelpText(
      'after',
      '\nExamples:\n  atelier model inspect\n  atelier model inspect models/FLUX.1-dev --fingerprints --json',
    )
    .action(handle<InspectFlags>(inspect));
}

async function pull({ settings, out, interrupt }: Context, flags: PullFlags, repository: string): Promise<void> {
  const dir = resolve(flags.dir ?? join(modelsFolder(settings.data), basename(repository)));
  let bar: Progress | undefined;
  try {
    const result = await pullModel(repository, {
      dir,
      token: flags.token ?? settings.hubToken,
      revision: flags.revision,
      endpoint: flags.endpoint,
      signal: interrupt.signal,
      onProgress: ({ file, done, total }) => {
        bar ??= new Progress(out, { label: 'download', total, format: bytes });
        bar.update(done, { details: file });
      },
    });
    bar?.done();
    out.object({ type: 'pulled', repository, ...result });
    out.line(
      `${dir}: ${result.files} files, ${bytes(result.bytes)}, ${bytes(result.downloaded)} of them downloaded now (${repository} at ${result.commit.slice(0, 12)})`,
    );
  } finally {
    bar?.done();
  }
}

async function inspect(
  { settings, out, interrupt }: Context,
  { fingerprints }: InspectFlags,
  folder: string | undefined,
): Promise<void> {
  const dir = resolve(folder ?? settings.model);
  const checkpoint = await openCheckpoint(dir);
  const reports = await inspectCheckpoint(dir, { signal: interrupt.signal });
  const { guidance } = checkpoint.fluxConfig;
  const hashes = fingerprints ? await checkpoint.fingerprints(join(settings.data, 'fingerprints.json')) : undefined;
  out.object({
    type: 'checkpoint',
    dir,
    guidance,
    t5_max_length: checkpoint.t5MaxLength,
    complete: COMPONENT_NAMES,
    components: reports,
    ...(hashes && { fingerprints: hashes }),
  });
  out.line(
    `${dir}: FLUX.1 ${guidance ? 'with a guidance embedding (dev)' : 'without a guidance embedding (schnell)'}, prompts of up to ${checkpoint.t5MaxLength} T5 tokens`,
  );
  out.table(
    ['COMPONENT', 'TENSORS', 'SIZE', 'DTYPE', ''],
    reports.map(({ component, tensors, bytes: count, dtype, details }) => [
      component,
      String(tensors),
      bytes(count),
      dtype,
      details,
    ]),
    'It has no weights.',
  );
  for (const [name, hash] of Object.entries(hashes ?? {})) out.line(`${name.padEnd(12)} ${hash}`);
}
