import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { AtelierError } from '@atelier/contracts';
import type { Request, Response } from 'express';
import { finalize, type Observable } from 'rxjs';
import { clientLeft } from '../client-left';
import { GatewayConfig } from '../gateway.config';
import { Memory } from './memory';

/**
 * Adapters are judged whole: those in memory at once are together no more than one may be, and others wait unread. Each
 * holds its memory until its handler has ended, also after its client has left.
 */
@Injectable()
export class AdapterMemoryInterceptor implements NestInterceptor {
  private readonly memory: Memory;

  constructor(private readonly config: GatewayConfig) {
    this.memory = new Memory(config.adapterLimit);
  }

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = context.switchToHttp();
    const bytes = bytesOf(http.getRequest<Request>(), this.config.adapterLimit);
    const release = await this.memory.take(bytes, clientLeft(http.getResponse<Response>())).catch(() => {
      throw new AtelierError('CANCELLED', 'the connection closed before its turn came');
    });
    return next.handle().pipe(finalize(release));
  }
}

/** One that does not say how long it is may be as long as any. The file of a form is joined from its pieces, twice there. */
function bytesOf(request: Request, limit: number): number {
  const length = Number(request.headers['content-length'] ?? limit);
  return request.is('multipart/form-data') ? 2 * length : length;
}
