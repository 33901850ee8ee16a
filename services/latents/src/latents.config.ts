import { loadConfig } from '@atelier/mesh';
import { ComputeConfig, computeSettings } from '@atelier/models';

/** Settings of the latents service: those of every service that computes. */
export class LatentsConfig extends ComputeConfig {
  constructor(env: Record<string, string | undefined>) {
    super(loadConfig(computeSettings, env));
  }
}
