import { Inject, Injectable } from '@nestjs/common';
import type { Tensor } from '@atelier/checkpoint';
import { buckets, type GenerateWork, type IAdapterUse } from '@atelier/contracts';
import { encodePicture } from '@atelier/drawing';
import { Generations, isGenerationOver } from '@atelier/jobs';
import { LOGGER, ServiceStatus, type Logger, type WorkContext } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { AdapterLibrary, type AdapterVersion } from './adapter-library';
import { checkWork } from './check-work';
import { Painter, type Subject } from './painter';

type DrawContext = Pick<WorkContext, 'attempt' | 'progress' | 'signal'>;

/** A prompt and adapters in, pictures out. */
@Injectable()
export class InferenceService {
  constructor(
    private readonly library: AdapterLibrary,
    private readonly painter: Painter,
    private readonly blobs: BlobStore,
    private readonly states: Generations,
    private readonly status: ServiceStatus,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Draws all pictures of a request. Delivered twice, it leaves the same pictures; those that are there are not drawn again.
   * @param context its signal is raised when the service is to stop: the picture in hand still comes to its end
   *   where the grace allows, and the others are left to whoever goes on
   * @returns 'over' when the drawing has ended, however; errors are for the caller to judge
   */
  async generate({ id }: Pick<GenerateWork, 'id'>, context: DrawContext): Promise<'over' | 'put down'> {
    const generation = await this.states.find(id);
    if (!generation) {
      this.logger.info({ id }, 'the drawing was deleted: nothing to do');
      return 'over';
    }
    if (isGenerationOver(generation)) {
      await this.states.tellState(generation);
      return 'over';
    }
    const watch = this.states.watch(id);
    try {
      const images = await this.draw(id, generation.work as GenerateWork, { ...context, ended: watch.met });
      await this.states.finished(id, images);
      return 'over';
    } catch (error) {
      if (watch.met.aborted) {
        await this.states.cancelled(id);
        return 'over';
      }
      if (!context.signal.aborted) throw error;
    } finally {
      this.status.detail = '';
      await watch.close();
    }
    await this.states.preempted(id);
    return 'put down';
  }

  /** Ends a drawing that cannot be made, with the reason. A drawing that is over already, or that does not exist, is left alone. */
  async giveUp(id: string, reason: string): Promise<void> {
    const generation = await this.states.find(id);
    if (generation && !isGenerationOver(generation)) await this.states.failed(id, reason);
  }

  private async draw(
    id: string,
    work: GenerateWork,
    { attempt, progress, signal: stopping, ended }: DrawContext & { ended: AbortSignal },
  ): Promise<string[]> {
    const signal = AbortSignal.any([ended, stopping]);
    const { format } = checkWork(work);
    const adapters = await this.find(work.adapters);
    signal.throwIfAborted();
    await this.states.running(id, attempt);
    this.logger.info(
      {
        id,
        width: work.width,
        height: work.height,
        count: work.count,
        adapters: adapters.map(({ name, weight }) => `${name} × ${weight}`),
      },
      'drawing',
    );
    const subject = { adapters, fused: work.fused, prompt: await this.painter.prompt(work.prompt, signal) };
    const images: string[] = [];
    for (let index = 0; index < work.count; index++) {
      signal.throwIfAborted();
      this.status.detail = `draws picture ${index + 1} of ${work.count} (${id})`;
      const image = `${id}/${index}.${format}`;
      if (!(await this.blobs.has(buckets.blobs.samples, image))) {
        const bytes = await encodePicture(await this.picture(id, work, index, subject, { ended, stopping }), format);
        await this.blobs.put(buckets.blobs.samples, image, bytes);
        if (index + 1 < work.count) await Promise.all([progress(), this.states.pictureStored(id)]);
      }
      images.push(image);
    }
    return images;
  }

  /** Each picture of a request has a seed of its own, counted up from the request's. */
  private async picture(
    id: string,
    { width, height, steps, guidance, seed, count }: GenerateWork,
    index: number,
    subject: Subject,
    signals: { ended: AbortSignal; stopping: AbortSignal },
  ): Promise<Tensor> {
    let telling: Promise<void> = Promise.resolve();
    const onStep = (step: number): void => {
      telling = telling
        .then(() => this.states.progress(id, index * steps + step, count * steps))
        .catch(() => undefined);
    };
    const settings = { width, height, steps, guidance, seed: seed + index };
    const image = await this.painter.draw(subject, settings, { onStep, ...signals });
    await telling;
    return image;
  }

  private async find(uses: readonly IAdapterUse[]): Promise<AdapterVersion[]> {
    const found: AdapterVersion[] = [];
    for (const use of uses) found.push(await this.library.find(use));
    return found;
  }
}
