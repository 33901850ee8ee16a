import { contextOf, openSpan, runIn, SpanKind, SpanStatusCode, type WorkIds } from '@atelier/mesh';
import type { NextFunction, Request, Response } from 'express';
import { openApiPath } from './openapi/document';

/** Asked every few seconds by whoever looks after the gateway: part of nothing. */
const LOOKS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz', '/metrics']);
const ABOUT = /^\/v1\/(finetunes|datasets|images\/generations)\/([\w-]{1,64})/;

/**
 * Has all that is done for a request be part of the trace that its headers name, or of a new one
 * (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
 */
export function traceRequests(request: Request, response: Response, next: NextFunction): void {
  if (LOOKS.has(request.path)) return next();
  const { method, path, protocol } = request;
  // Not the whole address: a token may be in it.
  const attributes = { 'http.request.method': method, 'url.path': path, 'url.scheme': protocol };
  const parent = contextOf(request.get('traceparent'), request.get('tracestate'));
  const { span, within } = openSpan(method, { kind: SpanKind.SERVER, attributes, parent, ids: idsOf(path) });
  response.once('close', () => {
    const { route } = request as { route?: { path: string } };
    if (route) {
      span.updateName(`${method} ${openApiPath(route.path)}`);
      span.setAttribute('http.route', openApiPath(route.path));
    }
    const status = response.statusCode;
    span.setAttribute('http.response.status_code', status);
    if (status >= 500) {
      span.setAttribute('error.type', String(status));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  });
  runIn(within, next);
}

function idsOf(path: string): WorkIds {
  const [, kind, id] = ABOUT.exec(path) ?? [];
  if (kind === 'finetunes') return { runId: id };
  return kind === 'datasets' ? { datasetId: id } : { drawingId: id };
}
