import { join } from 'node:path';
import { dataFolder } from '@atelier/contracts';
import { DEVICE_FORMS, DEVICE_PATTERN } from '@atelier/engine';
import { z } from 'zod';
import { computeMemory } from './compute-memory';
import { type Computing, computing } from './computing';

const MIB = 2 ** 20;

/** Settings of every service that computes; README.md has the table. A service's own are added with `extend`. */
export const computeSettings = z.object({
  ATELIER_MODEL: z.string({ error: 'the folder of a checkpoint in the diffusers layout' }).min(1),
  ATELIER_DATA: z.string().min(1).optional(),
  ATELIER_COMPUTE: z.string().regex(DEVICE_PATTERN, DEVICE_FORMS).default('auto'),
  ATELIER_THREADS: z.coerce.number().int().min(0).max(1024).default(0),
  ATELIER_DEVICE: z.string().min(1).optional(),
  ATELIER_DEVICE_MIB: z.coerce.number().positive().optional(),
  ATELIER_IDLE_SECONDS: z.coerce.number().min(0).max(86_400).default(60),
});

/** Which models, on what, within whose memory: what a service's own settings stand beside. */
export class ComputeConfig {
  /** Folder of the checkpoint. */
  readonly model: string;
  /** Where quantised copies of the transformer are kept. */
  readonly cacheDir: string;
  /** Where it is kept what cards have proved. */
  readonly cardsDir: string;
  /** What computes: cpu, cuda, cuda:N or auto; a card also with ,fp8 behind it. */
  readonly compute: string;
  /** What that comes to on this machine. */
  readonly computing: Computing;
  /** On the CPU; 0: one a core. */
  readonly threads: number;
  /** Whether it is a card that computes. */
  readonly card: boolean;
  /** Whose ledger memory is leased from, and what it has in all, bytes. */
  readonly device: string;
  readonly deviceBytes: number;
  /** What this service takes of them beside its models. */
  readonly baseBytes: number;
  /** Whether the encoders lease from it too: on a card, and where it was said what the device has. */
  readonly deviceShared: boolean;
  /** How long unused models stay loaded, and their lease held. */
  readonly idleMs: number;

  constructor(given: z.output<typeof computeSettings>) {
    this.model = given.ATELIER_MODEL;
    this.cacheDir = join(given.ATELIER_DATA ?? dataFolder(), 'quantised');
    this.cardsDir = join(given.ATELIER_DATA ?? dataFolder(), 'cards');
    this.compute = given.ATELIER_COMPUTE;
    this.computing = computing(given.ATELIER_COMPUTE); // refused here, a service ends as it starts
    this.threads = given.ATELIER_THREADS;
    const memory = computeMemory(given.ATELIER_COMPUTE);
    this.card = memory.card;
    this.device = given.ATELIER_DEVICE ?? memory.name;
    this.baseBytes = memory.baseBytes;
    const said = given.ATELIER_DEVICE_MIB;
    this.deviceBytes = said === undefined ? memory.bytes : Math.floor(said * MIB);
    this.deviceShared = memory.card || said !== undefined;
    this.idleMs = given.ATELIER_IDLE_SECONDS * 1000;
  }
}
