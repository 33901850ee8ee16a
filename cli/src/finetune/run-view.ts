import { preempted, type RunEvent } from '@atelier/jobs';
import type { Output } from '../output';
import { bytes } from '../output';
import { Progress } from '../progress';

type Encoding = Extract<RunEvent, { type: 'encoding' }>;

interface EncodingView {
  bar: Progress;
  summary: Encoding;
  /** Keys: one whose message is delivered again is told twice. */
  latents: Set<string>;
  prompts: Set<string>;
  failed: number;
}

/** Shows a run as it goes: what is cached, a bar for the encoders, the plan, a bar for the training. */
export class RunView {
  private encoding?: EncodingView;
  private training?: Progress;
  private preemptions = 0;
  private waitsFor: string | null = null;

  constructor(private readonly out: Output) {}

  show(event: RunEvent): void {
    this.out.object(event);
    switch (event.type) {
      case 'encoding':
        return this.beginEncoding(event);
      case 'encoded':
        return this.countEncoded(event.kind, event.key);
      case 'encode_failed':
        if (this.encoding) this.encoding.failed += 1;
        return this.note(`left out ${event.name}: its ${event.kind} could not be made: ${event.reason}`);
      case 'planned':
        return this.note(
          `memory     ${bytes(event.total_bytes)}: ${bytes(event.weight_bytes)} weights, ${bytes(event.arena_bytes)} activations, ${bytes(event.state_bytes)} adapter and optimizer, ${bytes(event.workspace_bytes)} workspace`,
        );
      case 'step': {
        this.endEncoding(true);
        this.training ??= new Progress(this.out, { label: 'training', total: event.total_steps });
        return this.training.update(event.step, {
          details: `loss ${event.loss.toFixed(4)}  lr ${event.learning_rate.toPrecision(3)}`,
          etaSeconds: event.eta_seconds,
        });
      }
      case 'sample':
        return this.note(`step ${event.step}: drew ${JSON.stringify(event.prompt)}`);
      case 'held_out':
        return this.note(
          `step ${event.step}: held-out loss ${event.loss.toFixed(4)}${event.best && event.step > 0 ? ', the lowest so far' : ''}`,
        );
      case 'status':
        if (event.status === 'training') this.endEncoding(true);
        this.showStanding(event);
        return this.showPreemptions(event.preemptions);
      case 'finished':
      case 'failed':
      case 'cancelled':
        return this.close();
    }
  }

  /** A line for people that leaves the bars whole. */
  note(text: string): void {
    if (this.out.json) return;
    (this.training ?? this.encoding?.bar ?? this.out).note(text);
  }

  close(): void {
    this.endEncoding();
    this.training?.done();
  }

  private showStanding({ status, waits_for: waitsFor }: Extract<RunEvent, { type: 'status' }>): void {
    if (status === 'paused') this.note('paused: "atelier runs resume" lets it go on');
    if (waitsFor !== this.waitsFor)
      this.note(waitsFor ? `waits for  ${waitsFor}` : 'goes on: what it waited for is there');
    this.waitsFor = waitsFor;
  }

  /** Told with every state of a run; said when there is one more. */
  private showPreemptions(preemptions: number): void {
    if (preemptions <= this.preemptions) return;
    this.preemptions = preemptions;
    this.note(`${preempted({ preemptions })}: its trainer was stopped, and the next goes on with it`);
  }

  private beginEncoding(summary: Encoding): void {
    if (this.encoding || this.out.json) return;
    const missing = missingIn(summary);
    if (missing === 0)
      return this.out.note(
        `encoding   nothing to encode: all ${summary.latents_total} latents and ${summary.prompts_total} prompts cached`,
      );
    this.encoding = {
      bar: new Progress(this.out, { label: 'encoding', total: missing }),
      summary,
      latents: new Set(),
      prompts: new Set(),
      failed: 0,
    };
    this.updateEncoding(this.encoding, 0, 0);
  }

  private countEncoded(kind: string, key: string): void {
    if (!this.encoding || (kind !== 'latents' && kind !== 'prompts')) return;
    this.encoding[kind].add(key);
    const { summary, latents, prompts } = this.encoding;
    // Keys of this run that were encoded for another shortly before are told too, and were counted as cached.
    this.updateEncoding(
      this.encoding,
      Math.min(latents.size, summary.latents_total - summary.latents_cached),
      Math.min(prompts.size, summary.prompts_total - summary.prompts_cached),
    );
  }

  private updateEncoding({ bar, summary }: EncodingView, latents: number, prompts: number): void {
    const part = (what: string, done: number, total: number, cached: number): string =>
      `${what} ${cached + done}/${total}${cached > 0 ? ` (${cached} cached)` : ''}`;
    bar.update(latents + prompts, {
      details: `${part('latents', latents, summary.latents_total, summary.latents_cached)}, ${part('prompts', prompts, summary.prompts_total, summary.prompts_cached)}`,
    });
  }

  /** @param complete whether training began: then all is encoded, told or not */
  private endEncoding(complete = false): void {
    if (!this.encoding) return;
    const { bar, summary, failed } = this.encoding;
    if (complete && failed === 0)
      this.updateEncoding(
        this.encoding,
        summary.latents_total - summary.latents_cached,
        summary.prompts_total - summary.prompts_cached,
      );
    bar.done();
    this.encoding = undefined;
  }
}

function missingIn(summary: Encoding): number {
  return summary.latents_total - summary.latents_cached + summary.prompts_total - summary.prompts_cached;
}
