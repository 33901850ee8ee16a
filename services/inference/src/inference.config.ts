import { join } from 'node:path';
import { dataFolder } from '@atelier/checkpoint';
import { baseQuants, type BaseQuantName } from '@atelier/contracts';
import { computeMemory, DEVICE_FORMS, DEVICE_PATTERN } from '@atelier/engine';
import { loadConfig } from '@atelier/mesh';
import { z } from 'zod';

const MIB = 2 ** 20;
const count = z.coerce.number().int().positive();

const settings = z.object({
  ATELIER_MODEL: z.string({ error: 'the folder of a checkpoint in the diffusers layout' }).min(1),
  ATELIER_DATA: z.string().min(1).optional(),
  ATELIER_COMPUTE: z.string().regex(DEVICE_PATTERN, DEVICE_FORMS).default('auto'),
  ATELIER_THREADS: z.coerce.number().int().min(0).max(1024).default(0),
  ATELIER_TEXT_TOKENS: count.max(512).optional(),
  ATELIER_DEVICE: z.string().min(1).optional(),
  ATELIER_DEVICE_MIB: z.coerce.number().positive().optional(),
  ATELIER_IDLE_SECONDS: z.coerce.number().min(0).max(86_400).default(60),
  ATELIER_INFERENCE_QUANT: z.enum(baseQuants).default('nf4'),
  ATELIER_INFERENCE_SAMPLERS: count.max(64).default(4),
});

/** Settings of the inference service; README.md has the table. */
export class InferenceConfig {
  /** Folder of the checkpoint that draws. */
  readonly model: string;
  /** Where quantised copies of the transformer are kept. */
  readonly cacheDir: string;
  /** What computes: cpu, cuda, cuda:N or auto; a card also with ,fp8 behind it. */
  readonly compute: string;
  /** On the CPU; 0: one a core. */
  readonly threads: number;
  /** T5 tokens of a prompt; the checkpoint's own length where none is set. */
  readonly textTokens?: number;
  /** Whose ledger the memory is leased from, and what it has in all, bytes. */
  readonly device: string;
  readonly deviceBytes: number;
  /** How long unused models stay loaded, and their lease held. */
  readonly idleMs: number;
  /** How the frozen weights are kept. */
  readonly quant: BaseQuantName;
  /** Combinations of adapters that stay at hand. */
  readonly samplers: number;

  constructor(env: Record<string, string | undefined>) {
    const given = loadConfig(settings, env);
    this.model = given.ATELIER_MODEL;
    this.cacheDir = join(given.ATELIER_DATA ?? dataFolder(), 'quantised');
    this.compute = given.ATELIER_COMPUTE;
    this.threads = given.ATELIER_THREADS;
    this.textTokens = given.ATELIER_TEXT_TOKENS;
    const memory = computeMemory(given.ATELIER_COMPUTE);
    this.device = given.ATELIER_DEVICE ?? memory.name;
    this.deviceBytes =
      given.ATELIER_DEVICE_MIB === undefined ? memory.bytes : Math.floor(given.ATELIER_DEVICE_MIB * MIB);
    this.idleMs = given.ATELIER_IDLE_SECONDS * 1000;
    this.quant = given.ATELIER_INFERENCE_QUANT;
    this.samplers = given.ATELIER_INFERENCE_SAMPLERS;
  }
}
