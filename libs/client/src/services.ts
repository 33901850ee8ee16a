import {
  calls,
  trainOptionsMessage,
  type CompleteTrainOptions,
  type IComputing,
  type MemoryPlan,
} from '@atelier/contracts';
import { callService } from '@atelier/mesh';
import type { Connection } from './connection';
import { checkedTrainOptions } from './options';

export const SERVICES = ['ingest', 'latents', 'prompts', 'trainer', 'inference'] as const;

export interface ServiceComputing {
  /** "cuda: NVIDIA GeForce RTX 4090, 24 GB", or "cpu". */
  device: string;
  /** Of the card, bytes; 0: none is taken. */
  cardBytes: number;
  /** What of CUDA is in its engine: "CUDA 13.0 for 8.9", or "no CUDA". */
  engine: string;
  /** Why the CPU computes although a card is there; empty where there is nothing to know. */
  note: string;
}

export interface ServiceState {
  service: string;
  /** Whether it answered at all. */
  running: boolean;
  ready: boolean;
  version: string;
  /** In its own words, or why it did not answer. */
  detail: string;
  /** On what it computes, where it does and answered. */
  computing?: ServiceComputing;
}

/** Asks every service how it is. One that does not answer is a state too, not an error. */
export async function serviceStates({ mesh }: Connection, timeoutMs = 1500): Promise<ServiceState[]> {
  return Promise.all(
    SERVICES.map(async (service) => {
      try {
        const asked = await callService(mesh, calls.status(service), {}, { timeoutMs });
        const { ready, version, detail, computing } = asked;
        return { service, running: true, ready, version, detail, ...(computing && { computing: viewOf(computing) }) };
      } catch (error) {
        return { service, running: false, ready: false, version: '', detail: (error as Error).message };
      }
    }),
  );
}

function viewOf({ device, cardBytes, engine, note }: IComputing): ServiceComputing {
  return { device: device ?? '', cardBytes: cardBytes ?? 0, engine: engine ?? '', note: note ?? '' };
}

export interface PlanInput {
  options?: Partial<CompleteTrainOptions>;
  /** Size of the largest picture, pixels. */
  width: number;
  height: number;
  /** Length of the T5 sequence, tokens. */
  textTokens: number;
}

/** Memory of a run to the byte, before it starts. The trainer answers; it may have to load the checkpoint first. */
export async function planRun(
  { mesh }: Connection,
  { options, width, height, textTokens }: PlanInput,
  timeoutMs = 120_000,
): Promise<MemoryPlan> {
  const request = { options: trainOptionsMessage(checkedTrainOptions(options ?? {})), width, height, textTokens };
  return callService(mesh, calls.plan, request, { timeoutMs });
}
