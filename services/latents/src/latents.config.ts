import { computeMemory, DEVICE_FORMS, DEVICE_PATTERN } from '@atelier/engine';
import { loadConfig } from '@atelier/mesh';
import { z } from 'zod';

const MIB = 2 ** 20;

const settings = z.object({
  ATELIER_MODEL: z.string({ error: 'the folder of a checkpoint in the diffusers layout' }).min(1),
  ATELIER_COMPUTE: z.string().regex(DEVICE_PATTERN, DEVICE_FORMS).default('auto'),
  ATELIER_THREADS: z.coerce.number().int().min(0).max(1024).default(0),
  ATELIER_DEVICE: z.string().min(1).optional(),
  ATELIER_DEVICE_MIB: z.coerce.number().positive().optional(),
  ATELIER_IDLE_SECONDS: z.coerce.number().min(0).max(86_400).default(60),
});

/** Settings of the latents service; README.md has the table. */
export class LatentsConfig {
  /** Folder of the checkpoint whose VAE encodes. */
  readonly model: string;
  /** What computes: cpu, cuda, cuda:N or auto; a card also with ,fp8 behind it. */
  readonly compute: string;
  /** On the CPU; 0: one a core. */
  readonly threads: number;
  /** Whether it is a card that computes. */
  readonly card: boolean;
  /** Whose ledger memory is leased from. */
  readonly device: string;
  /** What the device has in all, bytes. None: no lease is taken. */
  readonly deviceBytes?: number;
  /** How long an unused VAE stays loaded, and its lease held. */
  readonly idleMs: number;

  constructor(env: Record<string, string | undefined>) {
    const given = loadConfig(settings, env);
    this.model = given.ATELIER_MODEL;
    this.compute = given.ATELIER_COMPUTE;
    this.threads = given.ATELIER_THREADS;
    const memory = computeMemory(given.ATELIER_COMPUTE);
    this.device = given.ATELIER_DEVICE ?? memory.name;
    this.card = memory.card;
    this.deviceBytes =
      given.ATELIER_DEVICE_MIB !== undefined
        ? Math.floor(given.ATELIER_DEVICE_MIB * MIB)
        : memory.card
          ? memory.bytes
          : undefined;
    this.idleMs = given.ATELIER_IDLE_SECONDS * 1000;
  }
}
