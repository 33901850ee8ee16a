import type { RecipeName, TrainOptionsJson } from '../gen/train-options';

export type { RecipeName };

/** Defaults of other options, by what is to be learnt. What a recipe leaves out keeps its own default. */
export interface RecipeSpec {
  /** One sentence. */
  readonly about: string;
  readonly options: Readonly<Partial<Omit<TrainOptionsJson, 'recipe'>>>;
}

// Every linear of attention and MLP in all blocks, as kohya's lora_flux.py, ai-toolkit and SimpleTuner's "all" adapt them;
// diffusers' README_flux.md names all of these but the last two, which the single blocks have. proj_out names the model's
// last layer too. Modulation is left alone.
const ALL_LINEARS = [
  ...['to_q', 'to_k', 'to_v', 'to_out.0', 'add_q_proj', 'add_k_proj', 'add_v_proj', 'to_add_out'],
  ...['ff.net.0.proj', 'ff.net.2', 'ff_context.net.0.proj', 'ff_context.net.2', 'proj_mlp', 'proj_out'],
];

// What published recipes of a FLUX.1-dev LoRA agree on: rank 16 and alpha as the rank (ai-toolkit's
// train_lora_flux_24gb.yaml, Replicate, Civitai, OneTrainer's preset), 1e-4 over 2000 visits at batch 1 (ai-toolkit,
// Civitai; Replicate has 4e-4 over 1000), sigmas at the sigmoid of a normal number (ai-toolkit, SimpleTuner), guidance 1
// and mean squared error (all of them; both are defaults here already).
const COMMON: RecipeSpec['options'] = {
  rank: 16,
  targets: ALL_LINEARS,
  learning_rate: 1e-4,
  total_steps: 2000,
  timestep_sampling: 'sigmoid',
};

export const recipes: Readonly<Record<RecipeName, RecipeSpec>> = {
  seed: {
    about: "What the reference script does: diffusers' train_dreambooth_lora_flux.py as its QLoRA article runs it.",
    options: {},
  },
  style: {
    about: 'A manner of drawing: all noise levels about the middle, and a learning rate that falls to nothing.',
    // Civitai's cosine: the adapter that is kept is the last one, so it should be one at rest.
    options: { ...COMMON, lr_schedule: 'cosine' },
  },
  subject: {
    about:
      'One person, animal or thing: more noise, where the composition is settled, the more the larger the picture.',
    // kohya's docs/flux_train_network.md: flux_shift and a constant rate; OneTrainer: dynamic timestep shifting.
    options: { ...COMMON, resolution_shift: true },
  },
  detail: {
    about: 'Texture, material and line, without touching the composition: little noise.',
    // SimpleTuner's guide of FLUX: a shift of 0.1 for fine detail, of 4 for composition.
    options: { ...COMMON, lr_schedule: 'cosine', flow_shift: 0.1 },
  },
};
