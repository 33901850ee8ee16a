import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitFor } from '@atelier/testing';
import protobuf from 'protobufjs';

export interface CollectedSpan {
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  /** Empty: it is the first of its trace. */
  parentId: string;
  events: string[];
  /** Traces that it links. */
  links: string[];
}

/** Spans that a run's trace has, and a drawing's, among others. */
export const OF_RUN = [
  'atelier-gateway: POST /v1/finetunes',
  'atelier-gateway: queue run',
  'atelier-ingest: start run',
  'atelier-trainer: process work.train',
  'atelier-trainer: train run',
  'atelier-trainer: draw picture',
  'atelier-trainer: publish events.run.{id}.state.{dataset}',
];
export const OF_DRAWING = [
  'atelier-gateway: POST /v1/images/generations',
  'atelier-gateway: publish work.generate',
  'atelier-inference: process work.generate',
  'atelier-inference: publish work.prompts',
  'atelier-prompts: process work.prompts',
  'atelier-prompts: encode captions',
  'atelier-inference: draw picture',
  'atelier-inference: publish events.generate.{id}.state',
];

/** What is read here of https://github.com/open-telemetry/opentelemetry-proto. */
const OTLP = `
syntax = "proto3";
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message Span {
  bytes trace_id = 1;
  bytes span_id = 2;
  bytes parent_span_id = 4;
  string name = 5;
  repeated Event events = 11;
  repeated Link links = 13;
}
message Event { string name = 2; }
message Link { bytes trace_id = 1; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { string string_value = 1; }
`;

interface ReceivedSpan extends Pick<CollectedSpan, 'name'> {
  traceId: Uint8Array;
  spanId: Uint8Array;
  parentSpanId: Uint8Array;
  events: { name: string }[];
  links: { traceId: Uint8Array }[];
}
interface Received {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue: string } }[] };
    scopeSpans: { spans: ReceivedSpan[] }[];
  }[];
}

/** Whose span is not ours: what is below it is. */
const CALLER = '00f067aa0ba902b7';

/** What whoever asks says of their trace. */
export const parentOf = (traceId: string): Record<string, string> => ({ traceparent: `00-${traceId}-${CALLER}-01` });

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Takes spans as an OpenTelemetry collector does: protobuf over HTTP. */
export class SpanCollector {
  private readonly spans: CollectedSpan[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<SpanCollector> {
    const type = protobuf.parse(OTLP).root.lookupType('Request');
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        collector.take(type.decode(Buffer.concat(chunks)) as unknown as Received);
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
      });
    });
    const collector = new SpanCollector(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  /** What OTEL_EXPORTER_OTLP_ENDPOINT says. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** All spans of a trace, once these are among them, each below another of them or the caller's. */
  async whole(traceId: string, wanted: readonly string[]): Promise<CollectedSpan[]> {
    const spans = (): CollectedSpan[] => this.spans.filter((span) => span.traceId === traceId);
    const named = (): string[] => spans().map(({ service, name }) => `${service}: ${name}`);
    const isWhole = (): boolean => {
      const ids = new Set([CALLER, ...spans().map(({ spanId }) => spanId)]);
      return wanted.every((name) => named().includes(name)) && spans().every(({ parentId }) => ids.has(parentId));
    };
    await waitFor(`all spans of ${wanted.join(', ')}`, isWhole).catch((error: Error) => {
      throw new Error(`${error.message}; there are ${named().join(', ')}`);
    });
    return spans();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private take({ resourceSpans }: Received): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
      for (const { name, traceId, spanId, parentSpanId, events, links } of scopeSpans.flatMap(({ spans }) => spans))
        this.spans.push({
          service,
          name,
          traceId: hex(traceId),
          spanId: hex(spanId),
          parentId: hex(parentSpanId),
          events: events.map((event) => event.name),
          links: links.map((link) => hex(link.traceId)),
        });
    }
  }
}
