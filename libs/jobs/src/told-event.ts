// Every event in the words of the HTTP API, its event streams, webhooks and --json alike.
import { AdapterChange, enumNames, eventFilters, toDate, type Event, type GenerationState } from '@atelier/contracts';
import { runEvent, type RunEvent } from './event-view';
import type { StreamedEvent } from './follow';
import { datasetStatus, generationStatus } from './words';

type AdapterEvent = 'made' | 'imported' | 'renamed' | 'deleted';

type Details =
  | RunEvent
  | { type: 'ingested'; samples: number; duplicates: number; rejected: number }
  | { type: 'progress'; step: number; total_steps: number }
  | { type: 'finished'; images: string[] }
  | { type: AdapterEvent; former_name: string | null; run: string | null }
  | { type: 'given_up'; subject: string; name: string; reason: string }
  | { type: string; message: string };

/** `kind` and `id`: what it is about. */
export type ToldEvent = { kind: EventKind; id: string; time: string | null } & Details;

/** Each kind of thing that events tell of, and the word for it in their subjects. */
const WORDS = {
  run: 'run',
  dataset: 'dataset',
  drawing: 'generate',
  adapter: 'adapter',
  latents: 'latents',
  prompts: 'prompts',
  work: 'dead',
} as const;

export type EventKind = keyof typeof WORDS;

export const EVENT_KINDS = Object.keys(WORDS) as readonly EventKind[];

/** What to subscribe to for one kind of thing, one thing, or all. */
export function filterOfEvents({ kind, id }: { kind?: EventKind; id?: string }): string {
  if (!kind) return id ? eventFilters.ofId(id) : eventFilters.all;
  return id ? eventFilters.thing(WORDS[kind], id) : eventFilters.word(WORDS[kind]);
}

const changes = enumNames(AdapterChange, 'ADAPTER_CHANGE');

/** What an event says, or nothing where a person need not see it. */
export function toldEvent({ subject, event }: StreamedEvent): ToldEvent | null {
  const [, word = '', id = ''] = subject.split('.');
  const kind = EVENT_KINDS.find((each) => WORDS[each] === word);
  const details = kind && detailsOf(event);
  return details ? { ...details, kind, id, time: toDate(event.time)?.toISOString() ?? null } : null;
}

function detailsOf(event: Event): Details | null {
  switch (event.detail) {
    case 'datasetIngested': {
      const { samples, duplicates, rejected } = event.datasetIngested!;
      return { type: 'ingested', samples: samples ?? 0, duplicates: duplicates ?? 0, rejected: rejected?.length ?? 0 };
    }
    case 'datasetState':
      return { type: datasetStatus(event.datasetState!.state!), message: event.datasetState!.error ?? '' };
    case 'generateProgress': {
      const { step, totalSteps } = event.generateProgress!;
      return { type: 'progress', step: step ?? 0, total_steps: totalSteps ?? 0 };
    }
    case 'generateState': {
      const { state, error, images } = event.generateState!;
      const status = generationStatus(state as GenerationState);
      if (status === 'finished') return { type: status, images: images ?? [] };
      return status === 'failed' || status === 'cancelled'
        ? { type: status, message: error ?? '' }
        : { type: 'status', status, preemptions: 0, waits_for: null };
    }
    case 'adapterChanged': {
      const { change, formerName, runId } = event.adapterChanged!;
      const type = changes.read(change) as AdapterEvent;
      return { type, former_name: formerName || null, run: runId || null };
    }
    case 'deadLetter': {
      const { subject, name, reason } = event.deadLetter!;
      return { type: 'given_up', subject: subject ?? '', name: name ?? '', reason: reason ?? '' };
    }
    default:
      return runEvent(event);
  }
}
