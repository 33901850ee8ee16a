// A fixtures folder: a small checkpoint and golden numbers that the reference libraries computed with it. Every size, option and name
// comes from its manifest, its config files and the tensors' own names and shapes.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, openCheckpoint } from '@atelier/checkpoint';
import { Goldens } from './goldens';
import { type Settings, settingsOf } from './settings';

export interface PromptIds {
  prompt: string;
  clip: number[];
  t5: number[];
  /** T5 tokens with the closing one, before any cut. */
  t5_untruncated_length?: number;
}

export class Fixtures {
  private readonly opened = new Map<string, Promise<Goldens>>();

  private constructor(
    readonly dir: string,
    readonly checkpoint: Checkpoint,
    readonly settings: Settings,
  ) {}

  static async open(dir: string): Promise<Fixtures> {
    const manifest: unknown = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8'));
    return new Fixtures(dir, await openCheckpoint(join(dir, 'model')), settingsOf(manifest));
  }

  /** A safetensors file of the folder, read once. */
  goldens(file: string): Promise<Goldens> {
    const found = this.opened.get(file) ?? readFile(this.path(file)).then((bytes) => new Goldens(file, bytes));
    this.opened.set(file, found);
    return found;
  }

  async json<T>(file: string): Promise<T> {
    return JSON.parse(await readFile(this.path(file), 'utf8')) as T;
  }

  prompts(): Promise<PromptIds[]> {
    return this.json<PromptIds[]>('tokens.json');
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  adapterFile(name: string): string {
    return join(`lora_${name}`, 'pytorch_lora_weights.safetensors');
  }

  /** Names of the adapters: of folders lora_<name>. */
  async adapters(): Promise<string[]> {
    const entries = await readdir(this.dir, { withFileTypes: true });
    return entries
      .flatMap((entry) =>
        entry.isDirectory() && entry.name.startsWith('lora_') ? [entry.name.slice('lora_'.length)] : [],
      )
      .sort();
  }

  /** Tensors that no check has asked for, file by file. */
  async unread(): Promise<string[]> {
    const files = (await readdir(this.dir)).filter((file) => file.endsWith('.safetensors'));
    const names = await Promise.all(
      files.map(async (file) => (await this.goldens(file)).unread().map((name) => `${file} ${name}`)),
    );
    return names.flat();
  }
}
