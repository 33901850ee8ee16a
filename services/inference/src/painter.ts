import { Injectable } from '@nestjs/common';
import type { Tensor } from '@atelier/checkpoint';
import type { GenerateWork } from '@atelier/contracts';
import { drawPicture, PromptSource, type PromptEmbeds } from '@atelier/drawing';
import { inSpan } from '@atelier/mesh';
import { LeasedModels, type Models } from '@atelier/models';
import type { AdapterVersion } from './adapter-library';
import { InferenceConfig } from './inference.config';
import { InferenceMetrics } from './inference.metrics';
import { PictureInHand } from './picture-in-hand';
import { Samplers } from './samplers';

/** What all pictures of a request are drawn from. */
export interface Subject {
  prompt: PromptEmbeds;
  adapters: readonly AdapterVersion[];
  fused: boolean;
}

/** One picture's part of a request. */
export type PictureSettings = Pick<GenerateWork, 'width' | 'height' | 'steps' | 'guidance' | 'seed'>;

/** Draws pictures, each within the memory that its plan says, leased from whoever shares the device. */
@Injectable()
export class Painter {
  constructor(
    private readonly models: LeasedModels,
    private readonly prompts: PromptSource,
    private readonly samplers: Samplers,
    private readonly metrics: InferenceMetrics,
    private readonly config: InferenceConfig,
  ) {}

  /** Loads no model: the encoders may need the room. Throws FAILED_PRECONDITION when the prompt cannot be encoded. */
  async prompt(text: string, signal: AbortSignal): Promise<PromptEmbeds> {
    return this.prompts.get(await this.models.checkpoint(), text, signal);
  }

  /**
   * (3, height, width).
   * @param stopping raised when the service is to stop: the picture still comes to its end where the grace allows
   */
  async draw(
    subject: Subject,
    settings: PictureSettings,
    { onStep, ended, stopping }: { onStep: (step: number) => void; ended: AbortSignal; stopping: AbortSignal },
  ): Promise<Tensor> {
    const picture = new PictureInHand(settings.steps, this.config.graceMs, stopping);
    const stepped = (step: number): void => {
      picture.step(step);
      onStep(step);
    };
    try {
      const signal = AbortSignal.any([ended, picture.signal]);
      return await this.drawWithin(subject, settings, { onStep: stepped, signal });
    } finally {
      picture.close();
    }
  }

  private drawWithin(
    { prompt, adapters, fused }: Subject,
    settings: PictureSettings,
    { onStep, signal }: { onStep: (step: number) => void; signal: AbortSignal },
  ): Promise<Tensor> {
    const need = async (models: Models) => {
      const sampler = await this.samplers.get(models, adapters, fused);
      const vae = await models.vae();
      const decodeBytes = vae.decodeBytes(settings.height, settings.width);
      const request = {
        ...settings,
        scheduler: models.checkpoint.scheduler,
        memoryBudget: Math.max(1, this.models.deviceBytes - vae.weightBytes),
      };
      const plan = await sampler.plan({ ...request, ...prompt, decodeBytes }, { signal });
      return { sampler, vae, request, bytes: plan.totalBytes + vae.weightBytes };
    };
    return this.models.use(
      need,
      async ({ sampler, vae, request }) => {
        const stopTimer = this.metrics.pictureSeconds.startTimer();
        const drawn = await inSpan('draw picture', { attributes: attributesOf(settings) }, () =>
          drawPicture(sampler, vae, { ...request, prompt, onStep, signal }),
        );
        stopTimer();
        return drawn;
      },
      signal,
    );
  }
}

const attributesOf = ({ width, height, steps }: PictureSettings) => ({
  'atelier.picture.width': width,
  'atelier.picture.height': height,
  'atelier.picture.steps': steps,
});
