export { SpanKind, SpanStatusCode } from '@opentelemetry/api';
export {
  contextOf,
  currentTraceparent,
  currentTracestate,
  logFields,
  noteIds,
  runIn,
  withIds,
  type WorkIds,
} from './context';
export { carryTrace, traceOf } from './messages';
export { failSpan, goOnFor, inSpan, noteInSpan, openSpan, origin, type Origin, type SpanSettings } from './spans';
export type { Tracing } from './sdk';
export { exportersOf, startTracing } from './start';
