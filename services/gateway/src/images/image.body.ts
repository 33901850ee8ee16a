import { pictureFormats } from '@atelier/contracts';
import { z } from 'zod';

const size = z
  .string()
  .regex(/^(auto|[1-9]\d{1,3}x[1-9]\d{1,3})$/, 'use WIDTHxHEIGHT, such as 512x768, or auto')
  .refine(
    (text) => text === 'auto' || text.split('x').every((side) => Number(side) % 16 === 0 && Number(side) <= 4096),
    'both sides must be multiples of 16, at most 4096',
  );

/** OpenAI's image request; what follows `user` is our own addition. */
export const imageBody = z.strictObject({
  prompt: z.string().min(1).max(32_768),
  model: z.string().max(100).nullish().describe('The name of an adapter, or "base".'),
  n: z
    .int()
    .min(1)
    .max(10)
    .nullish()
    .transform((value) => value ?? 1),
  size: size.nullish().transform((value) => (!value || value === 'auto' ? '512x512' : value)),
  response_format: z
    .enum(['url', 'b64_json'])
    .nullish()
    .transform((value) => value ?? 'url'),
  output_format: z
    .enum(pictureFormats)
    .nullish()
    .transform((value) => value ?? 'png'),
  quality: z.string().max(20).nullish().describe('Taken for compatibility; steps decide.'),
  user: z.string().max(256).nullish().describe('Taken for compatibility; not kept.'),
  seed: z
    .int()
    .min(0)
    .optional()
    .describe('Equal seeds draw equal pictures. Default: a new one, which the answer tells.'),
  steps: z.int().min(1).max(1000).optional(),
  guidance: z.number().min(0).max(100).optional(),
  adapter: z.string().max(100).optional().describe('One adapter at full weight.'),
  adapters: z
    .array(z.strictObject({ name: z.string().max(100), weight: z.number().min(-10).max(10).default(1) }))
    .max(16)
    .optional(),
  async: z
    .boolean()
    .optional()
    .describe(
      'Answer at once with the id (202), as the header "Prefer: respond-async" asks too; the pictures come later.',
    ),
  fused: z.boolean().optional().describe('Merge the adapters into the base weights and quantise again.'),
});

export const imageAnswer = z.strictObject({
  created: z.int(),
  data: z.array(z.strictObject({ url: z.string().optional(), b64_json: z.string().optional() })),
  id: z.string(),
  seed: z.int(),
  size: z.string(),
  output_format: z.string(),
  preemptions: z
    .int()
    .describe('How often it was put down because its service was asked to stop. The pictures are the same.'),
});
