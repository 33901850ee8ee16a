import { computeMemory, DEVICE_FORMS, DEVICE_PATTERN } from '@atelier/engine';
import { loadConfig } from '@atelier/mesh';
import { z } from 'zod';

const MIB = 2 ** 20;
/** What the engine takes through T5's layers at once at most. */
const MOST_TOGETHER = 16;

const settings = z.object({
  ATELIER_MODEL: z.string({ error: 'the folder of a checkpoint in the diffusers layout' }).min(1),
  ATELIER_COMPUTE: z.string().regex(DEVICE_PATTERN, DEVICE_FORMS).default('auto'),
  ATELIER_THREADS: z.coerce.number().int().min(0).max(1024).default(0),
  ATELIER_DEVICE: z.string().min(1).optional(),
  ATELIER_DEVICE_MIB: z.coerce.number().positive().optional(),
  ATELIER_PROMPTS_TOGETHER: z.coerce.number().int().min(1).max(MOST_TOGETHER).optional(),
  ATELIER_IDLE_SECONDS: z.coerce.number().min(0).max(86_400).default(60),
});

/** Settings of the prompts service; README.md has the table. */
export class PromptsConfig {
  /** Folder of the checkpoint whose text encoders and tokenizers are used. */
  readonly model: string;
  /** What computes: cpu, cuda, cuda:N or auto; a card also with ,fp8 behind it. */
  readonly compute: string;
  /** On the CPU; 0: one a core. */
  readonly threads: number;
  /** Whether that is a card. */
  readonly card: boolean;
  /** Whose ledger memory is leased from. */
  readonly device: string;
  /** What the device has in all, bytes. None: no lease is taken. */
  readonly deviceBytes?: number;
  /** Captions taken from the queue, and encoded, at once. On the CPU one after another takes as long, and loses less where the service is killed. */
  readonly together: number;
  /** How long unused encoders stay loaded, and their lease held. */
  readonly idleMs: number;

  constructor(env: Record<string, string | undefined>) {
    const given = loadConfig(settings, env);
    this.model = given.ATELIER_MODEL;
    this.compute = given.ATELIER_COMPUTE;
    this.threads = given.ATELIER_THREADS;
    const memory = computeMemory(given.ATELIER_COMPUTE);
    this.card = memory.card;
    this.device = given.ATELIER_DEVICE ?? memory.name;
    this.deviceBytes =
      given.ATELIER_DEVICE_MIB !== undefined
        ? Math.floor(given.ATELIER_DEVICE_MIB * MIB)
        : memory.card
          ? memory.bytes
          : undefined;
    this.together = given.ATELIER_PROMPTS_TOGETHER ?? (memory.card ? MOST_TOGETHER : 1);
    this.idleMs = given.ATELIER_IDLE_SECONDS * 1000;
  }
}
