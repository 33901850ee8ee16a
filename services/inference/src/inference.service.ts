import { Inject, Injectable } from '@nestjs/common';
import { buckets, type GenerateWork, type IAdapterUse } from '@atelier/contracts';
import {
  drawPicture,
  encodePicture,
  ModelHost,
  PromptSource,
  type PictureFormat,
  type PromptEmbeds,
} from '@atelier/drawing';
import { LOGGER, ServiceStatus, throughOutage, type Logger, type WorkContext } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { AdapterLibrary, type AdapterVersion } from './adapter-library';
import { checkWork } from './check-work';
import { DeviceMemory } from './device-memory';
import { GenerationStates, isOver } from './generation-states';
import { InferenceMetrics } from './inference.metrics';
import { Samplers } from './samplers';

type DrawContext = Pick<WorkContext, 'attempt' | 'progress' | 'signal'>;

/** A prompt and adapters in, pictures out. */
@Injectable()
export class InferenceService {
  constructor(
    private readonly models: ModelHost,
    private readonly prompts: PromptSource,
    private readonly library: AdapterLibrary,
    private readonly samplers: Samplers,
    private readonly memory: DeviceMemory,
    private readonly blobs: BlobStore,
    private readonly states: GenerationStates,
    private readonly metrics: InferenceMetrics,
    private readonly status: ServiceStatus,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Draws all pictures of a request. Delivered twice, it leaves the same pictures; those that are there are not drawn again.
   * @param context its signal is raised when the service is to stop: the picture in hand is then put down
   * @returns 'over' when the drawing has ended, however; errors are for the caller to judge
   */
  async generate({ id }: Pick<GenerateWork, 'id'>, context: DrawContext): Promise<'over' | 'put down'> {
    const generation = await this.states.get(id);
    if (isOver(generation)) {
      await this.states.tellState(generation);
      return 'over';
    }
    const watch = this.states.watch(id);
    try {
      const signal = AbortSignal.any([watch.met, context.signal]);
      const images = await this.draw(id, generation.work as GenerateWork, { ...context, signal });
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
    if (generation && !isOver(generation)) await this.states.failed(id, reason);
  }

  private async draw(id: string, work: GenerateWork, { attempt, progress, signal }: DrawContext): Promise<string[]> {
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
    // Before any model is loaded: the encoders may need the room.
    const prompt = await this.prompts.get(await this.models.checkpoint(), work.prompt, signal);
    const images: string[] = [];
    for (let index = 0; index < work.count; index++) {
      signal.throwIfAborted();
      this.status.detail = `draws picture ${index + 1} of ${work.count} (${id})`;
      const image = `${id}/${index}.${format}`;
      if (!(await throughOutage(() => this.blobs.has(buckets.blobs.samples, image)))) {
        const bytes = await this.picture(id, work, index, format, adapters, prompt, signal);
        await throughOutage(() => this.blobs.put(buckets.blobs.samples, image, bytes));
        if (index + 1 < work.count) await Promise.all([progress(), this.states.pictureStored(id)]);
      }
      images.push(image);
      await this.memory.makeWay();
    }
    return images;
  }

  /** Each picture of a request has a seed of its own, counted up from the request's. */
  private async picture(
    id: string,
    work: GenerateWork,
    index: number,
    format: PictureFormat,
    adapters: AdapterVersion[],
    prompt: PromptEmbeds,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const request = {
      width: work.width,
      height: work.height,
      steps: work.steps,
      guidance: work.guidance,
      seed: work.seed + index,
    };
    let telling: Promise<void> = Promise.resolve();
    const onStep = (step: number): void => {
      telling = telling
        .then(() => this.states.progress(id, index * work.steps + step, work.count * work.steps))
        .catch(() => undefined);
    };
    for (;;) {
      const image = await this.models.use(async (models) => {
        const { scheduler } = models.checkpoint;
        const sampler = await this.samplers.get(models, adapters, work.fused);
        const vae = await models.vae();
        const memoryBudget = Math.max(1, this.memory.bytes - vae.weightBytes);
        const plan = await sampler.plan(
          { ...request, ...prompt, scheduler, memoryBudget, decodeBytes: vae.decodeBytes(work.height, work.width) },
          { signal },
        );
        if (!(await this.memory.cover(plan.totalBytes + vae.weightBytes, signal))) return undefined;
        const stopTimer = this.metrics.pictureSeconds.startTimer();
        const drawn = await drawPicture(sampler, vae, { ...request, scheduler, memoryBudget, prompt, onStep, signal });
        stopTimer();
        return drawn;
      });
      await telling;
      if (image) return encodePicture(image, format);
      await this.models.release();
    }
  }

  private async find(uses: readonly IAdapterUse[]): Promise<AdapterVersion[]> {
    const found: AdapterVersion[] = [];
    for (const use of uses) found.push(await this.library.find(use));
    return found;
  }
}
