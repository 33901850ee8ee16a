import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { AtelierError } from '@atelier/contracts';

/** The part of the engine that is needed here. */
interface AdapterFiles {
  Adapter: { load(file: string): Promise<{ saveKohya(file: string): Promise<void> }> };
}

/** Rewrites an adapter with the keys that kohya's scripts and ComfyUI read. The engine knows how; it reads and writes files. */
@Injectable()
export class KohyaConverter {
  async convert(file: Readable): Promise<Uint8Array> {
    let folder: string | undefined;
    try {
      const { Adapter } = this.engine();
      folder = await mkdtemp(join(tmpdir(), 'atelier-kohya-'));
      const [source, target] = [join(folder, 'diffusers.safetensors'), join(folder, 'kohya.safetensors')];
      await pipeline(file, createWriteStream(source));
      const adapter = await Adapter.load(source);
      await adapter.saveKohya(target);
      return await readFile(target);
    } finally {
      file.destroy(); // without an engine or a folder nobody has read it
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    }
  }

  /** Loaded at its first use: a gateway that is never asked for kohya's format needs no native library. */
  private engine(): AdapterFiles {
    try {
      return require('@atelier/engine') as AdapterFiles;
    } catch (error) {
      throw new AtelierError('UNIMPLEMENTED', `this gateway has no engine to convert with (${(error as Error).message}): ask for format=diffusers, or build the native library`);
    }
  }
}
