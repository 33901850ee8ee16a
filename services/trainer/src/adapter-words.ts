import { createHash } from 'node:crypto';
import type { ISample } from '@atelier/contracts';

export interface AdapterOrigin {
  /** Fingerprint of the transformer that it was trained on. */
  baseFingerprint: string;
  /** Whether that one takes guidance, as FLUX.1-dev does and schnell does not. */
  guidance: boolean;
  /** Digest of what it was trained on. */
  datasetDigest: string;
}

/**
 * What an adapter's file says of itself, in the words that kohya's scripts, ComfyUI and the hub look for. Nothing in
 * it tells one making of the same adapter from another: the same training gives the same bytes.
 */
export function adapterWords({ rank, alpha }: { rank: number; alpha: number }, origin: AdapterOrigin) {
  return {
    base_fingerprint: origin.baseFingerprint,
    dataset_digest: origin.datasetDigest,
    'modelspec.sai_model_spec': '1.0.0',
    'modelspec.architecture': `flux-1-${origin.guidance ? 'dev' : 'schnell'}/lora`,
    ss_base_model_version: 'flux1',
    ss_network_dim: String(rank),
    ss_network_alpha: String(alpha),
  };
}

/** Of pictures and captions by their content, in whatever order and under whatever names they came. */
export function datasetDigest(samples: readonly ISample[]): string {
  const lines = samples.map(({ latentsKey, promptsKey }) => `${latentsKey} ${promptsKey}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}
