import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Injectable } from '@nestjs/common';
import { AtelierError } from '@atelier/contracts';
import { Adapter, EngineError, missingAddon } from '@atelier/engine';

/** Rewrites an adapter with the keys that kohya's scripts and ComfyUI read, which the engine knows. */
@Injectable()
export class KohyaConverter {
  /** A gateway that is never asked for it needs no native library: it is loaded at the first use. */
  async convert(name: string, file: Readable): Promise<Uint8Array> {
    const missing = missingAddon();
    if (missing) {
      file.destroy();
      const remedy = 'ask for format=diffusers, or build the native library';
      throw new AtelierError(
        'UNIMPLEMENTED',
        `this gateway has no engine to convert with (${missing.message}): ${remedy}`,
      );
    }
    const bytes = await buffer(file);
    try {
      const adapter = await Adapter.fromBytes(bytes, 'its file');
      try {
        return await adapter.toBytes('kohya');
      } finally {
        await adapter.dispose();
      }
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const reason = `adapter ${name} cannot be written with kohya's keys: ${error.message}. Ask for format=diffusers`;
      throw new AtelierError('FAILED_PRECONDITION', reason, {}, { cause: error });
    }
  }
}
