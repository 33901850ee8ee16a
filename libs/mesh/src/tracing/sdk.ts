// OpenTelemetry's SDK: loaded where spans are recorded, and nowhere else.
import { diag, DiagLogLevel, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { randomUUID } from 'node:crypto';
import type { Logger } from '../logging';
import { within } from '../within';

/** A service that stops has its grace for its work. */
const LAST_SPANS_MS = 2000;

export interface Tracing {
  /** Sends what was recorded and is not sent yet, for a moment. */
  stop(): Promise<void>;
}

export type ExporterName = 'otlp' | 'console';

interface Recorded {
  service: string;
  version: string;
  logger: Logger;
}

/** Endpoint, headers, sampler, limits and attributes are for the SDK to read from its variables. */
export function record(exporters: readonly ExporterName[], { service, version, logger }: Recorded): Tracing {
  const warn = (text: string): void => logger.warn({ from: 'OpenTelemetry' }, text);
  const silent = (): void => undefined;
  const level = { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true };
  diag.setLogger({ error: warn, warn, info: silent, debug: silent, verbose: silent }, level);
  const ours = resourceFromAttributes({
    'service.name': `atelier-${service}`,
    'service.namespace': 'atelier',
    'service.version': version,
    'service.instance.id': randomUUID(),
  });
  const provider = new BasicTracerProvider({
    resource: ours.merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: exporters.map(processorOf),
  });
  trace.setGlobalTracerProvider(provider);
  logger.info({ exporters }, 'records spans');
  const stop = async (): Promise<void> => {
    await within(LAST_SPANS_MS, 'whoever takes the spans', provider.shutdown()).catch((error: Error) =>
      logger.warn({ error: error.message }, 'the last spans were not sent'),
    );
    trace.disable();
  };
  return { stop };
}

function processorOf(name: ExporterName): SpanProcessor {
  return name === 'otlp'
    ? new BatchSpanProcessor(new OTLPTraceExporter())
    : new SimpleSpanProcessor(new ConsoleSpanExporter());
}
