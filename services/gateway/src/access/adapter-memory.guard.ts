import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { AtelierError } from '@atelier/contracts';
import type { Request, Response } from 'express';
import { clientLeft } from '../client-left';
import { GatewayConfig } from '../gateway.config';
import { Memory } from './memory';

/** Adapters are judged whole: those in memory at once are together no more than one may be, and others wait unread. */
@Injectable()
export class AdapterMemoryGuard implements CanActivate {
  private readonly memory: Memory;

  constructor(private readonly config: GatewayConfig) {
    this.memory = new Memory(config.adapterLimit);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const response = http.getResponse<Response>();
    // One that does not say how long it is may be as long as any.
    const bytes = Number(http.getRequest<Request>().headers['content-length'] ?? this.config.adapterLimit);
    const left = clientLeft(response);
    const release = await this.memory.take(bytes, left).catch(() => {
      throw new AtelierError('CANCELLED', 'the connection closed before its turn came');
    });
    if (left.aborted) release();
    else left.addEventListener('abort', release);
    return true;
  }
}
