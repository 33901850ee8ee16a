import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { calls, eventSubjects, streams, subjects, TrainWork } from '@atelier/contracts';
import {
  callService,
  contextOf,
  createLogger,
  currentTraceparent,
  done,
  exportersOf,
  goOnFor,
  inSpan,
  noteIds,
  origin,
  publishEvent,
  publishWork,
  runIn,
  runWorker,
  traceOf,
} from '@atelier/mesh';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import { trace, type Context } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const ASKED = `00-${TRACE}-b7ad6b7169203331-01`;
const OTHER = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

const within = (traceparent: string): Context => contextOf(traceparent)!;
const traceIdOf = (context: Context | undefined): string | undefined =>
  context && trace.getSpanContext(context)?.traceId;

describe('a traceparent', () => {
  test.each([
    ['is taken as it is', ASKED, ASKED],
    ['keeps that nobody records it', ASKED.replace(/01$/, '00'), ASKED.replace(/01$/, '00')],
    ['of a later version may say more', `${ASKED.replace(/^00/, 'cc')}-more`, ASKED],
    ['of version 00 may not', `${ASKED}-more`, ''],
    ['of version ff is none', ASKED.replace(/^00/, 'ff'), ''],
    ['in capitals is none', ASKED.toUpperCase(), ''],
    ['of trace 0 is none', ASKED.replace(TRACE, '0'.repeat(32)), ''],
    ['of span 0 is none', ASKED.replace('b7ad6b7169203331', '0'.repeat(16)), ''],
    ['that is missing is none', '', ''],
  ])('%s', (_, given, kept) => {
    const context = contextOf(given);
    expect(context ? currentTraceparent(context) : '').toBe(kept);
  });
});

describe('spans go', () => {
  test.each<[string, Record<string, string>, string[]]>([
    ['nowhere by themselves', {}, []],
    ['where an endpoint is named', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }, ['otlp']],
    ['where their own is', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' }, ['otlp']],
    ['to the standard endpoint where it is asked for', { OTEL_TRACES_EXPORTER: 'otlp' }, ['otlp']],
    ['to several', { OTEL_TRACES_EXPORTER: 'otlp, console' }, ['otlp', 'console']],
    [
      'nowhere where that is said',
      { OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' },
      [],
    ],
    ['nowhere where the SDK is off', { OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_EXPORTER: 'otlp' }, []],
  ])('%s', (_, env, exporters) => expect(exportersOf(env)).toEqual(exporters));

  test('not to what is unknown, which is said', () => {
    const said: string[] = [];
    expect(exportersOf({ OTEL_TRACES_EXPORTER: 'zipkin' }, (text) => said.push(text))).toEqual([]);
    expect(said).toEqual([expect.stringMatching(/^OTEL_TRACES_EXPORTER names zipkin: .*otlp/)]);
  });
});

test('where nothing is recorded nothing of the SDK is loaded', () => {
  const program = `
    const { createLogger, startTracing } = require(${JSON.stringify(join(__dirname, '..', 'dist'))});
    startTracing('x', '1', { logger: createLogger('x', 'silent'), env: {} });
    const loaded = Object.keys(require.cache).filter((file) => /opentelemetry.(sdk|exporter|core|otlp)/.test(file));
    process.stdout.write(String(loaded.length));`;
  expect(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })).toBe('0');
});

describe('over NATS', () => {
  let server: TestMesh;
  beforeAll(async () => {
    server = await startTestMesh();
  });
  afterAll(() => server?.stop());

  /** Handles the work that is queued meanwhile, and ends when all of it was. */
  async function working(count: number, handle: (runId: string) => Promise<void>): Promise<Record<string, unknown>[]> {
    const lines: Record<string, unknown>[] = [];
    const write = (text: string): void => void lines.push(JSON.parse(text) as Record<string, unknown>);
    const logger = createLogger('x', 'info', { write });
    const stop = new AbortController();
    const options = {
      subject: subjects.work.train,
      type: TrainWork,
      signal: stop.signal,
      ids: ({ runId }: TrainWork) => ({ runId }),
    };
    let handled = 0;
    const over = runWorker(server.mesh, options, async ({ runId }) => {
      await handle(runId);
      logger.info({ own: 'words' }, 'handled');
      handled += 1;
      return done;
    });
    await waitFor('all to be handled', () => handled === count);
    stop.abort();
    await over;
    return lines;
  }

  const queue = (runId: string): Promise<unknown> =>
    publishWork(server.mesh, subjects.work.train, TrainWork, { runId, manifest: 'm' }, { msgId: runId });

  const headersOf = async (subject: string) =>
    (await server.mesh.jsm.streams.getMessage(streams.EVENTS, { last_by_subj: subject })).header;

  test('what is done for a request is in its trace, from hand to hand, though nobody records', async () => {
    const told = eventSubjects.dataset('d1', 'state');
    await runIn(within(ASKED), () => queue('r1'));
    const lines = await working(1, async () => {
      await publishEvent(server.mesh, told, { datasetState: { datasetId: 'd1' } });
    });
    expect(traceIdOf(traceOf(await headersOf(told)))).toBe(TRACE);
    expect(lines).toEqual([
      expect.objectContaining({ trace_id: TRACE, span_id: expect.any(String), runId: 'r1', own: 'words' }),
    ]);
  });

  test('work that nobody asked for starts a trace of its own', async () => {
    await queue('r2');
    const [line] = await working(1, () => Promise.resolve());
    expect(line!['trace_id']).toMatch(/^[0-9a-f]{32}$/);
  });

  test('a call is part of what is under way, and a look now and then of nothing', async () => {
    const seen: (string | undefined)[] = [];
    const { subject, reply } = calls.status('x');
    server.mesh.nc.subscribe(subject, {
      callback: (_error, message) => {
        seen.push(traceIdOf(traceOf(message.headers)));
        message.respond(reply.encode({ service: 'x' }).finish());
      },
    });
    await server.mesh.nc.flush();
    await runIn(within(ASKED), () => callService(server.mesh, calls.status('x'), {}));
    await callService(server.mesh, calls.status('x'), {});
    expect(seen).toEqual([TRACE, undefined]);
  });

  test('recorded, a message has a span where it is sent and one where it is handled, which says what came of it', async () => {
    const exporter = new InMemorySpanExporter();
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
    try {
      await runIn(within(ASKED), () => queue('r3'));
      await working(1, async () => {
        noteIds({ datasetId: 'd3' });
        const step = { runStep: { runId: 'r3', step: 1 } };
        await publishEvent(server.mesh, eventSubjects.run({ id: 'r3', datasetId: 'd3' }, 'step'), step);
        await publishEvent(server.mesh, eventSubjects.run({ id: 'r3', datasetId: 'd3' }, 'state'), { runState: {} });
      });
      const spans = exporter.getFinishedSpans();
      expect(spans.map(({ name }) => name)).toEqual([
        'publish work.train',
        'publish events.run.{id}.state.{dataset}', // none of each step: only carried
        'process work.train',
      ]);
      const [sent, told, handled] = spans;
      expect(spans.map((span) => span.spanContext().traceId)).toEqual([TRACE, TRACE, TRACE]);
      expect(handled!.parentSpanContext?.spanId).toBe(sent!.spanContext().spanId);
      expect(told!.parentSpanContext?.spanId).toBe(handled!.spanContext().spanId);
      expect(handled!.attributes).toMatchObject({
        'messaging.system': 'nats',
        'messaging.destination.name': 'work.train',
        'messaging.operation.type': 'process',
        'messaging.consumer.group.name': 'work-train',
        'messaging.message.id': 'r3',
        'atelier.outcome': 'done',
        'atelier.run.id': 'r3',
        'atelier.dataset.id': 'd3',
      });
      const step = eventSubjects.run({ id: 'r3', datasetId: 'd3' }, 'step');
      expect(trace.getSpanContext(traceOf(await headersOf(step))!)?.spanId).toBe(handled!.spanContext().spanId);
    } finally {
      trace.disable();
    }
  });
});

describe('recorded', () => {
  const exporter = new InMemorySpanExporter();
  beforeAll(() =>
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })),
  );
  beforeEach(() => exporter.reset());
  afterAll(() => trace.disable());

  const nothing = (): Promise<void> => Promise.resolve();

  test("what a person's wish is done by goes on in their trace, and links what woke it", async () => {
    const ids = { runId: 'r' };
    await runIn(within(OTHER), () => goOnFor('train', { traceparent: ASKED, ids }, nothing));
    const [span] = exporter.getFinishedSpans();
    expect(span!.spanContext().traceId).toBe(TRACE);
    expect(span!.links.map(({ context }) => context.traceId)).toEqual([traceIdOf(within(OTHER))]);
    expect(span!.attributes).toEqual({ 'atelier.run.id': 'r' });
  });

  test('what woke it may be its own message, or an older version kept no traceparent: then it goes on there', async () => {
    await runIn(within(OTHER), () => goOnFor('train', { traceparent: OTHER, ids: {} }, nothing));
    await runIn(within(OTHER), () => goOnFor('train', { traceparent: '', ids: {} }, nothing));
    for (const span of exporter.getFinishedSpans()) {
      expect(span.parentSpanContext?.spanId).toBe(trace.getSpanContext(within(OTHER))?.spanId);
      expect(span.links).toEqual([]);
    }
  });

  test('what is done for several together links each, and fails with its reason', async () => {
    const [first, second] = [ASKED, OTHER].map((traceparent) => runIn(within(traceparent), origin));
    const together = { parent: first!.within, links: [second!.link!] };
    const fail = (): Promise<void> => Promise.reject(new Error('no room'));
    await expect(inSpan('encode', together, fail)).rejects.toThrow('no room');
    const [span] = exporter.getFinishedSpans();
    expect([span!.spanContext().traceId, span!.links[0]!.context.traceId]).toEqual([TRACE, traceIdOf(within(OTHER))]);
    expect(span!.status.message).toBe('no room');
    expect(span!.events.map(({ name }) => name)).toEqual(['exception']);
  });
});
