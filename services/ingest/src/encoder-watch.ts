import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { calls, subjects, type TensorKind } from '@atelier/contracts';
import { EncodedRuns, queueIngestForLost, Runs, TrainersQueue, UNSEEN_MS, type UnencodedRun } from '@atelier/jobs';
import { callService, LOGGER, Mesh, workLeft, type Logger } from '@atelier/mesh';

const EVERY_MS = 15_000;
/** A service that computes may take its time to answer. */
const ANSWER_MS = 5000;
const KINDS: readonly TensorKind[] = ['latents', 'prompts'];

/**
 * Looks after runs that wait, every few seconds: says of which encoder nobody has heard for a while, and sends on its way
 * what somebody should have who died over it. Several do so beside each other.
 */
@Injectable()
export class EncoderWatch implements OnApplicationBootstrap, OnModuleDestroy {
  private timer?: NodeJS.Timeout;
  private round?: Promise<void>;
  private stopping = false;
  /** When a service was last heard of. */
  private readonly heard = new Map<TensorKind, number>();
  private readonly since = Date.now();
  private readonly queue: TrainersQueue;

  constructor(
    private readonly mesh: Mesh,
    private readonly runs: Runs,
    private readonly encoded: EncodedRuns,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.queue = new TrainersQueue(mesh);
  }

  onApplicationBootstrap(): void {
    // While the mesh is away a round takes longer than the time between two.
    this.timer = setInterval(() => {
      this.round ??= this.quietly(() => this.look()).finally(() => (this.round = undefined));
    }, EVERY_MS);
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    this.stopping = true;
    await this.round;
  }

  /** One round. @param unseenMs after which a service that does not answer is said to be missing */
  async look(unseenMs = UNSEEN_MS): Promise<void> {
    await Promise.all(KINDS.map((kind) => this.ask(kind)));
    for (const datasetId of await this.encoded.datasets())
      if (!this.stopping) await this.quietly(() => this.lookAfter(datasetId, unseenMs));
    await this.queue.ringAgain();
  }

  /** The mesh may be away, its store full, or something wrong with one data set: the next round sees. */
  private async quietly(look: () => Promise<void>): Promise<void> {
    await look().catch((error: Error) =>
      this.logger.debug({ error: error.message }, 'could not look after runs that wait'),
    );
  }

  private async lookAfter(datasetId: string, unseenMs: number): Promise<void> {
    const waiting = await this.encoded.look(datasetId);
    for (const run of waiting) await this.note(run, unseenMs);
    for (const kind of KINDS)
      if (waiting.some(({ kinds }) => kinds.includes(kind))) await this.askAgain(datasetId, kind);
  }

  /**
   * For what a run waits for though its encoder has nothing to do: its message was given up without its refusal being
   * noted, or what was there when the run began has been cleared away. Ingest asks for it once more.
   */
  private async askAgain(datasetId: string, kind: TensorKind): Promise<void> {
    const { messages, delivered } = await workLeft(this.mesh, subjects.work[kind]);
    if (messages > 0) return;
    // What the encoder had in hand before that may have settled it meanwhile.
    const lost = (await this.encoded.look(datasetId)).filter(({ kinds }) => kinds.includes(kind));
    for (const { runId } of lost) {
      this.logger.warn({ runId, datasetId, kind }, 'nobody is asked any more for what a run waits for: asks again');
      await queueIngestForLost(this.mesh, { datasetId, runId }, delivered);
    }
  }

  private async ask(kind: TensorKind): Promise<void> {
    const answers = await callService(this.mesh, calls.status(kind), {}, { timeoutMs: ANSWER_MS }).then(
      () => true,
      () => false,
    );
    if (answers) this.heard.set(kind, Date.now());
  }

  private async note({ runId, kinds }: UnencodedRun, unseenMs: number): Promise<void> {
    if (!(await this.runs.find(runId))) return; // it was deleted
    await this.runs.noteUnseen(runId, (noted) => kinds.filter((kind) => this.isUnseen(kind, noted, unseenMs)));
  }

  /** Of one that was not heard of since this service started, and it did so only now, it is as was noted before. */
  private isUnseen(kind: TensorKind, noted: readonly string[], unseenMs: number): boolean {
    const heard = this.heard.get(kind);
    if (heard === undefined && noted.includes(kind)) return true;
    return Date.now() - (heard ?? this.since) >= unseenMs;
  }
}
