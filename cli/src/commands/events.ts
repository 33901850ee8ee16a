import { EVENT_KINDS, filterOfEvents, toldEvent, type EventKind, type ToldEvent } from '@atelier/jobs';
import { Option, type Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';

interface Flags {
  follow?: boolean;
  kind?: EventKind;
  id?: string;
  type?: string[];
}

export function eventsCommand(program: Command): void {
  program
    .command('events')
    .summary('what happens, of every kind')
    .description('What happened in the last 14 days, or with --follow what happens from now on, until Ctrl-C.')
    .option('-f, --follow', 'what happens from now on')
    .addOption(new Option('--kind <kind>', 'of one kind of thing').choices(EVENT_KINDS))
    .option('--id <id>', 'of one thing')
    .option('--type <types>', 'such as finished; several with commas', (text: string) => text.split(','))
    .addHelpText(
      'after',
      `
Examples:
  atelier events --kind run --type finished,failed
  atelier events --follow --json`,
    )
    .action(handle<Flags>(events));
}

function events(context: Context, { follow, kind, id, type }: Flags): Promise<void> {
  const { out, interrupt } = context;
  return withClient(context, {}, async (client) => {
    const last = await client.lastEvent();
    const stop = new AbortController();
    const signal = AbortSignal.any([interrupt.signal, stop.signal]);
    const say = (told: ToldEvent): void => {
      out.object(told);
      out.line(lineOf(told));
    };
    // Without a filter, so that the last one is seen to come, whatever it is.
    const filter = follow ? filterOfEvents({ kind, id }) : undefined;
    if (!follow && last === 0) return;
    for await (const streamed of client.events({ after: follow ? last : undefined, filter, signal })) {
      const told = toldEvent(streamed);
      const wanted = told && (!kind || told.kind === kind) && (!id || told.id === id);
      if (wanted && (!type || type.includes(told.type))) say(told);
      if (!follow && streamed.sequence >= last) return;
    }
  });
}

/** "2026-11-28 21:34:56  run run-1 finished", and what else there is to say. */
function lineOf({ kind, id, type, time, ...rest }: ToldEvent): string {
  const at = time?.slice(0, 19).replace('T', ' ') ?? '';
  const words = Object.entries(rest).flatMap(([name, value]) =>
    ['string', 'number'].includes(typeof value) && value !== '' ? [`${name}=${String(value)}`] : [],
  );
  return [at, ` ${kind} ${id} ${type}`, ...words].join(' ');
}
