// The diffusers layout of a FLUX.1 checkpoint: a folder a component, named in model_index.json.

export type ComponentName =
  'scheduler' | 'text_encoder' | 'text_encoder_2' | 'tokenizer' | 'tokenizer_2' | 'transformer' | 'vae';

export interface ComponentLayout {
  /** Classes in model_index.json that mean this component. */
  classes: readonly string[];
  config: string;
  /** Whether it has weights; weight-files.ts says which files they are. */
  weights?: true;
  /** Each group needs at least one complete alternative. */
  files?: readonly (readonly string[])[];
}

export const COMPONENTS: Record<ComponentName, ComponentLayout> = {
  scheduler: { classes: ['FlowMatchEulerDiscreteScheduler'], config: 'scheduler_config.json' },
  text_encoder: { classes: ['CLIPTextModel'], config: 'config.json', weights: true },
  text_encoder_2: { classes: ['T5EncoderModel'], config: 'config.json', weights: true },
  tokenizer: {
    classes: ['CLIPTokenizer', 'CLIPTokenizerFast'],
    config: 'tokenizer_config.json',
    files: [['tokenizer.json'], ['vocab.json', 'merges.txt']],
  },
  tokenizer_2: {
    classes: ['T5Tokenizer', 'T5TokenizerFast'],
    config: 'tokenizer_config.json',
    files: [['tokenizer.json'], ['spiece.model']],
  },
  transformer: { classes: ['FluxTransformer2DModel'], config: 'config.json', weights: true },
  vae: { classes: ['AutoencoderKL'], config: 'config.json', weights: true },
};

export const COMPONENT_NAMES = Object.keys(COMPONENTS) as ComponentName[];
export const INDEX_FILE = 'model_index.json';
export const PIPELINES: readonly string[] = ['FluxPipeline'];
