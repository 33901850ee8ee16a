import { Injectable } from '@nestjs/common';
import { AtelierError, Generation, GenerationState, subjects } from '@atelier/contracts';
import { Mesh, publishEvent, throughOutage, type OutageOptions } from '@atelier/mesh';
import { StateStore, StateWatch } from '@atelier/store';

const OVER = new Set([
  GenerationState.GENERATION_STATE_FINISHED,
  GenerationState.GENERATION_STATE_FAILED,
  GenerationState.GENERATION_STATE_CANCELLED,
]);

/** How long a service that stops waits for a mesh that is away. */
const STOPPING_PATIENCE_MS = 5000;

export const isOver = (generation: Generation): boolean => OVER.has(generation.state);

/** A drawing's life, in KV and in events: queued → running → finished, failed or cancelled. */
@Injectable()
export class GenerationStates {
  private readonly store: StateStore<Generation>;

  constructor(private readonly mesh: Mesh) {
    this.store = new StateStore(mesh, 'generations', Generation);
  }

  async get(id: string): Promise<Generation> {
    const generation = await this.find(id);
    if (!generation)
      throw new AtelierError('NOT_FOUND', `there is no drawing ${JSON.stringify(id)}: it was deleted, or never noted`);
    return generation;
  }

  async find(id: string): Promise<Generation | undefined> {
    return (await throughOutage(() => this.store.get(id)))?.value;
  }

  /** Raised when someone asks for the drawing's end, or it was ended elsewhere. */
  watch(id: string): StateWatch<Generation> {
    return new StateWatch(this.store, id, (generation) => generation.cancelRequested || isOver(generation));
  }

  /** A service begins with it, or goes on. */
  async running(id: string, attempts: number): Promise<void> {
    await this.change(id, { state: GenerationState.GENERATION_STATE_RUNNING, attempts });
  }

  /** One of its pictures is stored: the attempts until now count no more. */
  async pictureStored(id: string): Promise<void> {
    await this.note(id, (drawing) => (drawing.attempts === 0 ? null : Generation.create({ ...drawing, attempts: 0 })));
  }

  /** It is put down because its service is asked to stop: that is no attempt. */
  async preempted(id: string): Promise<void> {
    const putDown = ({ attempts, preemptions, ...rest }: Generation): Generation =>
      Generation.create({ ...rest, attempts: Math.max(0, attempts - 1), preemptions: preemptions + 1 });
    await this.note(id, putDown, { patienceMs: STOPPING_PATIENCE_MS });
  }

  /** @param step of totalSteps, those of all pictures together */
  async progress(id: string, step: number, totalSteps: number): Promise<void> {
    const event = { generateProgress: { id, step, totalSteps } };
    await throughOutage(() =>
      publishEvent(this.mesh, subjects.event('generate', id, 'progress'), event, { msgId: `progress.${id}.${step}` }),
    );
  }

  async finished(id: string, images: string[]): Promise<void> {
    await this.change(id, { state: GenerationState.GENERATION_STATE_FINISHED, images });
  }

  async failed(id: string, error: string): Promise<void> {
    await this.change(id, { state: GenerationState.GENERATION_STATE_FAILED, error });
  }

  async cancelled(id: string): Promise<void> {
    await this.change(id, { state: GenerationState.GENERATION_STATE_CANCELLED });
  }

  /** Said twice, it is one event. */
  async tellState({ id, state, error, images }: Generation): Promise<void> {
    const event = { generateState: { id, state, error, images } };
    await throughOutage(() =>
      publishEvent(this.mesh, subjects.event('generate', id, 'state'), event, { msgId: `state.${id}.${state}` }),
    );
  }

  private async change(id: string, how: Partial<Generation>): Promise<void> {
    await this.tellState(await this.note(id, (generation) => Generation.create({ ...generation, ...how })));
  }

  /** A drawing that is over stays as it ended. */
  private note(
    id: string,
    mutate: (drawing: Generation) => Generation | null,
    options?: OutageOptions,
  ): Promise<Generation> {
    return throughOutage(() => this.store.update(id, (now) => (isOver(now) ? null : mutate(now))), options);
  }
}
