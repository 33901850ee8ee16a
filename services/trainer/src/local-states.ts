import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import type { HeldRun } from '@atelier/jobs';
import { LOGGER, type Logger } from '@atelier/mesh';
import { z } from 'zod';
import { TrainerConfig } from './trainer.config';
import { picturesSchema, type TrainingState } from './training-state';

/** Of runs that went on elsewhere: nobody comes back for them. */
const KEPT_MS = 14 * 24 * 60 * 60 * 1000;
const NEWLINE = 0x0a;

const count = z.int().min(0);
const headerSchema = z.object({
  step: count,
  position: count,
  skipped: z.array(count),
  pictures: picturesSchema.optional(),
  sha256: z.string(),
});

/**
 * Training states in files of the trainer's own: of a trainer that is asked to stop while the mesh may be away. One
 * counts for the run's next taker, and for nobody after another has taken the run: its name has the fencing token of
 * who wrote it.
 */
@Injectable()
export class LocalStates {
  constructor(
    private readonly config: TrainerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Whole and on disk, or not there. @returns whether it is there: a disk may be full, or not for writing */
  async keep({ id, fence }: HeldRun, { engine, ...rest }: TrainingState): Promise<boolean> {
    const file = this.file(id, fence);
    const header = JSON.stringify({ ...rest, sha256: digest(engine) });
    try {
      await mkdir(this.config.statesDir, { recursive: true });
      const handle = await open(`${file}.part`, 'w');
      try {
        await handle.writeFile(`${header}\n`);
        await handle.writeFile(engine);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${file}.part`, file);
      return true;
    } catch (error) {
      const { message } = error as Error;
      this.logger.warn({ runId: id, file, error: message }, 'the training state could not be kept in a file');
      return false;
    }
  }

  /**
   * What this trainer left of the run, if nobody has taken it in between; the file then belongs to who has it now. What
   * is of no use to anybody any more is removed.
   */
  async take({ id, fence }: HeldRun): Promise<TrainingState | undefined> {
    await this.clearOld();
    const file = this.file(id, fence);
    const mine = await rename(this.file(id, fence - 1), file).then(
      () => true,
      () => false,
    );
    for (const other of await this.names()) {
      if (other.startsWith(`${id}.`) && join(this.config.statesDir, other) !== file) await this.delete(other);
    }
    return mine ? this.read(file) : undefined;
  }

  async remove({ id, fence }: HeldRun): Promise<void> {
    await rm(this.file(id, fence), { force: true });
  }

  private async read(file: string): Promise<TrainingState | undefined> {
    try {
      const bytes = await readFile(file);
      const end = bytes.indexOf(NEWLINE);
      const { sha256, ...header } = headerSchema.parse(JSON.parse(bytes.subarray(0, end).toString()));
      const engine = bytes.subarray(end + 1);
      if (digest(engine) !== sha256) throw new Error('its bytes do not fit its digest');
      return { ...header, engine };
    } catch (error) {
      this.logger.warn({ file, error: (error as Error).message }, 'a training state in a file cannot be read');
      await rm(file, { force: true });
      return undefined;
    }
  }

  private async clearOld(): Promise<void> {
    for (const name of await this.names()) {
      const { mtimeMs } = await stat(join(this.config.statesDir, name)).catch(() => ({ mtimeMs: Date.now() }));
      if (Date.now() - mtimeMs > KEPT_MS) await this.delete(name);
    }
  }

  private names(): Promise<string[]> {
    return readdir(this.config.statesDir).catch(() => []);
  }

  private async delete(name: string): Promise<void> {
    await rm(join(this.config.statesDir, name), { force: true });
  }

  private file(runId: string, fence: number): string {
    return join(this.config.statesDir, `${runId}.${fence}.state`);
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
