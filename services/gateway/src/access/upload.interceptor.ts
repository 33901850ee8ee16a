import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { finalize, type Observable } from 'rxjs';
import { GatewayConfig } from '../gateway.config';
import { TooManyRequests } from '../http-error';

const RETRY_SECONDS = 5;

/** For routes that take files: no more of them at once than the settings say, each until its handler has ended. */
@Injectable()
export class UploadInterceptor implements NestInterceptor {
  private underWay = 0;

  constructor(private readonly config: GatewayConfig) {}

  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { uploads } = this.config;
    if (this.underWay >= uploads)
      throw new TooManyRequests(
        `${uploads} uploads are under way: try again in ${RETRY_SECONDS} s, or raise ATELIER_UPLOADS`,
        RETRY_SECONDS,
      );
    this.underWay++;
    return next.handle().pipe(finalize(() => this.underWay--));
  }
}
