import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { calls, type TensorKind } from '@atelier/contracts';
import { EncodedRuns, Runs, TrainersQueue, UNSEEN_MS, type UnencodedRun } from '@atelier/jobs';
import { callService, LOGGER, Mesh, type Logger } from '@atelier/mesh';

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
  private round: Promise<void> = Promise.resolve();
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
    this.timer = setInterval(() => {
      this.round = this.round.then(() => this.lookQuietly());
    }, EVERY_MS);
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    await this.round;
  }

  /** One round. @param unseenMs after which a service that does not answer is said to be missing */
  async look(unseenMs = UNSEEN_MS): Promise<void> {
    await Promise.all(KINDS.map((kind) => this.ask(kind)));
    for (const datasetId of await this.encoded.datasets())
      for (const run of await this.encoded.look(datasetId)) await this.note(run, unseenMs);
    await this.queue.ringAgain();
  }

  private async lookQuietly(): Promise<void> {
    // The mesh may be away, or its store full: the next round sees.
    await this.look().catch((error: Error) =>
      this.logger.debug({ error: error.message }, 'could not look after runs that wait'),
    );
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
