import type { Output } from '../output';
import { bytes } from '../output';
import { Progress } from '../progress';
import type { RunEvent } from './run-events';

type Encoding = Extract<RunEvent, { type: 'encoding' }>;

/** Shows a run as it goes: what is cached, a bar for the encoders, the plan, a bar for the training. */
export class RunView {
  private encoding?: { bar: Progress; done: Record<string, number>; summary: Encoding };
  private training?: Progress;

  constructor(private readonly out: Output) {}

  show(event: RunEvent): void {
    this.out.object(event);
    switch (event.type) {
      case 'encoding':
        return this.beginEncoding(event);
      case 'encoded':
        return this.countEncoded(event.kind);
      case 'encode_failed':
        return this.note(`left out ${event.name}: its ${event.kind} could not be made: ${event.reason}`);
      case 'planned':
        return this.note(`memory     ${bytes(event.total_bytes)}: ${bytes(event.weight_bytes)} weights, ${bytes(event.arena_bytes)} activations, ${bytes(event.state_bytes)} adapter and optimizer, ${bytes(event.workspace_bytes)} workspace`);
      case 'step': {
        this.endEncoding();
        this.training ??= new Progress(this.out, { label: 'training', total: event.total_steps });
        return this.training.update(event.step, { details: `loss ${event.loss.toFixed(4)}  lr ${event.learning_rate.toPrecision(3)}`, etaSeconds: event.eta_seconds });
      }
      case 'sample':
        return this.note(`step ${event.step}: drew ${JSON.stringify(event.prompt)}`);
      case 'status':
        if (event.status === 'training') this.endEncoding();
        return;
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

  private beginEncoding(summary: Encoding): void {
    if (this.encoding || this.out.json) return;
    const missing = summary.latents_total - summary.latents_cached + summary.prompts_total - summary.prompts_cached;
    if (missing === 0) return this.out.note(`encoding   nothing to encode: all ${summary.latents_total} latents and ${summary.prompts_total} prompts cached`);
    this.encoding = { bar: new Progress(this.out, { label: 'encoding', total: missing }), done: { latents: 0, prompts: 0 }, summary };
    this.updateEncoding();
  }

  private countEncoded(kind: string): void {
    if (!this.encoding) return;
    this.encoding.done[kind] = (this.encoding.done[kind] ?? 0) + 1;
    this.updateEncoding();
  }

  private updateEncoding(): void {
    const { bar, done, summary } = this.encoding!;
    const part = (kind: 'latents' | 'prompts', total: number, cached: number): string =>
      `${kind} ${cached + (done[kind] ?? 0)}/${total}${cached > 0 ? ` (${cached} cached)` : ''}`;
    bar.update((done.latents ?? 0) + (done.prompts ?? 0), {
      details: `${part('latents', summary.latents_total, summary.latents_cached)}, ${part('prompts', summary.prompts_total, summary.prompts_cached)}`,
    });
  }

  private endEncoding(): void {
    this.encoding?.bar.done();
    this.encoding = undefined;
  }
}
