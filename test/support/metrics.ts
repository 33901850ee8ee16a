// What Prometheus asks of names, units and labels (https://prometheus.io/docs/practices/naming/), checked on what is served.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '@atelier/testing';

export interface Metric {
  name: string;
  type: string;
  help: string;
  /** Values that each label has. */
  labels: Map<string, Set<string>>;
}

const SAMPLE = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (?:[-+]?(?:\d[\d.e+-]*|Inf)|NaN)$/i;
const LABEL = /([a-z_][a-z0-9_]*)="((?:[^"\\]|\\.)*)"/gi;
/** What a histogram's samples have behind its name. */
const PARTS = /_(bucket|sum|count)$/;

/** What the service with its probes on this port serves. */
export async function scrape(port: number): Promise<Metric[]> {
  return parseMetrics(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
}

/** @throws Error for a line that is no metric's, or one whose metric is not declared */
function parseMetrics(text: string): Metric[] {
  const metrics = new Map<string, Metric>();
  const metric = (name: string): Metric => {
    const known = metrics.get(name) ?? { name, type: '', help: '', labels: new Map<string, Set<string>>() };
    metrics.set(name, known);
    return known;
  };
  for (const line of text.split('\n').filter(Boolean)) {
    const [, what, name, words] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (what === 'HELP') metric(name!).help = words!;
    else if (what === 'TYPE') metric(name!).type = words!;
    else noteSample(line, metrics);
  }
  return [...metrics.values()];
}

function noteSample(line: string, metrics: ReadonlyMap<string, Metric>): void {
  const [, name = '', labels = ''] = SAMPLE.exec(line) ?? [];
  const metric = metrics.get(name) ?? metrics.get(name.replace(PARTS, ''));
  if (!metric) throw new Error(`no metric is declared for the line ${JSON.stringify(line)}`);
  for (const [, label, value] of labels.matchAll(LABEL)) {
    const values = metric.labels.get(label!) ?? new Set();
    metric.labels.set(label!, values.add(value!));
  }
}

/** Those of the tables in docs/observability.md. */
export function documentedMetrics(): string[] {
  const page = readFileSync(join(repositoryRoot, 'docs', 'observability.md'), 'utf8');
  return [...page.matchAll(/^\| `(atelier_\w+)/gm)].map(([, name]) => name!);
}

/** Other than the base units, and parts of names that stand for a type or another metric. */
const NOT_A_UNIT = /_(ms|milliseconds|minutes|hours|days|kb|kib|mb|mib|gb|gib|percent|count|sum|bucket)(_|$)/;
/** Of those there is no end: runs, names of people's, keys, addresses. */
const ENDLESS = new Set([
  'id',
  'run',
  'run_id',
  'dataset',
  'name',
  'adapter',
  'key',
  'path',
  'url',
  'trace_id',
  'owner',
]);
const MOST_VALUES = 60;

/** What of our own metrics is not as it should be; the process's own are the client library's. */
export function problemsOfMetrics(metrics: readonly Metric[]): string[] {
  return metrics
    .filter(({ name }) => name.startsWith('atelier_'))
    .flatMap((metric) => problemsOf(metric).map((problem) => `${metric.name}: ${problem}`));
}

function problemsOf({ name, type, help, labels }: Metric): string[] {
  const problems: string[] = [];
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)) problems.push('is not in snake case');
  if (!help) problems.push('has no HELP');
  if (!['counter', 'gauge', 'histogram'].includes(type)) problems.push(`has the type ${type || 'none'}`);
  if ((type === 'counter') !== name.endsWith('_total')) problems.push('counters, and they alone, end with _total');
  if (NOT_A_UNIT.test(name)) problems.push('is in no base unit, or has a word of its type in its name');
  if (type === 'histogram' && !name.endsWith('_seconds') && !name.endsWith('_bytes')) problems.push('says no unit');
  if (/\b(seconds|age|duration|time of)\b/i.test(help) && !/_seconds(_|$)/.test(name))
    problems.push('is told in seconds and not named so');
  if (/^bytes\b/i.test(help) && !/_bytes(_|$)/.test(name)) problems.push('is told in bytes and not named so');
  if (name.endsWith('_info') && type !== 'gauge') problems.push('is an info and no gauge');
  for (const [label, values] of labels) {
    if (ENDLESS.has(label)) problems.push(`has a label without end: ${label}`);
    if (label !== 'le' && values.size > MOST_VALUES) problems.push(`has ${values.size} values of ${label}`);
  }
  return problems;
}
