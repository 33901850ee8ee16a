import { AtelierError, buckets, Run, RunState, subjects } from '@atelier/contracts';
import { atOnce, isQueued, workLeft, type Mesh, type Patience } from '@atelier/mesh';
import { StateStore } from '@atelier/store';
import { HeldRun, type RunWork } from './held-run';
import { inOrder, takenBy, waitsForEncoders } from './run-order';
import { queueEncodingAgain } from './run-telling';
import { goOnForRun } from './run-trace';
import { isRunOver } from './states';
import { queueIngestOfTurn, queueTraining } from './work';

/**
 * Which run a trainer takes that got a message. The queue of messages says that there is work for one trainer more, the
 * runs' entries whose turn it is (docs/decisions/0042-messages-are-bells.md).
 */
export class TrainersQueue {
  private readonly store: StateStore<Run>;

  constructor(
    private readonly mesh: Mesh,
    private readonly patience: Patience = atOnce,
  ) {
    this.store = new StateStore(mesh, buckets.state.runs, Run, patience);
  }

  /**
   * A trainer that got a message takes the run whose turn it is: from now on it alone may write of it, and who took it
   * earlier finds that out. Before anything else is written.
   * @returns nothing where no run waits: there is a message more than there are runs
   */
  async takeNext(work: RunWork): Promise<HeldRun | undefined> {
    for (;;) {
      const runs = await this.store.list();
      const earlier = takenBy(runs, work);
      if (earlier && waitsForEncoders(earlier)) {
        await queueEncodingAgain(this.mesh, this.patience, earlier); // it may have died before it did
        return undefined;
      }
      const next = earlier ?? inOrder(runs)[0] ?? (await this.abandoned(runs));
      if (!next) return undefined;
      const held = await this.take(next, work);
      if (held) return held;
    }
  }

  /** A run in hand whose message is gone, cleared away by a person or lost: nobody would ever come for it. */
  private async abandoned(runs: readonly Run[]): Promise<Run | undefined> {
    for (const run of runs.filter(isInHand)) {
      if (!(await isQueued(this.mesh, subjects.work.train, run.workSequence))) return run;
    }
    return undefined;
  }

  /** @returns nothing where someone else was quicker */
  private async take(found: Run, work: RunWork): Promise<HeldRun | undefined> {
    let taken = false;
    const take = (now: Run): Run | null => {
      if (isRunOver(now)) return null;
      taken = now.fence === found.fence && now.state === found.state && now.inHand === found.inHand;
      if (!taken) return null;
      const { attempt: attempts, sequence: workSequence } = work;
      return Run.create({ ...now, attempts, workSequence, fence: now.fence + 1, inHand: true, encoded: true });
    };
    const run = await this.store.update(found.id, take).catch((error: unknown) => {
      if (error instanceof AtelierError && error.code === 'NOT_FOUND') return undefined; // a person was: it is deleted
      throw error;
    });
    return run && taken && !isRunOver(run) ? new HeldRun(this.mesh, this.store, this.patience, run) : undefined;
  }

  /** The run that a message was used for and that is not done with. */
  async takenBy(work: Pick<RunWork, 'sequence' | 'runId'>): Promise<Run | undefined> {
    return takenBy(await this.store.list(), work);
  }

  /** The run whose message this was, and which is over. */
  async endedBy(sequence: number): Promise<Run | undefined> {
    return (await this.store.list()).find((run) => run.workSequence === sequence && isRunOver(run));
  }

  /** A run that 0.1.0 sent to its trainer before it was encoded waits for the encoders first, as all do now. */
  async encodeFirst(id: string): Promise<void> {
    const isEarly = (run: Run): boolean => run.state === RunState.RUN_STATE_ENCODING && run.turns === 0;
    const found = (await this.store.get(id))?.value;
    if (!found || !isEarly(found)) return;
    await this.patience(() => queueIngestOfTurn(this.mesh, { datasetId: found.datasetId, runId: id }, 1));
  }

  /**
   * Sees to it that there is a message for each run that waits or is in hand: who put one on its way may have died
   * before it was sent, and nobody comes again for a person's request. A message too many does no harm.
   */
  async ringAgain(): Promise<void> {
    const runs = await this.store.list();
    const wanting = [...inOrder(runs), ...runs.filter(isInHand)];
    if (wanting.length === 0) return;
    const { messages, lastSequence } = await workLeft(this.mesh, subjects.work.train);
    const lacking = Math.max(0, wanting.length - messages);
    for (const run of wanting.slice(0, lacking)) {
      const work = { runId: run.id, manifest: run.manifest };
      const ring = () => queueTraining(this.mesh, work, run.turns, `again.${lastSequence}`);
      await goOnForRun('queue run again', run, ring);
    }
  }
}

const isInHand = (run: Run): boolean => run.inHand && !isRunOver(run);
