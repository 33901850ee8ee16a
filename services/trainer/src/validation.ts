import { Inject, Injectable } from '@nestjs/common';
import { buckets, type CompleteTrainOptions } from '@atelier/contracts';
import { drawPicture, encodePicture, PromptSource } from '@atelier/drawing';
import type { Transformer, MemoryPlan, Shape, Trainer } from '@atelier/engine';
import type { HeldRun } from '@atelier/jobs';
import { inSpan, LOGGER, type Logger } from '@atelier/mesh';
import type { Models } from '@atelier/models';
import { BlobStore } from '@atelier/store';

/** What a picture is drawn with where the options say nothing: the guidance FLUX.1-dev is used with. */
const GUIDANCE = 3.5;
const TOKEN_PIXELS = 16;

interface ValidatedRun {
  held: HeldRun;
  options: CompleteTrainOptions;
  /** It ends with this step, be it early. */
  last: boolean;
}

const validates = ({ validateEvery, validationPrompts }: CompleteTrainOptions): boolean =>
  validateEvery > 0 && validationPrompts.length > 0;

/** Pictures drawn while a run trains, with a copy of the adapter as it is. One that cannot be drawn costs the picture, not the run. */
@Injectable()
export class Validation {
  constructor(
    private readonly prompts: PromptSource,
    private readonly blobs: BlobStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** What drawing takes beside the training plan, at most: arena (denoising's or decoding's), workspace, the sampler's own state, the VAE's weights. Bytes. */
  async extraBytes(
    { checkpoint, ...models }: Pick<Models, 'checkpoint' | 'vae'>,
    transformer: Transformer,
    options: CompleteTrainOptions,
    { gridH, gridW, textTokens }: Shape,
  ): Promise<number> {
    if (!validates(options)) return 0;
    const vae = await models.vae();
    const sampler = await transformer.createSampler();
    try {
      const { jointDim, pooledDim } = transformer.dims;
      const width = gridW * TOKEN_PIXELS,
        height = gridH * TOKEN_PIXELS;
      const plan: MemoryPlan = await sampler.plan({
        width,
        height,
        decodeBytes: vae.decodeBytes(height, width),
        steps: options.validationSteps,
        guidance: GUIDANCE,
        seed: 0,
        promptEmbeds: { shape: [textTokens, jointDim], data: new Float32Array(textTokens * jointDim) },
        pooled: { shape: [pooledDim], data: new Float32Array(pooledDim) },
        scheduler: checkpoint.scheduler,
      });
      return plan.arenaBytes + plan.workspaceBytes + plan.stateBytes + vae.weightBytes;
    } finally {
      await sampler.dispose();
    }
  }

  /**
   * Draws the pictures of this step that are due and not there yet; `drawn` names those that are.
   * @returns false when the signal came first, or another has taken the run
   */
  async draw(
    models: Models,
    transformer: Transformer,
    trainer: Trainer,
    { held, options, last }: ValidatedRun,
    drawn: Set<string>,
    { gridH, gridW }: Shape,
    signal: AbortSignal,
  ): Promise<boolean> {
    const step = trainer.step;
    // Those that are due at the end are at an early one, too.
    const isDue = step % options.validateEvery === 0 || (last && options.validateEvery >= options.totalSteps);
    if (!validates(options) || step === 0 || !isDue) return true;
    const due = options.validationPrompts
      .map((prompt, i) => ({ prompt, image: `${held.id}/step-${String(step).padStart(6, '0')}-${i}.png` }))
      .filter(({ image }) => !drawn.has(image));
    if (due.length === 0) return true;
    const adapter = await trainer.adapter();
    const sampler = await transformer.createSampler([{ adapter, weight: 1 }]);
    try {
      for (const { prompt, image } of due) {
        if (signal.aborted) return false;
        try {
          const vae = await models.vae();
          const request = {
            width: gridW * TOKEN_PIXELS,
            height: gridH * TOKEN_PIXELS,
            steps: options.validationSteps,
            guidance: GUIDANCE,
            seed: options.validationSeed,
            prompt: await this.prompts.find(models.checkpoint, prompt, signal),
            scheduler: models.checkpoint.scheduler,
            signal,
          };
          const attributes = { 'atelier.run.step': step };
          const picture = await inSpan('draw picture', { attributes }, () => drawPicture(sampler, vae, request));
          const bytes = await encodePicture(picture, 'png');
          await this.blobs.put(buckets.blobs.samples, image, bytes);
          await held.sample(step, prompt, image);
          drawn.add(image);
        } catch (error) {
          if (signal.aborted || held.superseded) return false;
          this.logger.warn(
            { runId: held.id, step, prompt, error: (error as Error).message },
            'a validation picture could not be drawn',
          );
        }
      }
      return true;
    } finally {
      await sampler.dispose();
      await adapter.dispose();
    }
  }
}
