import { join } from 'node:path';
import { componentFiles } from './component-files';
import {
  type FluxConfig,
  readFluxConfig,
  readSchedulerConfig,
  readVaeConfig,
  type SchedulerConfig,
  type VaeConfig,
} from './configs';
import { CheckpointError } from './errors';
import { FileHashes, joinHashes, type Fingerprints } from './fingerprint';
import { readJsonObject } from './json-file';
import { COMPONENT_NAMES, COMPONENTS, type ComponentName, INDEX_FILE, PIPELINES } from './layout';
import { openTokenizers, type Tokenizers } from './tokenizers';
import { checkWeightSize } from './weight-sizes';

/** A complete FLUX.1 checkpoint on disk. Made by `openCheckpoint`. */
export class Checkpoint {
  private opened?: Promise<Tokenizers>;

  /** @internal use openCheckpoint */
  constructor(
    readonly dir: string,
    readonly scheduler: SchedulerConfig,
    readonly fluxConfig: FluxConfig,
    readonly vaeConfig: VaeConfig,
    /** The longest prompt in T5 tokens: 512 with a guidance embedding (dev), 256 without (schnell). */
    readonly t5MaxLength: number,
    private readonly files: Record<ComponentName, string[]>,
  ) {}

  /** The folder of a component, as the engine's load calls want it. */
  component(name: ComponentName): string {
    return join(this.dir, name);
  }

  /**
   * sha256 of each component's config and weights. The first call on new files reads them all; later ones ask the cache.
   * @param cacheFile where hashes are kept (default: fingerprints.json in the data folder)
   */
  async fingerprints(cacheFile?: string): Promise<Fingerprints> {
    const hashes = await FileHashes.open(cacheFile);
    const { vae, text_encoder: clip, text_encoder_2: t5, transformer, tokenizer, tokenizer_2 } = this.files;
    const result = {
      vae: await hashes.combined(vae),
      clip: await hashes.combined(clip),
      t5: await hashes.combined(t5),
      transformer: await hashes.combined(transformer),
      tokenizers: await hashes.combined([...tokenizer, ...tokenizer_2]),
    };
    await hashes.save().catch(() => undefined); // a read-only data folder only makes the next call slower
    return { ...result, text: joinHashes(result.clip, result.t5, result.tokenizers) };
  }

  /**
   * That no weight file is cut short, or still being written: each is as long as its header says. Reads headers alone.
   * @throws CheckpointError naming the file and the numbers
   */
  async checkWhole(): Promise<void> {
    const weights = Object.values(this.files)
      .flat()
      .filter((file) => file.endsWith('.safetensors'));
    for (const file of weights) await checkWeightSize(file);
  }

  /** Both tokenizers, opened once. */
  tokenizers(): Promise<Tokenizers> {
    this.opened ??= openTokenizers(this.dir);
    return this.opened;
  }
}

/**
 * Opens a checkpoint folder in the layout that diffusers publishes FLUX.1 in: every component is there and of a known class,
 * the configs are readable and fit each other. Weights themselves are checked when the engine loads them.
 * @throws CheckpointError naming the file, what is wrong and what to do
 */
export async function openCheckpoint(dir: string): Promise<Checkpoint> {
  await checkIndex(dir);
  const files = {} as Record<ComponentName, string[]>;
  for (const name of COMPONENT_NAMES) files[name] = await componentFiles(dir, name);
  const config = (name: ComponentName) => readJsonObject(files[name][0]!, `the settings of ${name}`);
  const scheduler = readSchedulerConfig(files.scheduler[0]!, await config('scheduler'));
  const flux = readFluxConfig(files.transformer[0]!, await config('transformer'));
  const vae = readVaeConfig(files.vae[0]!, await config('vae'));
  const fit = (file: string, key: string, found: unknown, wanted: number, of: string) => {
    if (found !== wanted) {
      throw new CheckpointError(
        'FAILED_PRECONDITION',
        `${file}: ${key} is ${JSON.stringify(found)}, but the transformer takes ${of} of ${wanted}; the folders belong to different models`,
      );
    }
  };
  fit(
    files.text_encoder[0]!,
    'hidden_size',
    (await config('text_encoder')).hidden_size,
    flux.pooledDim,
    'pooled vectors',
  );
  fit(files.text_encoder_2[0]!, 'd_model', (await config('text_encoder_2')).d_model, flux.jointDim, 'prompt embeds');
  fit(files.vae[0]!, 'latent_channels × 4', vae.latentChannels * 4, flux.inChannels, 'packed latents');
  return new Checkpoint(dir, scheduler, flux, vae, flux.guidance ? 512 : 256, files);
}

/** The same, of which no weight file is cut short: what a service looks for before it takes work. */
export async function openWholeCheckpoint(dir: string): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(dir);
  await checkpoint.checkWhole();
  return checkpoint;
}

async function checkIndex(dir: string): Promise<void> {
  const file = join(dir, INDEX_FILE);
  const index = await readJsonObject(file, 'the list of components');
  if (!PIPELINES.includes(index._class_name as string)) {
    throw new CheckpointError(
      'UNIMPLEMENTED',
      `${file}: _class_name is ${JSON.stringify(index._class_name)}, supported is ${PIPELINES.join(', ')}; use a FLUX.1-dev or FLUX.1-schnell checkpoint`,
    );
  }
  for (const name of COMPONENT_NAMES) {
    const entry = index[name];
    const found: unknown = Array.isArray(entry) ? entry[1] : undefined;
    if (!COMPONENTS[name].classes.includes(found as string)) {
      throw new CheckpointError(
        'FAILED_PRECONDITION',
        `${file}: ${name} is ${JSON.stringify(entry)}, expected a ${COMPONENTS[name].classes.join(' or ')}; use a complete checkpoint`,
      );
    }
  }
}
