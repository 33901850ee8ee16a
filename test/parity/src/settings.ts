// What the goldens were computed with: the manifest's config, and the constants that its notes give in words ("lr 1e-2 constant").
// A note that leaves one out means the value of the folder's README.

export interface Settings {
  rank: number;
  alpha: number;
  targets: string[];
  /** Micro-batches to an update. */
  accumulation: number;
  /** Gradient norm above which gradients are scaled down. */
  clip: number;
  t5Length: number;
  training: { lr: number; beta1: number; beta2: number; eps: number; weightDecay: number; guidance: number };
  gradients: { sigma: number; guidance: number };
  inference: { steps: number; guidance: number; mix: { adapter: string; weight: number }[] };
  forward: { guidance: number; batchSigmas: number[]; batchPrompts: number[]; blockSigma: string };
}

interface Manifest {
  config: { rank: number; alpha: number; targets: string[]; accum: number; clip: number; t5_len: number };
  files?: Record<string, Record<string, unknown>>;
  [note: `${string}_note`]: string | undefined;
}

const NUMBER = String.raw`(-?[\d.]+(?:e[+-]?\d+)?)`;

/** @throws Error when the manifest lacks what every folder's has */
export function settingsOf(manifest: unknown): Settings {
  const {
    config,
    files,
    training_note: training = '',
    lora_note: lora = '',
    inference_note: inference = '',
    transformer_note: forward = '',
  } = manifest as Manifest;
  for (const key of ['rank', 'alpha', 'targets', 'accum', 'clip', 't5_len'] as const) {
    if (config?.[key] === undefined) throw new Error(`manifest.json: config.${key} is missing`);
  }
  const one = (note: string, before: string, fallback: number) => numbers(note, `${before} ${NUMBER}`)?.[0] ?? fallback;
  const [beta1 = 0.9, beta2 = 0.999] = numbers(training, `betas ${NUMBER} ${NUMBER}`) ?? [];
  return {
    rank: config.rank,
    alpha: config.alpha,
    targets: config.targets,
    accumulation: config.accum,
    clip: config.clip,
    t5Length: config.t5_len,
    training: {
      lr: one(training, 'lr', 1e-2),
      beta1,
      beta2,
      eps: one(training, 'eps', 1e-8),
      weightDecay: one(training, 'weight decay', 1e-4),
      guidance: one(training, 'guidance(?: input)?', 1),
    },
    gradients: { sigma: one(lora, 'sigma', 0.61), guidance: one(lora, 'guidance', 1) },
    inference: {
      steps: numbers(inference, `${NUMBER} steps`)?.[0] ?? 4,
      guidance: one(inference, 'guidance', 3.5),
      mix: mixOf(inference),
    },
    forward: {
      guidance: one(forward, 'guidance', 3.5),
      batchSigmas: numbers(forward, `sigmas ${NUMBER} and ${NUMBER}`) ?? [0.7, 0.2],
      batchPrompts: numbers(forward, `prompt rows ${NUMBER} and ${NUMBER}`) ?? [0, 1],
      blockSigma: blockSigmaOf(Object.keys(files?.['transformer.safetensors'] ?? {})),
    },
  };
}

function numbers(note: string, pattern: string): number[] | undefined {
  const found = new RegExp(String.raw`(?:^|[^\w.])${pattern}`, 'i').exec(note);
  return found?.slice(1).map(Number);
}

/** "lora_two = 0.7 a - 0.4 adamw": weighted adapters. */
function mixOf(note: string): { adapter: string; weight: number }[] {
  const terms = /lora_two = ([^;,]+)/.exec(note)?.[1] ?? '0.7 a - 0.4 adamw';
  return [...terms.matchAll(/([+-]?)\s*([\d.]+)\s*\*?\s*([a-z]\w*)/gi)].map(
    ([, sign = '', weight = '', adapter = '']) => ({
      adapter: adapter.replace(/^lora_/, ''),
      weight: Number(sign + weight),
    }),
  );
}

/** The blocks were recorded during the run whose output the manifest lists just before them. */
function blockSigmaOf(names: string[]): string {
  const first = names.findIndex((name) => name.startsWith('block_'));
  const run = names
    .slice(0, Math.max(first, 0))
    .reverse()
    .find((name) => /^out_[\d.]+$/.test(name));
  return run?.slice('out_'.length) ?? '0.5';
}
