import type { Logger } from '../logging';
import type { ExporterName, Tracing } from './sdk';

type Environment = Readonly<Record<string, string | undefined>>;

const KNOWN = ['otlp', 'console', 'none'] as const;

/**
 * Where spans are to go, by OpenTelemetry's own variables
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). Nowhere, unless one asks for it.
 */
export function exportersOf(env: Environment, warn: (text: string) => void = () => undefined): ExporterName[] {
  if (env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return [];
  const named = (env['OTEL_TRACES_EXPORTER'] ?? '').split(',').map((name) => name.trim());
  const asked = named.filter(Boolean);
  if (asked.length === 0)
    return env['OTEL_EXPORTER_OTLP_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ? ['otlp'] : [];
  const unknown = asked.filter((name) => !(KNOWN as readonly string[]).includes(name));
  if (unknown.length > 0)
    warn(`OTEL_TRACES_EXPORTER names ${unknown.join(', ')}: ${KNOWN.join(', ')} are what there is`);
  return asked.filter((name): name is ExporterName => name === 'otlp' || name === 'console');
}

/** Records spans from now on, where the environment says so. Until then nothing of the SDK is loaded. */
export function startTracing(
  service: string,
  version: string,
  { logger, env = process.env }: { logger: Logger; env?: Environment },
): Tracing {
  const exporters = exportersOf(env, (text) => logger.warn(text));
  if (exporters.length === 0) return { stop: () => Promise.resolve() };
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || SPOKEN;
  if (exporters.includes('otlp') && protocol !== SPOKEN)
    logger.warn(`OTEL_EXPORTER_OTLP_PROTOCOL is ${protocol}: ${SPOKEN} is what is spoken`);
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- now, and only here: import() wants a module's extension
  const { record } = require('./sdk') as typeof import('./sdk');
  return record(exporters, { service, version, logger });
}

const SPOKEN = 'http/protobuf';
