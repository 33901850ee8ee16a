import { SingleBar } from 'cli-progress';
import { duration, type Output } from './output';

/** Between two lines where there is no terminal to draw a bar on. */
const QUIET_MS = 10_000;

export interface ProgressOptions {
  label: string;
  total: number;
  /** The numbers as people read them. */
  format?: (value: number) => string;
}

/** One thing that takes a while: a bar on a terminal, a line now and then elsewhere, nothing with --json. */
export class Progress {
  private readonly bar?: SingleBar;
  private readonly born = Date.now();
  /** Where the pace is measured from. */
  private first?: { value: number; at: number };
  private value = 0;
  private details = '';
  private eta = NaN;
  private lastLine = Date.now();
  private over = false;

  constructor(
    private readonly out: Output,
    private readonly options: ProgressOptions,
  ) {
    if (out.json || !process.stderr.isTTY) return;
    this.bar = new SingleBar({
      format: `${options.label.padEnd(10)} {bar} {position}{details}  {remaining}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 28,
      hideCursor: true,
      stopOnComplete: false,
      clearOnComplete: false,
    });
    this.bar.start(options.total, 0, this.payload());
  }

  update(value: number, { details = '', etaSeconds }: { details?: string; etaSeconds?: number } = {}): void {
    this.first ??= { value, at: Date.now() };
    this.value = value;
    this.details = details;
    this.eta = etaSeconds ?? this.guess();
    this.bar?.update(value, this.payload());
    if (!this.bar && Date.now() - this.lastLine >= QUIET_MS) this.line();
  }

  /** A line above the bar. */
  note(text: string): void {
    if (this.bar && !this.over) process.stderr.write('\r\u001b[K');
    this.out.note(text);
  }

  /** The last numbers stay on the screen. */
  done(): void {
    if (this.over) return;
    this.over = true;
    this.eta = 0;
    this.bar?.update(this.value, this.payload());
    this.bar?.stop();
    if (!this.bar) this.line();
  }

  private line(): void {
    this.lastLine = Date.now();
    if (this.out.json) return;
    const { position, details, remaining } = this.payload();
    this.out.note(`${this.options.label}: ${position}${details}  ${remaining}`);
  }

  private payload(): { position: string; details: string; remaining: string } {
    const { total, format = String } = this.options;
    const remaining = this.over
      ? `in ${duration((Date.now() - this.born) / 1000)}`
      : Number.isFinite(this.eta)
        ? `${duration(this.eta)} left`
        : '';
    return {
      position: `${format(this.value)}/${format(total)}`,
      details: this.details && `  ${this.details}`,
      remaining,
    };
  }

  /** From the pace so far, for what does not tell its own. */
  private guess(): number {
    const { value, at } = this.first!;
    const seconds = (Date.now() - at) / 1000;
    return this.value > value && seconds > 1
      ? (seconds / (this.value - value)) * (this.options.total - this.value)
      : NaN;
  }
}
