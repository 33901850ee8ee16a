import { Inject, Injectable } from '@nestjs/common';
import { buckets, type Run } from '@atelier/contracts';
import { drawPicture, encodePicture, PromptSource, type Models } from '@atelier/drawing';
import type { FluxTransformer, MemoryPlan, Shape, Trainer } from '@atelier/engine';
import { LOGGER, throughOutage, type Logger } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { RunStates } from './run-states';

/** What a picture is drawn with where the options say nothing: the guidance FLUX.1-dev is used with. */
const GUIDANCE = 3.5;
/** How long the prompts service may take for a validation prompt. */
const PROMPT_MS = 120_000;
const TOKEN_PIXELS = 16;

export const validates = ({ options }: Pick<Run, 'options'>): boolean => (options?.validateEvery ?? 0) > 0 && (options?.validationPrompts?.length ?? 0) > 0;

/** Pictures drawn while a run trains, with a copy of the adapter as it is. One that cannot be drawn costs the picture, not the run. */
@Injectable()
export class Validation {
  constructor(
    private readonly prompts: PromptSource,
    private readonly blobs: BlobStore,
    private readonly runs: RunStates,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Has the prompts encoded while the encoders are at work anyway. */
  async prepare({ checkpoint }: Pick<Models, 'checkpoint'>, run: Run, signal: AbortSignal): Promise<void> {
    if (!validates(run)) return;
    for (const prompt of run.options?.validationPrompts ?? []) await this.prompts.get(checkpoint, prompt, signal).catch(() => undefined);
  }

  /** What drawing takes beside the training plan, at most: arena (denoising's or decoding's), workspace, the sampler's own state, the VAE's weights. Bytes. */
  async extraBytes({ checkpoint, ...models }: Pick<Models, 'checkpoint' | 'vae'>, transformer: FluxTransformer, run: Pick<Run, 'options'>, { gridH, gridW, textTokens }: Shape): Promise<number> {
    if (!validates(run)) return 0;
    const vae = await models.vae();
    const sampler = await transformer.createSampler();
    try {
      const { jointDim, pooledDim } = transformer.dims;
      const width = gridW * TOKEN_PIXELS, height = gridH * TOKEN_PIXELS;
      const plan: MemoryPlan = await sampler.plan({
        width,
        height,
        decodeBytes: vae.decodeBytes(height, width),
        steps: run.options?.validationSteps || 1,
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
   * @returns false when the signal came first
   */
  async draw(models: Models, transformer: FluxTransformer, trainer: Trainer, run: Run, drawn: Set<string>, { gridH, gridW }: Shape, signal: AbortSignal): Promise<boolean> {
    const step = trainer.step;
    if (!validates(run) || step === 0 || step % (run.options?.validateEvery ?? 0) !== 0) return true;
    const due = (run.options?.validationPrompts ?? []).map((prompt, i) => ({ prompt, image: `${run.id}/step-${String(step).padStart(6, '0')}-${i}.png` })).filter(({ image }) => !drawn.has(image));
    if (due.length === 0) return true;
    const adapter = await trainer.adapter();
    const sampler = await transformer.createSampler([{ adapter, weight: 1 }]);
    try {
      for (const { prompt, image } of due) {
        if (signal.aborted) return false;
        try {
          const picture = await drawPicture(sampler, await models.vae(), {
            width: gridW * TOKEN_PIXELS,
            height: gridH * TOKEN_PIXELS,
            steps: run.options?.validationSteps || 1,
            guidance: GUIDANCE,
            seed: run.options?.validationSeed ?? 0,
            prompt: await this.prompts.get(models.checkpoint, prompt, AbortSignal.any([signal, AbortSignal.timeout(PROMPT_MS)])),
            scheduler: models.checkpoint.scheduler,
            signal,
          });
          const bytes = await encodePicture(picture, 'png');
          await throughOutage(() => this.blobs.put(buckets.blobs.samples, image, bytes));
          await this.runs.sample(run.id, step, prompt, image);
          drawn.add(image);
        } catch (error) {
          if (signal.aborted) return false;
          this.logger.warn({ runId: run.id, step, prompt, error: (error as Error).message }, 'a validation picture could not be drawn');
        }
      }
      return true;
    } finally {
      await sampler.dispose();
      await adapter.dispose();
    }
  }
}
