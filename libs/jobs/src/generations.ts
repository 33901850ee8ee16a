import {
  AtelierError,
  buckets,
  Event,
  eventSubjects,
  GenerateProgress,
  Generation,
  GenerationState,
  streams,
  type GenerationEvent,
  type IEvent,
} from '@atelier/contracts';
import {
  atOnce,
  isNotFound,
  noteIds,
  publishEvent,
  STOPPING_PATIENCE_MS,
  type Mesh,
  type OutageOptions,
  type Patience,
} from '@atelier/mesh';
import { StateStore, StateWatch } from '@atelier/store';
import { isGenerationOver } from './states';
import { queueGeneration } from './work';

export interface PageOptions {
  limit: number;
  before?: string;
}

/** Drawings in KV, what changes them, and what is told of it: queued → running → finished, failed or cancelled. */
export class Generations {
  private readonly store: StateStore<Generation>;

  constructor(
    private readonly mesh: Mesh,
    private readonly patience: Patience = atOnce,
  ) {
    this.store = new StateStore(mesh, buckets.state.generations, Generation, patience);
  }

  /** Throws NOT_FOUND. */
  async get(id: string): Promise<Generation> {
    const generation = await this.find(id);
    if (!generation)
      throw new AtelierError('NOT_FOUND', `there is no drawing ${JSON.stringify(id)}: it was deleted, or never noted`);
    return generation;
  }

  async find(id: string): Promise<Generation | undefined> {
    return (await this.store.get(id))?.value;
  }

  list(): Promise<Generation[]> {
    return this.store.list();
  }

  /**
   * Some of them, the newest first, without reading the others: ids sort by the time they were made.
   * @param before only those that are older than the one of this id, which need not be there any more
   */
  async page({ limit, before }: PageOptions): Promise<{ drawings: Generation[]; more: boolean }> {
    const ids = (await this.store.keys()).filter((id) => before === undefined || id < before).sort();
    const drawings: Generation[] = [];
    while (ids.length > 0 && drawings.length <= limit) {
      const next = ids.splice(-(limit + 1 - drawings.length)).reverse();
      const found = await Promise.all(next.map((id) => this.store.readable(id)));
      drawings.push(...found.filter((drawing) => drawing !== null));
    }
    return { drawings: drawings.slice(0, limit), more: drawings.length > limit };
  }

  /** How far one is that is being drawn, as it was told last; undefined: nothing was told, or that is long ago. */
  async told(id: string): Promise<GenerateProgress | undefined> {
    try {
      const last = { last_by_subj: eventSubjects.generation(id, 'progress') };
      const { data } = await this.mesh.jsm.streams.getMessage(streams.EVENTS, last);
      return GenerateProgress.create(Event.decode(data).generateProgress ?? {});
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The drawing now, then every change of it, until the signal. */
  states(id: string, signal: AbortSignal): AsyncGenerator<Generation> {
    return this.store.watch(id, { signal });
  }

  /** Raised when someone asks for the drawing's end, or it was ended elsewhere. */
  watch(id: string): StateWatch<Generation> {
    return new StateWatch(this.store, id, (generation) => generation.cancelRequested || isGenerationOver(generation));
  }

  /** Writes the drawing, then its work; it resolves only when both are on disk. Throws StoreFull. */
  async queue(generation: Generation): Promise<void> {
    noteIds({ drawingId: generation.id });
    await this.store.create(generation.id, generation);
    await this.queueAgain(generation);
  }

  /** The work of one that is there: who noted it may have died before its work was on the queue. */
  async queueAgain({ id, work }: Generation): Promise<void> {
    await queueGeneration(this.mesh, work ?? { id });
  }

  /** Asks for its end. */
  cancel(id: string): Promise<Generation> {
    return this.note(id, (drawing) =>
      drawing.cancelRequested ? null : Generation.create({ ...drawing, cancelRequested: true }),
    );
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
    await this.tell(id, 'progress', { generateProgress: { id, step, totalSteps } }, `progress.${id}.${step}`);
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

  /** Its entry alone (Deletion). @param require throws where it must stay */
  remove(id: string, require: (drawing: Generation) => void): Promise<Generation | null> {
    return this.store.take(id, require);
  }

  /** Of one that is over: a picture of it is no longer there. */
  async forgetPicture(id: string, image: string, require: (drawing: Generation) => void): Promise<void> {
    await this.store.update(id, (drawing) => {
      require(drawing);
      if (!drawing.images.includes(image)) return null;
      return Generation.create({ ...drawing, images: drawing.images.filter((other) => other !== image) });
    });
  }

  /** Said twice, it is one event. */
  async tellState({ id, state, error, images }: Generation): Promise<void> {
    await this.tell(id, 'state', { generateState: { id, state, error, images } }, `state.${id}.${state}`);
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
    const unlessOver = (now: Generation): Generation | null => (isGenerationOver(now) ? null : mutate(now));
    return this.store.update(id, unlessOver, options);
  }

  private async tell(id: string, what: GenerationEvent, event: IEvent, msgId: string): Promise<void> {
    await this.patience(() => publishEvent(this.mesh, eventSubjects.generation(id, what), event, { msgId }));
  }
}
