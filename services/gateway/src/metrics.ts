import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Histogram, Registry } from 'prom-client';
import type { Observable } from 'rxjs';
import { openApiPath } from './openapi/document';

/** Times requests by route, not by address: an address has ids in it, of which there is no end. */
@Injectable()
export class RequestMetrics implements NestInterceptor {
  private readonly seconds: Histogram<'method' | 'route' | 'status'>;

  constructor(registry: Registry) {
    this.seconds = new Histogram({
      name: 'atelier_http_request_seconds',
      help: 'Seconds from a request to the end of its answer.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600],
      registers: [registry],
    });
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const { method, route } = http.getRequest<Omit<Request, 'route'> & { route?: { path: string } }>();
    const response = http.getResponse<Response>();
    const stop = this.seconds.startTimer({ method, route: openApiPath(route?.path ?? 'unknown') });
    response.once('close', () => stop({ status: response.statusCode }));
    return next.handle();
  }
}
