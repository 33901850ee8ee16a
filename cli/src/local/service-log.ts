import { join } from 'node:path';
import { LogFile } from './log-file';

const WARN = 40;

export interface LogLine {
  service: string;
  text: string;
  /** Whether a person should see it without asking: a warning or worse, or a line that is not the logger's. */
  important: boolean;
}

/** What a service writes: into a file of its own, as it comes, and line by line to whoever listens. */
export class ServiceLog {
  private readonly file: LogFile;
  private rest = '';
  /** The last lines, for the story of why it ended. */
  private readonly recent: string[] = [];

  constructor(
    folder: string,
    private readonly service: string,
    private readonly onLine: (line: LogLine) => void,
  ) {
    this.file = new LogFile(join(folder, `${service}.log`), (text) => onLine({ service, text, important: true }));
  }

  write(chunk: string): void {
    this.file.write(chunk);
    const lines = (this.rest + chunk).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') this.take(line);
  }

  /** What it said last that a person can read, without its own name before it. */
  get lastWords(): string {
    if (this.rest.trim() !== '') this.take(this.rest.trim());
    this.rest = '';
    return this.recent.join('; ').replaceAll(`${this.service}: `, '');
  }

  end(): void {
    this.file.end();
  }

  private take(line: string): void {
    const { text, important } = readable(line);
    if (important) this.recent.push(text);
    if (this.recent.length > 5) this.recent.shift();
    this.onLine({ service: this.service, text, important });
  }
}

/** A JSON line of the logger as text: its message, then its fields. Any other line as it is. */
export function readable(line: string): { text: string; important: boolean } {
  try {
    const {
      level,
      msg,
      time: _time,
      name: _name,
      ...fields
    } = JSON.parse(line) as {
      level: number;
      msg?: string;
      time?: string;
      name?: string;
    };
    const rest = Object.entries(fields).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    return { text: [msg ?? '', ...rest].join(' ').trim(), important: level >= WARN };
  } catch {
    return { text: line.trim(), important: true };
  }
}
